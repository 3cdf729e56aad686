"""A small HTTP/1.1 client for one kind of request: POST to a receiver on loopback.

It keeps connections and costs a tenth of a general client: at hundreds of deliveries a second
that is the difference between measuring the receiver and measuring the simulator.
"""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

# Receivers close idle connections (uvicorn: after 5 s): an older one might break under an event.
IDLE_SECONDS = 2.0
MAX_BODY = 10_000
BROKEN = (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answered; the body is cut at 10,000 bytes."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: tuple[str, int]
    idle_since: float = 0.0

    def usable(self, address: tuple[str, int]) -> bool:
        fresh = time.monotonic() - self.idle_since < IDLE_SECONDS
        closed = self.reader.at_eof() or self.writer.is_closing()
        return fresh and not closed and self.address == address


class Poster:
    """Posts over kept connections; whatever goes wrong is one of BROKEN, and is not retried."""

    def __init__(self) -> None:
        self._idle: list[_Line] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Reply:
        """Post and return the answer; ValueError for an address that is not http."""
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"not an http address: {url}")
        address = (parts.hostname, parts.port or 80)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        line = await self._open(address)
        keep = False
        try:
            line.writer.write(head + body)
            await line.writer.drain()
            reply, keep = await _read(line.reader)
        finally:
            # Also when cancelled by a timeout: a late answer must not be taken for the next one's.
            if keep:
                line.idle_since = time.monotonic()
                self._idle.append(line)
            else:
                line.writer.close()
        return reply

    def close(self) -> None:
        """Close what is kept."""
        for line in self._idle:
            line.writer.close()
        self._idle.clear()

    async def _open(self, address: tuple[str, int]) -> _Line:
        while self._idle:
            line = self._idle.pop()
            if line.usable(address):
                return line
            line.writer.close()
        reader, writer = await asyncio.open_connection(*address)
        return _Line(reader, writer, address)


async def _read(reader: asyncio.StreamReader) -> tuple[Reply, bool]:
    """The answer, and whether the connection can be kept."""
    status = 100
    headers: dict[str, str] = {}
    while status < 200:  # 1xx are not answers
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        pairs = [text.partition(":") for text in rest if text]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    keep = headers.get("connection", "").lower() != "close"
    if status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body, keep = await reader.read(), False
    return Reply(status, headers, body[:MAX_BODY].decode(errors="replace")), keep


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while (await reader.readline()).strip():
        pass  # trailers
    return body
