"""A TCP proxy of our own, so that a network can be broken: refused, cut, or a black hole."""

import asyncio
import contextlib
from collections.abc import Callable

from embedded import ports

HOST = "127.0.0.1"
PIECE = 65536


class Proxy:
    """`start` it; then `refuse`, `swallow` and `heal` the connections through it."""

    def __init__(self, target: Callable[[], tuple[str, int]]) -> None:
        """`target` is asked at each connection: a server that restarts may move."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._refuses = False
        self.address = ""

    async def start(self) -> str:
        """Listen; the address."""
        listener = ports.listening(HOST, 0)
        self._server = await asyncio.start_server(self._serve, sock=listener)
        self.address = f"{HOST}:{listener.getsockname()[1]}"
        return self.address

    def refuse(self) -> None:
        """Cut every connection, and each new one at once."""
        self._refuses = True
        self._cut()

    def swallow(self) -> None:
        """Connections stand and nothing passes, either way."""
        self._passes.clear()

    def heal(self, *, cut: bool = False) -> None:
        """All is well again; what was held back passes, unless its connection is `cut`."""
        self._refuses = False
        if cut:
            self._cut()
        self._passes.set()

    async def stop(self) -> None:
        """Cut all and listen no more."""
        if self._server:
            self._server.close()
        self._cut()
        self._passes.set()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def _cut(self) -> None:
        for line in self._lines:
            line.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        if self._refuses or line is None:
            writer.transport.abort()
            return
        self._lines.add(line)
        other: asyncio.StreamWriter | None = None
        try:
            await self._passes.wait()
            back, other = await asyncio.open_connection(*self._target())
            there = asyncio.create_task(self._pump(reader, other))
            here = asyncio.create_task(self._pump(back, writer))
            try:
                await asyncio.wait({there, here}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                here.cancel()
                await asyncio.gather(there, here, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # the target is down, or the line was cut: the other side sees that
        finally:
            self._lines.discard(line)
            for one in (writer, other):
                if one:
                    one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._passes.wait()
                writer.write(piece)
                await writer.drain()
