"""Runner programs that talk, and whatever else the tests of the process launcher share."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from activities.clients.process_launcher import ProcessLauncher
from activities.github import RunnerToken
from activities.runner_environment import RunnerHome
from activities.runners import LaunchRequest, RunnerReference

ROOT = Path(__file__).resolve().parents[2]
SECRET = "AN-UNMISTAKABLE-REGISTRATION-TOKEN"
TOKEN = RunnerToken(SECRET, 0.0, 9e9)
SECONDS = 15.0  # for anything that happens in milliseconds


class Words:
    """What runners say: a pipe in the file system, open at both ends so that no one waits."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._rest = ""
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    async def next(self) -> str:
        """The next line."""
        async with asyncio.timeout(SECONDS):
            return await self._heard.get()

    @property
    def silent(self) -> bool:
        """Whether nothing more was said until now."""
        self._read()
        return self._heard.empty()

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self._pipe, 65536).decode()
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            self._heard.put_nowait(line)


class Runners:
    """A folder of runners and the launchers that work on it, one after another or at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runners"
        self.words = Words(folder / "words")
        self._made: list[ProcessLauncher] = []

    def launcher(self, script: str = "exec sleep 60", *command: str) -> ProcessLauncher:
        """A launcher whose runners are this shell script; `$WORDS` is where it can talk."""
        made = ProcessLauncher(
            self.folder,
            list(command) or ["/bin/sh", "-c", script],
            home=RunnerHome("http://github.test/", "http://api.github.test"),
            environment={"WORDS": str(self.words.path)},
        )
        self._made.append(made)
        return made

    async def word(self) -> str:
        """The next line that a runner says."""
        return await self.words.next()

    def file(self, name: str, file: str) -> dict[str, Any]:
        """One of a runner's files."""
        return json.loads((self.folder / name / file).read_text())

    async def close(self) -> None:
        """End every launcher, keeper and runner, also those that no file names."""
        for made in self._made:
            await made.close()
        while ours := [pid for pid in processes() if is_ours(pid, self.folder)]:
            for pid in ours:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in ours:
                await exit_of(pid)
        self.words.close()


def processes() -> list[int]:
    """All of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def is_ours(pid: int, folder: Path) -> bool:
    """Whether a process is a keeper or a runner of this folder, and no stranger by now."""
    if not lives(pid):
        return False
    try:
        of_keeper = str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        return of_keeper or str(folder) in str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return False


def request(job: int = 1) -> LaunchRequest:
    """A runner for a job."""
    return LaunchRequest(
        f"runner-job/acme/api/{job}", "acme/api", f"penstock-{job}-1", ["self-hosted", "linux"]
    )


async def take(launcher: ProcessLauncher, count: int = 1) -> list[RunnerReference]:
    """The next runners that end."""
    ends = launcher.ended()
    async with asyncio.timeout(SECONDS):
        found = [await anext(ends) for _ in range(count)]
    await ends.aclose()
    return found


async def no_more(launcher: ProcessLauncher, seconds: float = 0.6) -> bool:
    """Whether no further end is told within a time: longer than the launcher's own looking."""
    ends = launcher.ended()
    try:
        async with asyncio.timeout(seconds):
            await anext(ends)
    except TimeoutError:
        return True
    finally:
        await ends.aclose()
    return False


async def exit_of(pid: int) -> None:
    """Wait for the end of any process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        async with asyncio.timeout(SECONDS):
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def in_another_life(runners: Runners, script: str, *, die_at: str) -> None:
    """Launch from a worker that is killed -9: `die_at` names the moment.

    It is `launched`, or a Python audit event and the end of its first argument.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.activities.short_life", str(runners.folder), str(runners.words.path)),
        *(script, die_at),
        cwd=ROOT,
    )
    async with asyncio.timeout(SECONDS):
        assert await process.wait() == -signal.SIGKILL, f"it never came to {die_at}"
