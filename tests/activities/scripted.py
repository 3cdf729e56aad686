"""A GitHub that answers what a test wrote down, in that order, and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


@dataclass
class Scripted:
    """The answers to come: status, headers, body (an object, or text)."""

    answers: list[tuple[int, dict[str, str], Any]]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        self.asked.append(Asked(method, path, headers, json.loads(raw) if raw else None))
        status, more, body = self.answers.pop(0) if self.answers else (599, {}, "unexpected")
        text = body if isinstance(body, str) else json.dumps(body)
        if status in (204, 304):
            text = ""
        told = {"Content-Length": str(len(text)), "Connection": "close", **more}
        lines = [f"HTTP/1.1 {status} Told", *(f"{key}: {value}" for key, value in told.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text.encode())
        await writer.drain()
        writer.close()

    @property
    def calls(self) -> list[str]:
        """What was asked, in short."""
        return [
            f"{one.method} {one.path.partition('?')[0].rsplit('/', 1)[-1]}" for one in self.asked
        ]


@asynccontextmanager
async def scripted(*answers: tuple[int, dict[str, str], Any]) -> AsyncGenerator[Scripted]:
    """That GitHub inside the block; every answer must have been asked for."""
    made = Scripted(list(answers))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
    assert not made.answers, "an answer was not asked for"
