"""A process that a supervisor keeps, as systemd would: whatever ends is started again."""

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAUSE_SECONDS = 1.0  # before what ended by itself is started again
STOP_SECONDS = 40.0


class Process:
    """`start`, then `kill`, `restart`, `pause`, `resume`, at last `stop`."""

    def __init__(self, name: str, log: Path, *command: str, **environment: str) -> None:
        """`command` are the arguments of this Python."""
        self.name = name
        self.log = log
        self.more: dict[str, str] = {}  # of its environment, from the next start on
        self.ended: list[int] = []  # exit codes of ends that nobody asked for
        self._command = command
        self._environment = environment
        self._may_run = asyncio.Event()
        self._ready = asyncio.Event()
        self._told = False  # to end
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its number, while it lives."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and alive else None

    async def start(self, seconds: float = 90.0) -> None:
        """Start it and wait for its first line. Raises TimeoutError."""
        self._may_run.set()
        self._keeper = self._keeper or asyncio.create_task(self._keep())
        await self.ready(seconds)

    async def ready(self, seconds: float = 90.0) -> None:
        """Until it says that it runs."""
        async with asyncio.timeout(seconds):
            await self._ready.wait()

    async def kill(self) -> None:
        """kill -9; it stays down until `restart`."""
        self._may_run.clear()
        self._told = self.pid is not None
        self.signal(signal.SIGKILL)
        if self._process:
            await self._process.wait()
        self._ready.clear()

    def restart(self) -> None:
        """The supervisor may start it again."""
        self._may_run.set()

    def pause(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        """Send it, if it lives."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self) -> None:
        """End it as an operator would; kill it if that is in vain."""
        self._may_run.clear()
        self._told = self.pid is not None
        self.resume()
        self.signal(signal.SIGTERM)
        if self._process:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self.signal(signal.SIGKILL)
                await self._process.wait()
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            await self._may_run.wait()
            code = await self._run()
            told, self._told = self._told, False
            if not told:
                self.ended.append(code)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _run(self) -> int:
        """One life, to its end: the exit code."""
        self._ready.clear()
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._command),
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment, **self.more},
                start_new_session=True,  # Ctrl-C is for us
            )
            if not self._may_run.is_set():  # told to end while it was being started
                self._told = True
                self._process.kill()
            stdout = self._process.stdout
            while stdout and (line := await stdout.readline()):
                log.write(line)
                log.flush()
                self._ready.set()
        code = await self._process.wait()
        self._ready.clear()
        return code
