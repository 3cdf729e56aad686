"""How true the time to drain is: simulated drains against the estimate at their beginning.

`python -m benchmarks.drain_calibration` prints the table of docs/drain-estimate.md. The fleets
here run on true lives that the estimator never sees: it gets what the Fleet gets, ages, counts and
eleven quantiles of at most 64 past durations. The simulation is independent of policy/drain.py.
"""

import asyncio
import heapq
import math
import random
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from rich.console import Console

from benchmarks.record import Found
from policy.drain import Load, estimate
from policy.semaphore import quantiles

Draw = Callable[[], float]
SHAPES = ("log-normal", "bimodal", "heavy tail", "few samples")
DRAINS = 500  # over all shapes
FIRST_SEED = 1
KNOWN = 20  # samples of a repository that make its estimate one to hold to
WARM_UP_SECONDS = 20_000.0


@dataclass(frozen=True)
class Drain:
    """One simulated drain: what was said at its beginning, and how long it took."""

    shape: str
    samples: int  # the fewest of any repository
    p50: float
    p90: float
    upper: float
    truth: float

    @property
    def error(self) -> float:
        """|p50 − truth| ÷ truth."""
        return abs(self.p50 - self.truth) / self.truth


@dataclass
class _Repo:
    name: str
    cap: int
    waiting: int
    draw: Draw
    in_use: int = 0
    last: float = 0.0  # when it last got a permit


def one(shape: str, seed: int) -> Drain:
    """A busy fleet of random size, drained."""
    dice = random.Random(f"{shape} {seed}")
    capacity = dice.randint(6, 40)
    repos: list[_Repo] = []
    loads: dict[str, Load] = {}
    fewest = 64
    for i in range(dice.randint(3, 12)):
        draw = _lives(shape, dice)
        seen = dice.randint(3, 12) if shape == "few samples" else dice.randint(20, 64)
        fewest = min(fewest, seen)
        name = f"org{i % 3}/r{i}"
        cap = dice.randint(1, max(2, capacity // 3))
        repos.append(_Repo(name, cap, dice.randint(0, 4 * cap), draw))
        past = quantiles([draw() for _ in range(seen)])
        loads[name] = Load(name, [], 0, cap, past, seen)
    ends, ages = _before(repos, capacity, dice)
    said = estimate(
        [
            Load(r.name, ages[r.name], r.waiting, r.cap, loads[r.name].durations, seen.samples)
            for r, seen in zip(repos, loads.values(), strict=True)
        ],
        capacity,
    )
    truth = _play(repos, ends, capacity)
    return Drain(shape, fewest, said.p50, said.p90, said.upper, truth)


def _before(
    repos: list[_Repo], capacity: int, dice: random.Random
) -> tuple[list[tuple[float, int]], dict[str, list[float]]]:
    """Runners caught in the middle of their lives."""
    ages: dict[str, list[float]] = {repo.name: [] for repo in repos}
    ends: list[tuple[float, int]] = []
    free = capacity
    for i, repo in enumerate(repos):
        for _ in range(min(repo.cap, free, dice.randint(1, repo.cap))):
            # Jobs one after another for long, as on a busy fleet; then somebody drains it.
            life, age = repo.draw(), WARM_UP_SECONDS * dice.uniform(1, 2)
            while age >= life:
                age -= life
                life = repo.draw()
            ages[repo.name].append(age)
            ends.append((life - age, i))
            repo.in_use += 1
            free -= 1
    return ends, ages


def _play(repos: list[_Repo], ends: list[tuple[float, int]], capacity: int) -> float:
    """Serve the queue as the Fleet does: the fewest permits first, then whoever waited longest."""
    heapq.heapify(ends)
    now = 0.0
    while True:
        while len(ends) < capacity:
            able = [r for r in repos if r.waiting and r.in_use < r.cap]
            if not able:
                break
            taker = min(able, key=lambda r: (r.in_use, r.last, r.name))
            taker.waiting -= 1
            taker.in_use += 1
            taker.last = now
            heapq.heappush(ends, (now + taker.draw(), repos.index(taker)))
        if not ends:
            return max(now, 0.001)
        now, i = heapq.heappop(ends)
        repos[i].in_use -= 1


def _lives(shape: str, dice: random.Random) -> Draw:
    """True lives of one repository's runners, seconds."""
    median = math.exp(dice.uniform(math.log(60), math.log(900)))
    if shape == "bimodal":  # quick checks beside long test runs
        quick = dice.uniform(0.4, 0.8)
        return lambda: (
            dice.lognormvariate(math.log(median / 3), 0.3)
            if dice.random() < quick
            else dice.lognormvariate(math.log(2 * median), 0.3)
        )
    if shape == "heavy tail":  # Pareto with a finite mean and, below 2, no variance
        alpha = dice.uniform(1.8, 3.0)
        return lambda: min(6 * 3600.0, median * 0.7 * dice.paretovariate(alpha))
    sigma = dice.uniform(0.3, 0.9)
    return lambda: dice.lognormvariate(math.log(median), sigma)


def drains(count: int, first_seed: int) -> list[Drain]:
    """So many drains, the shapes in turn; each of this machine's cores plays some of them."""
    # Spawned: a fork of a process with threads may hang.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        shapes = [SHAPES[i % len(SHAPES)] for i in range(count)]
        seeds = range(first_seed, first_seed + count)
        return list(pool.map(one, shapes, seeds, chunksize=10))


def coverage(of: list[Drain]) -> float:
    """The share of drains that were over by their p90."""
    return sum(d.truth <= d.p90 for d in of) / len(of)


def error(of: list[Drain]) -> float:
    """The median of |p50 − truth| ÷ truth."""
    return statistics.median(d.error for d in of)


async def measure(console: Console, found: Found) -> None:
    """Drains of every shape; covered by the 90th percentile, and the median's error."""
    count = 100 if found.quick else DRAINS
    console.print(f"{count} simulated drains")
    played = await asyncio.to_thread(drains, count, FIRST_SEED)
    rows = {shape: [d for d in played if d.shape == shape] for shape in SHAPES}
    known = [d for d in played if d.samples >= KNOWN]
    for name, of in (*rows.items(), (f"at least {KNOWN} samples", known), ("all", played)):
        found.figure(
            f"{name}, {len(of)} drains: over by their p90",
            100 * coverage(of),
            "%",
            at_least=85 if name == "all" else None,
        )
        found.figure(
            f"{name}: median of |p50 − truth| ÷ truth",
            100 * error(of),
            "%",
            at_most=25 if of is known else None,
        )


def main() -> None:
    """Print a row for each shape and for all."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else FIRST_SEED
    found = drains(DRAINS, first)
    print(f"{DRAINS} drains, seeds from {first}")
    print(f"{'shape':<14}{'drains':>7}{'p90 covers':>12}{'p50 covers':>12}{'median error':>14}")
    rows = {shape: [d for d in found if d.shape == shape] for shape in SHAPES}
    rows[f"≥ {KNOWN} samples"] = [d for d in found if d.samples >= KNOWN]
    rows["all"] = found
    for shape, of in rows.items():
        half = sum(d.truth <= d.p50 for d in of) / len(of)
        print(f"{shape:<14}{len(of):>7}{coverage(of):>12.1%}{half:>12.1%}{error(of):>14.1%}")


if __name__ == "__main__":
    main()
