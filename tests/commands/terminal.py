"""`penstock` on a terminal: what it shows, and how it ends when Ctrl-C is pressed."""

import asyncio
import os
import pty
import signal
from types import TracebackType
from typing import Self

from tests.e2e.process import PENSTOCK, ROOT
from tests.support import PATIENCE


class Terminal:
    """One command on a pseudo-terminal, or on a pipe."""

    def __init__(self, *arguments: str, plain: bool = False) -> None:
        self._arguments = arguments
        self._plain = plain
        self.said = ""

    async def __aenter__(self) -> Self:
        read, write = os.pipe() if self._plain else pty.openpty()
        self._reader = asyncio.StreamReader()
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(read, "rb", 0)
        )
        self.process = await asyncio.create_subprocess_exec(
            *(*PENSTOCK, *self._arguments),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"},
        )
        os.close(write)
        return self

    async def until(self, words: str, seconds: float = PATIENCE) -> None:
        """Read until it has said this since the last time."""
        begun = len(self.said)
        async with asyncio.timeout(seconds):
            while words not in self.said[begun:]:
                more = await self._reader.read(65536)
                assert more, f"it ended early: {self.said!r}"
                self.said += more.decode(errors="replace")

    async def ctrl_c(self) -> int:
        """Interrupt it; its exit code."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, _: object, __: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self._transport.close()
