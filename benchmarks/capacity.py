"""The speed of decisions without Temporal, and the size of what is carried."""

import time
from collections.abc import Callable

from rich.console import Console

from benchmarks import scale
from benchmarks.fresh import on_fresh_server
from benchmarks.record import Found, Line
from policy.allocation import Demand, Snapshot, allocate
from policy.limits import Limits
from policy.messages import Waiting

ROUNDS = 7
SIZES = (10, 100, 1_000, 10_000)


def snapshot_of(repos: int) -> Snapshot:
    """Half of them have a permit each; as many permits are free, and all wait for them."""
    return Snapshot(
        Limits(max_runners=repos),
        repos,
        [
            Demand(f"org{i % 50}/r{i}", i % 2, [Waiting("normal", 3, float(i))])
            for i in range(repos)
        ],
    )


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ordered(snapshot: Snapshot) -> list[Demand]:
    """What any ranking by least share must do: order the repositories once."""
    return sorted(snapshot.demands, key=lambda demand: (demand.in_use, demand.repo))


async def measure(console: Console, found: Found) -> None:
    """One allocation; workflow tasks beside a long queue; the Fleet's bytes."""
    console.print("allocations")
    rounds = 3 if found.quick else ROUNDS
    points: list[tuple[float, float]] = []
    for repos in SIZES:
        snapshot = snapshot_of(repos)
        allocate(snapshot, 1e6)
        took: list[float] = []
        sorting: list[float] = []
        for _ in range(rounds):
            took.append(1000 * seconds(lambda of=snapshot: allocate(of, 1e6)))
            sorting.append(1000 * seconds(lambda of=snapshot: _ordered(of)))
        points.append((repos, min(took)))
        if repos == SIZES[-1]:
            found.figure(
                f"allocate, {repos:,} repositories",
                took,
                "ms",
                floor=("sorted() of them", sorting),
                at_most=20,
            )
    found.curve(
        "allocate",
        "One allocation for the whole fleet",
        "repositories",
        "ms",
        [Line("best of its runs", points)],
    )
    waiters = 1_000 if found.quick else scale.WAITERS
    console.print(f"{waiters:,} waiters of one repository")
    filling, then = await on_fresh_server(lambda c, s: scale.task_seconds(c, s, waiters))
    found.figure(
        f"workflow task p95, {waiters:,} waiters", 1000 * (then.p95 or 0), "ms", at_most=200
    )
    found.figure("longest workflow task then", 1000 * (then.max or 0), "ms", at_most=200)
    found.figure("workflow task p95, while it fills", 1000 * (filling.p95 or 0), "ms")
    found.figure(
        "Fleet of 2,000 repositories, carried", scale.fleet_bytes(2000) / 1024, "KiB", at_most=512
    )
