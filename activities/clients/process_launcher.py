"""Runners as processes of this machine: one folder each, kept by a keeper of its own.

FOLDER/NAME/ holds launch.json (what to run, no secret), token (mode 0600), lock (held while the
keeper lives), runner.lock (held while the runner lives, or a process it began), started.json,
ended.json, runner.log and work/. All of it survives a `kill -9` of the worker: the next one finds
every runner by its folder, and whether it lives by the locks, also if its keeper was killed.
A hidden folder is one that is being deleted.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from activities.clients.keepers import HAS_KEEPER, STARTED, UNKNOWN, Keeper, Keepers
from activities.errors import LaunchRefused, LaunchUnavailable
from activities.github import RunnerToken
from activities.runner_environment import RunnerHome, harmless
from activities.runners import LaunchRequest, RunnerReference

START_SECONDS = 20.0  # for a keeper to say that its runner has started, on a loaded machine
POLL_SECONDS = 0.5  # only for runners that another worker's life started, without pidfd
LOOK_SECONDS = 5.0  # between looks for runners whose worker has ended before them
KILL_AFTER_SECONDS = 10.0
ACKNOWLEDGED = "acknowledged"
NAME_KEPT_SECONDS = 3600.0  # a launch is tried for ten minutes at most
LOOK_FOR_GRAVES_SECONDS = 60.0


class ProcessLauncher:
    """The adapter of the port activities/runners.py for one machine."""

    def __init__(
        self,
        folder: Path,
        command: list[str],
        home: RunnerHome,
        environment: dict[str, str] | None = None,
    ) -> None:
        """`command` runs one runner in an empty folder; docs/runners.md has its environment."""
        self._folder = folder
        self._command = command
        self._home = home
        self._environment = environment or {}
        self._keepers = Keepers(folder)
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._ended: asyncio.Queue[RunnerReference] = asyncio.Queue()

    async def launch(self, request: LaunchRequest, token: RunnerToken) -> RunnerReference:
        """Start a runner under its name, once: a second call finds the first one's."""
        folder = self._folder / request.name
        async with self._alone(request.name):
            if (folder / ACKNOWLEDGED).exists():
                return self._reference(folder)
            try:
                async with asyncio.timeout(START_SECONDS):
                    if not (folder / "ended.json").exists() and not _alive(folder):
                        await self._start(folder, request, token)
                    await _appears(folder)
            except TimeoutError:
                if not _begun(folder):
                    raise LaunchRefused(
                        f"the runner {request.name} did not start within {START_SECONDS:.0f} s"
                    ) from None
            ended = _read(folder / "ended.json")
            if ended.get("error"):
                await self._forget(request.name)
                raise LaunchRefused(f"runner.command cannot be run: {ended['error']}")
            return self._reference(folder)

    async def find(self, name: str, attempt: int) -> RunnerReference | None:
        """As the port says, at every try: a folder is quickly looked at."""
        folder = self._folder / name
        if not (folder / "launch.json").exists() or (folder / ACKNOWLEDGED).exists():
            return None
        found = self._reference(folder)
        return found if found.alive or found.provider_id else None

    async def all(self) -> list[RunnerReference]:
        """All runners that are alive, or whose end nobody has acknowledged."""
        if not self._folder.is_dir():
            return []
        folders = sorted(path.parent for path in self._folder.glob("[!.]*/launch.json"))
        return [self._reference(f) for f in folders if not (f / ACKNOWLEDGED).exists()]

    async def stop(self, name: str) -> None:
        """SIGTERM to the keeper, which passes it on; SIGKILL to the runner if that is in vain."""
        folder = self._folder / name
        started = _read(folder / "started.json")
        if not started or not _alive(folder):
            return
        if _locked(folder / "lock"):
            _signal(started["pid"], signal.SIGTERM)
        else:  # the keeper was killed, and its number may be another's by now
            _signal_group(started["runner_pid"], signal.SIGTERM)
        try:
            async with asyncio.timeout(KILL_AFTER_SECONDS):
                await _gone(folder)
        except TimeoutError:
            if _alive(folder):
                _signal_group(started["runner_pid"], signal.SIGKILL)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(KILL_AFTER_SECONDS):
                        await _gone(folder)

    async def ended(self) -> AsyncIterator[RunnerReference]:
        """Runners as they end, those first that ended while nobody watched.

        Of several workers on one machine, each tells of the runners that it launched itself; of
        those of a worker that has ended, whoever looks first.
        """
        await asyncio.to_thread(_sweep, self._folder)
        looked_at = -LOOK_FOR_GRAVES_SECONDS
        for reference in await self.all():
            name, folder = reference.name, self._folder / reference.name
            if name in self._watched or name in self._busy:
                continue
            if not reference.alive and not _begun(folder):
                # Its launch was cut short: whoever asked for it asks again, so it has not ended.
                await self.acknowledge(name)
                continue
            self._watch(name, None)
        while True:
            # Not at each end: in an hour there may be ten thousand of them to look through.
            if time.monotonic() >= looked_at + LOOK_FOR_GRAVES_SECONDS:
                await asyncio.to_thread(_forget_names, self._folder)
                looked_at = time.monotonic()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    reference = await self._ended.get()
            except TimeoutError:
                for name in await asyncio.to_thread(_unheard, self._folder):
                    if name not in self._watched and name not in self._busy:
                        self._watch(name, None)
                continue
            # Forgotten since: its launch was refused. Alive again: its end will be told anew.
            if reference.name in self._watched and not _alive(self._folder / reference.name):
                yield reference

    async def acknowledge(self, name: str) -> None:
        """Delete the runner's work; its name stays taken for an hour.

        A launch whose answer was lost is tried again, perhaps after its runner has come and gone:
        it must find that, and not start another one that nobody follows.
        """
        async with self._alone(name):
            folder = self._folder / name
            if _alive(folder):
                return
            if not _begun(folder):  # it never ran: there is nothing to find
                await self._forget(name)
                return
            self._watched.pop(name, None)
            await asyncio.to_thread(_bury, folder)

    async def close(self) -> None:
        """Stop watching; the runners run on."""
        tasks = list(self._watched.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._keepers.close()

    def _alone(self, name: str) -> asyncio.Lock:
        """One at a time may launch this runner or delete its folder."""
        return self._busy.setdefault(name, asyncio.Lock())

    async def _start(self, folder: Path, request: LaunchRequest, token: RunnerToken) -> None:
        self._prepare(folder, request, token)
        keeper = await self._keepers.ask(request.name)
        self._watch(request.name, keeper)
        try:
            said = await asyncio.shield(keeper.word)
            if said not in (STARTED, HAS_KEEPER) and not _begun(folder):
                await self._forget(request.name)
                if said == UNKNOWN:
                    raise LaunchUnavailable("the program that keeps runners was killed")
                raise LaunchRefused(f"the keeper of {request.name} ended before its runner began")
        except asyncio.CancelledError:
            if not _begun(folder):  # a runner must not begin after we said that it did not
                await keeper.stop()
            raise

    async def _forget(self, name: str) -> None:
        task = self._watched.pop(name, None)
        if task:
            await asyncio.wait([task])
        await asyncio.to_thread(_delete, self._folder / name)

    def _prepare(self, folder: Path, request: LaunchRequest, token: RunnerToken) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "work").mkdir(exist_ok=True, mode=0o700)
        (folder / "started.json").unlink(missing_ok=True)  # of a keeper that was killed
        secret = folder / "token"
        kind = "PENSTOCK_RUNNER_JITCONFIG_FILE" if token.jit else "PENSTOCK_RUNNER_TOKEN_FILE"
        launch = {
            "workflow_id": request.workflow_id,
            "command": self._command,
            "environment": {
                **self._home.environment(request),
                kind: str(secret),
                **harmless(os.environ),
                **self._environment,
            },
        }
        unfinished = folder / ".launch.json"
        unfinished.write_text(json.dumps(launch), encoding="utf-8")
        unfinished.replace(folder / "launch.json")
        # Last, and whole: a folder with a secret is always one that `all` lists.
        unfinished = folder / ".token"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(token.value)
        unfinished.replace(secret)

    def _reference(self, folder: Path) -> RunnerReference:
        launch, started = _read(folder / "launch.json"), _read(folder / "started.json")
        return RunnerReference(
            name=folder.name,
            provider_id=str(started.get("pid", "")),
            workflow_id=str(launch.get("workflow_id", "")),
            alive=_alive(folder),
        )

    def _watch(self, name: str, keeper: Keeper | None) -> None:
        self._watched[name] = asyncio.create_task(self._follow(name, keeper))

    async def _follow(self, name: str, keeper: Keeper | None) -> None:
        folder = self._folder / name
        if keeper is not None:
            await asyncio.wait([keeper.word])
        await _gone(folder)  # started in another worker's life, or its keeper was killed
        (folder / "token").unlink(missing_ok=True)
        watched = self._watched.get(name) is asyncio.current_task()
        if watched and (folder / "launch.json").exists():  # else its end is known already
            await self._ended.put(self._reference(folder))


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _begun(folder: Path) -> bool:
    """Whether it ever came to a runner, or to the attempt to run one."""
    if (folder / "started.json").exists() or (folder / "ended.json").exists():
        return True
    return _locked(folder / "runner.lock") and not _locked(folder / "lock")


def _alive(folder: Path) -> bool:
    """Whether the runner lives, or is about to."""
    if (folder / "ended.json").exists():
        return False
    return _locked(folder / "lock") or _locked(folder / "runner.lock")


def _locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _delete(folder: Path) -> None:
    """All of it or nothing, as far as others see."""
    hidden = folder.with_name(f".{folder.name}")
    shutil.rmtree(hidden, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _bury(folder: Path) -> None:
    """Delete what a runner left, but not how it was launched and ended; that goes later."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / ACKNOWLEDGED).touch()


def _forget_names(runners: Path) -> None:
    """Delete what is left of the runners whose names have been kept for long enough."""
    for grave in runners.glob(f"[!.]*/{ACKNOWLEDGED}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - grave.stat().st_mtime > NAME_KEPT_SECONDS:
                _delete(grave.parent)


def _unheard(folder: Path) -> list[str]:
    """Runners that ended a while ago, and nobody has acknowledged it: their worker has ended."""
    names: list[str] = []
    for launch in folder.glob("[!.]*/launch.json"):
        runner = launch.parent
        if (runner / ACKNOWLEDGED).exists() or _alive(runner):
            continue
        last = runner / "ended.json"
        if not last.exists():  # its keeper was killed with it, or it is about to begin
            last = runner / "started.json"
        with contextlib.suppress(FileNotFoundError):
            if time.time() - last.stat().st_mtime > LOOK_SECONDS:
                names.append(runner.name)
    return names


def _sweep(folder: Path) -> None:
    """Finish the deletions that a `kill -9` has interrupted."""
    for hidden in folder.glob(".*"):
        shutil.rmtree(hidden, ignore_errors=True)


async def _appears(folder: Path) -> None:
    """Until it is written how the start went: at once, but for a start by another worker."""
    while not _begun(folder):  # noqa: ASYNC110 - files have no event
        await asyncio.sleep(0.05)


async def _gone(folder: Path) -> None:
    """Until keeper and runner are gone: told by the kernel where it can be, else looked for."""
    while _alive(folder):
        who = "pid" if _locked(folder / "lock") else "runner_pid"
        await _exit_of(int(_read(folder / "started.json").get(who, 0)), folder)
        if _alive(folder):  # what they began lives on, or there is no pidfd
            await asyncio.sleep(POLL_SECONDS)


async def _exit_of(pid: int, folder: Path) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return
    try:
        # Looked again after opening: the number may have passed to another process by then.
        if _alive(folder):
            loop = asyncio.get_running_loop()
            gone = asyncio.Event()
            loop.add_reader(descriptor, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
