"""The two causes of slow launches that profiles named, before and after their mending, in one run.

Before: Temporal's own 20 looks a second at the queue of its only shard, which each signal and each
workflow task waited for; and a Python of its own for the keeper of each runner.
"""

import functools
import json
import resource
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from activities.clients.keepers import STARTED, Keepers
from benchmarks.fresh import on_fresh_server
from benchmarks.record import Found
from benchmarks.whole_path import JOBS, REPOS, calm, path
from embedded.temporal_server import LOOKS_A_SECOND

ROUNDS = 4
RUNNERS = 25
BEFORE = dict.fromkeys(LOOKS_A_SECOND, "20")  # Temporal's default


@dataclass(frozen=True)
class Keeping:
    """What the keeper of one runner costs until it says that its runner runs, ms."""

    seconds: float
    processor: float


async def keeping(*, each_its_own: bool) -> Keeping:
    """Runners that end at once, one after another."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        async with AsyncExitStack() as held:
            shared = Keepers(folder)
            held.push_async_callback(shared.close)
            began, spent = time.perf_counter(), _children()
            for number in range(RUNNERS):
                runner = _prepared(folder, f"runner-{number}")
                keepers = Keepers(folder) if each_its_own else shared
                said = await (await keepers.ask(runner)).word
                if said != STARTED:
                    raise RuntimeError(f"a keeper said {said!r}")
                if each_its_own:
                    await keepers.close()
            took = time.perf_counter() - began
        return Keeping(1000 * took / RUNNERS, 1000 * (_children() - spent) / RUNNERS)


def _prepared(folder: Path, name: str) -> str:
    (folder / name / "work").mkdir(parents=True)
    launch: dict[str, object] = {"command": ["/bin/sh", "-c", "exit 0"], "environment": {}}
    (folder / name / "launch.json").write_text(json.dumps(launch), encoding="utf-8")
    return name


def _children() -> float:
    """Seconds of processor time of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def measure(console: Console, found: Found) -> None:
    """Each round measures before and after one after the other, on servers of their own."""
    rounds = 1 if found.quick else ROUNDS
    waits: list[list[float]] = [[], []]
    rates: list[list[float]] = [[], []]
    kept: list[list[Keeping]] = [[], []]
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        for after, dynamic in enumerate((BEFORE, LOOKS_A_SECOND)):
            fresh = functools.partial(on_fresh_server, dynamic=dynamic)
            waits[after].append(1000 * ((await fresh(calm)).p50 or 0.0))
            rates[after].append((await fresh(path))[0])
            kept[after].append(await keeping(each_its_own=not after))
    looks = f"{BEFORE['history.transferProcessorMaxPollRPS']} looks a second"
    found.figure("webhook → launched p50, a permit free", waits[1], "ms", floor=(looks, waits[0]))
    found.figure(
        f"{JOBS} jobs of {REPOS} repositories at once", rates[1], "jobs/s", floor=(looks, rates[0])
    )
    for name, part in (("until it says so", "seconds"), ("processor time", "processor")):
        found.figure(
            f"a runner's keeper: {name}",
            [getattr(one, part) for one in kept[1]],
            "ms",
            floor=("a Python of its own", [getattr(one, part) for one in kept[0]]),
        )
