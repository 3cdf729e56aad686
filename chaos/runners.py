"""Runner processes by what they left in their folders: which live, and how to break one."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Found:
    """A runner that lives, with its keeper's number; 0 for what has ended."""

    name: str
    runner: int
    keeper: int


def alive(folder: Path) -> list[Found]:
    """Runners of which a process lives, in the order of their names."""
    found: list[Found] = []
    for place in sorted(folder.glob("[!.]*")):
        started = _started(place)
        runner, keeper = int(started.get("runner_pid", 0)), int(started.get("pid", 0))
        # A number may be another's by now.
        runner = runner if _says(runner, "environ", f"PENSTOCK_RUNNER_NAME={place.name}") else 0
        keeper = keeper if _is_in(keeper, place) else 0
        if runner or keeper:
            found.append(Found(place.name, runner, keeper))
    return found


def programs(found: list[Found]) -> list[int]:
    """The programs that have forked these keepers and live still."""
    parents = {_parent(one.keeper) for one in found if one.keeper}
    return sorted(pid for pid in parents if _says(pid, "cmdline", "keeper.py"))


def send(pid: int, number: int) -> bool:
    """Whether the signal was sent: it may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def end_all(folder: Path) -> None:
    """kill -9 of every runner and keeper that is left."""
    for one in alive(folder):
        for pid in (one.keeper, one.runner):
            if pid:
                send(pid, signal.SIGKILL)


def _started(place: Path) -> dict[str, Any]:
    try:
        return json.loads((place / "started.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _says(pid: int, file: str, word: str) -> bool:
    """Whether /proc says this of a process."""
    try:
        return bool(pid) and word.encode() in Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return False


def _is_in(pid: int, place: Path) -> bool:
    """Whether this folder is where a process is; a runner is in a folder of it."""
    try:
        return bool(pid) and Path(f"/proc/{pid}/cwd").readlink() == place
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0
