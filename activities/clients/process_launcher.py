"""Runners as processes of this machine: one folder each, kept by a keeper of its own.

FOLDER/NAME/ holds launch.json (what to run, no secret), token (mode 0600), lock (held while the
keeper lives), started.json, ended.json, runner.log and work/. All of it survives a `kill -9` of
the worker: the next one finds every runner by its folder, and whether it lives by its lock.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from activities.errors import LaunchRefused
from activities.github import RunnerToken
from activities.runners import LaunchRequest, RunnerReference

KEEPER = Path(__file__).with_name("keeper.py")
START_SECONDS = 20.0  # for a keeper to say that its runner has started, on a loaded machine
POLL_SECONDS = 0.5  # only for runners that another worker's life started, without pidfd
KILL_AFTER_SECONDS = 10.0
INHERITED = ("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "SHELL")


class ProcessLauncher:
    """The adapter of the port activities/runners.py for one machine."""

    def __init__(
        self,
        folder: Path,
        command: list[str],
        *,
        github_url: str,
        api_url: str,
        scope: str = "repository",
        environment: dict[str, str] | None = None,
    ) -> None:
        """`command` runs one runner in an empty folder; docs/runners.md has its environment."""
        self._folder = folder
        self._command = command
        self._github_url = github_url.rstrip("/")
        self._api_url = api_url
        self._scope = scope
        self._environment = environment or {}
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._ended: asyncio.Queue[RunnerReference] = asyncio.Queue()

    async def launch(self, request: LaunchRequest, token: RunnerToken) -> RunnerReference:
        """Start a runner under its name, once: a second call finds the first one's."""
        folder = self._folder / request.name
        if not (folder / "ended.json").exists() and not _locked(folder):
            self._prepare(folder, request, token)
            keeper = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(KEEPER),
                str(folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            self._watch(request.name, keeper)
            if keeper.stdout is not None:
                # Its word that the runner runs, or the end of the pipe: then it is over already.
                await keeper.stdout.readline()
        try:
            async with asyncio.timeout(START_SECONDS):
                await _appears(folder)
        except TimeoutError:
            raise LaunchRefused(
                f"the runner {request.name} did not start within {START_SECONDS:.0f} s"
            ) from None
        ended = _read(folder / "ended.json")
        if ended.get("error"):
            await self.acknowledge(request.name)
            raise LaunchRefused(f"runner.command cannot be run: {ended['error']}")
        return self._reference(folder)

    async def all(self) -> list[RunnerReference]:
        """All runners that are alive, or whose end nobody has acknowledged."""
        if not self._folder.is_dir():
            return []
        folders = sorted(self._folder.glob("*/launch.json"))
        return [self._reference(path.parent) for path in folders]

    async def stop(self, name: str) -> None:
        """SIGTERM to the keeper, which passes it on; SIGKILL to the runner if that is in vain."""
        folder = self._folder / name
        started = _read(folder / "started.json")
        if not started or not _locked(folder):
            return
        _signal(started["pid"], signal.SIGTERM)
        try:
            async with asyncio.timeout(KILL_AFTER_SECONDS):
                await _unlocked(folder, started["pid"])
        except TimeoutError:
            if _locked(folder):
                _signal_group(started["runner_pid"], signal.SIGKILL)

    async def ended(self) -> AsyncIterator[RunnerReference]:
        """Runners as they end, those first that ended while nobody watched."""
        for reference in await self.all():
            if reference.name not in self._watched:
                self._watch(reference.name, None)
        while True:
            yield await self._ended.get()

    async def acknowledge(self, name: str) -> None:
        """Delete the runner's folder."""
        self._watched.pop(name, None)
        await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)

    async def close(self) -> None:
        """Stop watching; the runners run on."""
        tasks = list(self._watched.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _prepare(self, folder: Path, request: LaunchRequest, token: RunnerToken) -> None:
        (folder / "work").mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = folder / "token"
        secret.unlink(missing_ok=True)
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(token.value)
        owner = request.repo.partition("/")[0]
        target = owner if self._scope == "organization" else request.repo
        kind = "PENSTOCK_RUNNER_JITCONFIG_FILE" if token.jit else "PENSTOCK_RUNNER_TOKEN_FILE"
        launch = {
            "workflow_id": request.workflow_id,
            "command": self._command,
            "environment": {
                "PENSTOCK_GITHUB_URL": self._api_url,
                "PENSTOCK_RUNNER_URL": f"{self._github_url}/{target}",
                "PENSTOCK_RUNNER_NAME": request.name,
                "PENSTOCK_RUNNER_LABELS": ",".join(request.labels),
                kind: str(secret),
                **_harmless(os.environ),
                **self._environment,
            },
        }
        unfinished = folder / ".launch.json"
        unfinished.write_text(json.dumps(launch), encoding="utf-8")
        unfinished.replace(folder / "launch.json")

    def _reference(self, folder: Path) -> RunnerReference:
        launch, started = _read(folder / "launch.json"), _read(folder / "started.json")
        return RunnerReference(
            name=folder.name,
            provider_id=str(started.get("pid", "")),
            workflow_id=str(launch.get("workflow_id", "")),
            alive=_locked(folder),
        )

    def _watch(self, name: str, keeper: asyncio.subprocess.Process | None) -> None:
        self._watched[name] = asyncio.create_task(self._follow(name, keeper))

    async def _follow(self, name: str, keeper: asyncio.subprocess.Process | None) -> None:
        folder = self._folder / name
        if keeper is not None:
            await keeper.wait()
        if _locked(folder):  # started in another worker's life
            await _unlocked(folder, int(_read(folder / "started.json").get("pid", 0)))
        (folder / "token").unlink(missing_ok=True)
        await self._ended.put(self._reference(folder))


def _harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """What a runner may inherit: a job is other people's code, and must see no key of ours."""
    return {
        key: value
        for key, value in environment.items()
        if key in INHERITED or key.startswith("LC_")
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _locked(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


async def _appears(folder: Path) -> None:
    """Until it is written how the start went: at once, but for a start by another worker."""
    outcomes = (folder / "started.json", folder / "ended.json")
    while not any(path.exists() for path in outcomes):  # noqa: ASYNC110 - files have no event
        await asyncio.sleep(0.05)


async def _unlocked(folder: Path, pid: int) -> None:
    """Until the keeper is gone: told by the kernel where it can be, else looked for."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        descriptor = -1
    # Looked again after opening: the number may have passed to another process by then.
    if descriptor >= 0 and _locked(folder):
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return
    if descriptor >= 0:
        os.close(descriptor)
    while _locked(folder):  # noqa: ASYNC110 - a lock of another process has no event
        await asyncio.sleep(POLL_SECONDS)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
