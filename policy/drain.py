"""How long until the fleet is empty: an estimate with its method and its sample count.

A running job of age t, in a repository whose runners lived F: P(R ≤ x) = (F(t+x) − F(t)) / (1 −
F(t)), so its q-quantile is F⁻¹(1 − (1−q)(1 − F(t))) − t. The queue is list-scheduled on the
permits by typical (p50) and by long (p90) lives. Pure arithmetic, fit for a query handler.
"""

import heapq
import math
from dataclasses import dataclass, field

ENOUGH_SAMPLES = 20
# Without samples: log-normal of median 3 min and sigma 1.2, the figure of the field's literature
# for CI jobs; eleven quantiles from 2 % to 98 %.
PRIOR = [180.0 * math.exp(1.2 * z) for z in (
    -2.05, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 2.05,
)]  # fmt: skip


@dataclass(frozen=True)
class Load:
    """One repository's part of the work: ages of running runners (s), waiters, known lives."""

    repo: str
    ages: list[float]
    waiting: int
    permits: int  # how many of its jobs may run at once
    durations: list[float] = field(default_factory=list[float])  # quantiles, ascending
    samples: int = 0


@dataclass(frozen=True)
class Estimate:
    """Seconds until empty: half, and nine tenths, of such fleets are empty by p50, p90."""

    p50: float
    p90: float
    upper: float
    method: str
    samples: int


def estimate(loads: list[Load]) -> Estimate:
    """The time until all running and waiting jobs of these repositories have ended."""
    samples = sum(load.samples for load in loads)
    if not any(load.ages or load.waiting for load in loads):
        return Estimate(0.0, 0.0, 0.0, "empty", samples)
    everywhere = sorted(d for load in loads for d in load.durations)
    methods: set[str] = set()
    p50 = p90 = upper = 0.0
    for load in loads:
        if not (load.ages or load.waiting):
            continue
        lives, method = _lives(load, everywhere, samples)
        methods.add(method)
        p50 = max(p50, _finish(load, lives, 0.5))
        p90 = max(p90, _finish(load, lives, 0.9))
        upper = max(upper, _finish(load, lives, 1.0))
    return Estimate(
        round(p50, 1),
        round(max(p50, p90), 1),
        round(max(p50, p90, upper), 1),
        "+".join(sorted(methods)),
        samples,
    )


def residual(lives: list[float], age: float, q: float) -> float:
    """The q-quantile of the time left to a job of this age; `lives` ascending, not empty."""
    left = [life for life in lives if life > age]
    if not left:
        # Older than all that is known: expect it to go on for as long as the longest known life
        # is over, a guess that grows with the job and is never zero.
        return max(lives[-1], age) * (0.5 + q) / 2
    return left[min(len(left) - 1, math.ceil(q * len(left)) - 1 if q else 0)] - age


def _finish(load: Load, lives: list[float], q: float) -> float:
    ends = [residual(lives, age, q) for age in load.ages]
    if load.waiting:
        # List scheduling: each waiter takes the permit that comes free first.
        life = residual(lives, 0.0, q)
        width = max(1, load.permits)
        ends = heapq.nlargest(width, ends) if len(ends) > width else ends
        free = ends + [0.0] * (width - len(ends))
        heapq.heapify(free)
        rounds, rest = divmod(load.waiting, width)
        if rounds > 50:  # the shape no longer changes: skip whole rounds
            free = [end + life * rounds for end in free]
            heapq.heapify(free)
        else:
            rest = load.waiting
        for _ in range(rest):
            heapq.heapreplace(free, free[0] + life)
        ends = free
    return max(ends)


def _lives(load: Load, everywhere: list[float], samples: int) -> tuple[list[float], str]:
    if load.samples >= ENOUGH_SAMPLES:
        return load.durations, "repository"
    if samples >= ENOUGH_SAMPLES:
        return everywhere, "fleet"
    if load.samples:
        return load.durations, "repository-few"
    if everywhere:
        return everywhere, "fleet-few"
    return PRIOR, "prior"
