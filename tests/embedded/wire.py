"""An HTTP client as rude as a test wants it, and a server to be rude to."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from embedded import ports
from embedded.connections import Connections, ServerLimits, State
from embedded.http_server import serving
from tests.support import PATIENCE, until

# Deadlines that no test meets, unless it sets its own: a busy machine is late with many a byte.
UNHURRIED: dict[str, Any] = {
    "header_seconds": PATIENCE,
    "body_seconds": PATIENCE,
    "send_seconds": PATIENCE,
    "keep_alive_seconds": int(PATIENCE),
}


@dataclass(frozen=True)
class Answer:
    """A whole answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One TCP connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str, **how: Any) -> "Wire":
        """Connect."""
        host, port = url.removeprefix("http://").rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port), **how))

    def send(self, data: bytes) -> None:
        """Send; who does not want it any more may say so by closing."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)

    def trickle(self, data: bytes, seconds: float = 0.05) -> asyncio.Task[None]:
        """Send a byte every so often, until all are sent or this connection is closed."""

        async def slowly() -> None:
            for byte in data:
                self.send(bytes([byte]))
                await asyncio.sleep(seconds)

        return asyncio.create_task(slowly())

    async def answer(self, patience: float = PATIENCE) -> Answer | None:
        """The next answer; None if the connection ends without one."""
        async with asyncio.timeout(patience):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            first, *lines = head.decode("latin-1").rstrip().split("\r\n")
            pairs = (line.split(": ", 1) for line in lines)
            headers = {name.lower(): value for name, value in pairs}
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
            return Answer(int(first.split()[1]), headers, body)

    async def ended(self) -> bytes:
        """What comes until the server ends the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def ask(self, head: str = "GET / HTTP/1.1", body: bytes = b"") -> Answer | None:
        """A whole request and its answer."""
        self.send(request(head, body))
        return await self.answer()

    @property
    def is_open(self) -> bool:
        """Whether the server has not ended it, as far as is known."""
        return not self._reader.at_eof() and self._reader.exception() is None

    async def close(self) -> None:
        """Go, without a goodbye."""
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def wire_to(url: str) -> AsyncGenerator[Wire]:
    """A connection for the length of a block."""
    wire = await Wire.open(url)
    try:
        yield wire
    finally:
        await wire.close()


def request(head: str = "GET / HTTP/1.1", body: bytes = b"", *headers: str) -> bytes:
    """The bytes of a request."""
    lines = [head, "Host: here", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Server:
    """A server with an application that echoes; `why` counts whom it turned away."""

    def __init__(self, **limits: Any) -> None:
        self.url = ""
        self.why: Counter[str] = Counter()
        self.heard: list[bytes] = []  # bodies that the application had whole
        self.began = asyncio.Semaphore(0)  # released once for each request that began
        self.hold: asyncio.Event | None = None  # answers wait for it
        self.answer_bytes = 0  # of each answer; 0: the echo
        self.wires: list[Wire] = []
        self.connections = Connections(ServerLimits(**{**UNHURRIED, **limits}), self._turned_away)

    def _turned_away(self, why: str) -> None:
        self.why[why] += 1

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Any) -> None:
        """The application."""
        self.began.release()
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.heard.append(body)
        if self.hold:
            await self.hold.wait()
        said = b"x" * self.answer_bytes or body or b"nothing"
        headers = [(b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    async def connect(self, sent: bytes = b"", **how: Any) -> Wire:
        """A connection that has sent this."""
        wire = await Wire.open(self.url, **how)
        self.wires.append(wire)
        wire.send(sent)
        return wire

    async def turned(self, why: str, times: int = 1) -> None:
        """Until so many were turned away for this."""

        async def so_many() -> bool:
            return self.why[why] >= times

        await until(so_many)

    async def until(self, state: State, count: int) -> None:
        """Until so many connections are in this state."""

        async def so_many() -> bool:
            return self.connections.count(state) == count

        await until(so_many)


@asynccontextmanager
async def server(app: Any = None, **limits: Any) -> AsyncGenerator[Server]:
    """Serve inside the block; an application that wraps the echo may be given."""
    made = Server(**limits)
    listener = ports.listening("127.0.0.1", 0)
    async with serving(app(made) if app else made, listener, made.connections) as url:
        made.url = url
        try:
            yield made
        finally:
            for wire in made.wires:
                await wire.close()
