"""The worker's side of the program that keeps runners (keeper.py): one process, asked for each."""

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from activities.runner_environment import OF_PROGRAMS, harmless

PROGRAM = Path(__file__).with_name("keeper.py")
STARTED = "started"
HAS_KEEPER = "ended 3"  # another keeper has the folder
UNKNOWN = ""
END_SECONDS = 5.0  # for a keeper, or the program, to end when told


@dataclass(frozen=True)
class Keeper:
    """One that was asked for. `word`: STARTED, or how it ended before that.

    It is UNKNOWN if the program was killed; then the keeper begins nothing, if it has not yet.
    """

    word: "asyncio.Future[str]"
    program: "_Program"
    number: int

    async def stop(self) -> None:
        """End it, and with it what it began; afterwards it begins nothing any more."""
        self.program.write(f"stop {self.number}")
        await asyncio.wait([self.word], timeout=END_SECONDS)


class Keepers:
    """Starts the program when it is first needed, and again if it was killed."""

    def __init__(self, runners: Path) -> None:
        """`runners` has a folder for each runner, by its name."""
        self._runners = runners
        self._program: _Program | None = None
        self._begins = asyncio.Lock()
        self._number = 0

    async def ask(self, name: str) -> Keeper:
        """A keeper for the runner of this name, whose folder is ready."""
        async with self._begins:
            if self._program is None or self._program.over:
                self._program = await _Program.start(self._runners)
        self._number += 1
        return self._program.ask(self._number, name)

    async def close(self) -> None:
        """Ask for no more; the keepers keep on."""
        if self._program:
            await self._program.close()


class _Program:
    """One process of keeper.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._words: dict[int, asyncio.Future[str]] = {}
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def start(cls, runners: Path) -> "_Program":
        """Begin it; it serves at once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(PROGRAM),
            str(runners),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            # A job may read the environment of its keeper, which is its own user's.
            env=harmless(os.environ, *OF_PROGRAMS),
        )
        return cls(process)

    @property
    def over(self) -> bool:
        """Whether it has ended: then nothing more is heard."""
        return self._process.returncode is not None or self._hearing.done()

    def ask(self, number: int, name: str) -> Keeper:
        word: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self.over:  # a moment ago
            word.set_result(UNKNOWN)
        else:
            self._words[number] = word
            self.write(f"start {number} {name}")
        return Keeper(word, self, number)

    def write(self, line: str) -> None:
        if self._process.stdin and not self.over:
            self._process.stdin.write(f"{line}\n".encode())

    async def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._hearing.cancel()
        await asyncio.gather(self._hearing, return_exceptions=True)

    async def _hear(self) -> None:
        hearing = self._process.stdout
        with contextlib.suppress(ConnectionError):
            while hearing and (line := await hearing.readline()):
                number, _, said = line.decode().strip().partition(" ")
                if word := self._words.pop(int(number), None):
                    word.set_result(said)
        for word in self._words.values():
            word.set_result(UNKNOWN)
        self._words.clear()
