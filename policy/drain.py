"""How long until the fleet is empty: an estimate with its method and its sample count.

The time to drain is the largest of many ends, so its quantiles are not the ends' quantiles. The
work is therefore played through a number of times: each running job gets a time left for its age,
each waiting one a life (policy/lives.py), and waiters take the permits as they come free, within
the fleet's capacity and each repository's own. The quantiles of those plays are the estimate. No
chance is involved: the levels are spread evenly over the plays (a Latin hypercube), in an order
that a fixed hash mixes. Each play also draws how far off the known durations may be (their
standard error), which the sum of a long queue does not average out.

How well this holds is measured: docs/drain-estimate.md.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import NormalDist

from policy.limits import org_of
from policy.lives import PRIOR, PRIOR_SAMPLES, Lives

ENOUGH_SAMPLES = 20
MOST_PLAYS = 199  # a prime, so that any step through the levels visits them all
FEWEST_PLAYS = 29
STEPS = 24_000  # plays × jobs, which bounds a query's time to some 50 ms
MOST_WAITERS = 600  # beyond, several waiters in a row count as one with the sum of their lives
# Errors of the known durations widen the plays to the right, since the last of several ends
# counts: this level of the plays is where half of the simulated drains were over.
HALF_LEVEL = 0.4
_NORMAL = NormalDist()
_SPREAD = [_NORMAL.inv_cdf((i + 0.5) / 64) for i in range(64)]


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
    """Seconds: half, and nine tenths, of such cases are over by p50, p90; `upper` is the worst."""

    p50: float
    p90: float
    upper: float
    method: str
    samples: int


@dataclass(frozen=True)
class Forecast:
    """The whole fleet's estimate, and those of the repositories that have work."""

    whole: Estimate
    repos: dict[str, Estimate]


@dataclass
class _Part:
    """A repository in the play."""

    load: Load
    lives: Lives
    method: str
    chunks: int  # waiters, or groups of them
    group: int  # waiters in a chunk


def estimate(loads: list[Load], capacity: int) -> Estimate:
    """The time until all running and waiting jobs of these repositories have ended."""
    return forecast(loads, capacity).whole


def forecast(loads: list[Load], capacity: int) -> Forecast:
    """The estimate of the whole and of each repository with work.

    With a capacity of 0 (maintenance) what waits never starts: only what runs is estimated, and
    the method says `paused`.
    """
    samples = sum(load.samples for load in loads)
    if capacity <= 0:
        loads = [replace(load, waiting=0) for load in loads]
    parts = _parts(loads)
    if not parts:
        return Forecast(Estimate(0.0, 0.0, 0.0, "empty", samples), {})
    ends: list[list[float]] = [[] for _ in parts]
    whole: list[float] = []
    for play in range(_plays(parts)):
        of_parts, _ = _play(parts, capacity, play)
        whole.append(max(of_parts))
        for mine, end in zip(ends, of_parts, strict=True):
            mine.append(end)
    paused = ["paused"] if capacity <= 0 else []
    methods = "+".join(sorted({part.method for part in parts} | set(paused)))
    return Forecast(
        _summary(whole, methods, samples),
        {
            part.load.repo: _summary(mine, part.method, part.load.samples)
            for part, mine in zip(parts, ends, strict=True)
        },
    )


def times_to_permits(
    loads: list[Load], asked: list[tuple[str, int]], capacity: int
) -> list[Estimate | None]:
    """Seconds until each of these waiters (repository, place in its line, 1 first) is served.

    As if nobody else came; a waiter that is not counted yet is taken as the last of its line.
    None for one whose repository may have no permit at all. The work is played through once for
    all of them, and no further than to the last one's turn.
    """
    if not asked:
        return []
    last: dict[str, int] = {}
    for repo, position in asked:
        last[repo] = max(position, last.get(repo, 1))
    known = {load.repo: load for load in loads}
    # Whoever comes after it in its own line makes no difference to a waiter.
    mine = [
        replace(known.get(repo, Load(repo, [], 0, 1)), waiting=most) for repo, most in last.items()
    ]
    parts = _parts([*mine, *(load for load in loads if load.repo not in last)])
    samples = sum(load.samples for load in loads)
    index = {repo: i for i, repo in enumerate(last)}
    plays = [
        _play(parts, max(1, capacity), play, watched=len(mine))[1] for play in range(_plays(parts))
    ]
    found: list[Estimate | None] = []
    for repo, position in asked:
        part = parts[index[repo]]
        chunk = math.ceil(max(1, position) / part.group) - 1
        if part.load.permits > 0:
            starts = [begun[index[repo]][chunk] for begun in plays]
            found.append(_summary(starts, part.method, samples))
        else:
            found.append(None)
    return found


def _summary(values: list[float], method: str, samples: int) -> Estimate:
    ordered = sorted(values)
    p50, p90 = _quantile(ordered, HALF_LEVEL), _quantile(ordered, 0.9)
    return Estimate(round(p50, 1), round(p90, 1), round(ordered[-1], 1), method, samples)


def _quantile(ordered: list[float], level: float) -> float:
    place = level * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _plays(parts: list[_Part]) -> int:
    jobs = sum(len(part.load.ages) + part.chunks for part in parts)
    return max(FEWEST_PLAYS, min(MOST_PLAYS, STEPS // max(1, jobs)))


def _parts(loads: list[Load]) -> list[_Part]:
    """The repositories with work, each with the best lives known for it."""
    known = _Known(loads)
    waiting = sum(load.waiting for load in loads)
    group = max(1, math.ceil(waiting / MOST_WAITERS))
    parts: list[_Part] = []
    for load in loads:
        if load.ages or load.waiting:
            lives, method = known.lives(load)
            parts.append(_Part(load, lives, method, math.ceil(load.waiting / group), group))
    return parts


class _Known:
    """Lives by repository, organization and fleet, each made once."""

    def __init__(self, loads: list[Load]) -> None:
        self._loads = loads
        self._pools: dict[str, tuple[Lives, int] | None] = {}

    def lives(self, load: Load) -> tuple[Lives, str]:
        """The nearest that has enough samples; else what there is; else the prior."""
        if load.samples >= ENOUGH_SAMPLES:
            return Lives.of(load.durations, load.samples), "repository"
        org = org_of(load.repo)
        for name, pool in (("organization", self._pool(org)), ("fleet", self._pool(""))):
            if pool and pool[1] >= ENOUGH_SAMPLES:
                return pool[0], name
        if load.samples:
            return Lives.of(load.durations, load.samples), "repository-few"
        pool = self._pool("")
        return (pool[0], "fleet-few") if pool else (Lives.of(PRIOR, PRIOR_SAMPLES), "prior")

    def _pool(self, org: str) -> tuple[Lives, int] | None:
        if org not in self._pools:
            mine = [x for x in self._loads if x.samples and (not org or org_of(x.repo) == org)]
            samples = sum(load.samples for load in mine)
            self._pools[org] = (Lives.of(_merged(mine), samples), samples) if mine else None
        return self._pools[org]


def _merged(loads: Iterable[Load]) -> list[float]:
    """Quantiles of all of them, each repository's counted by its samples."""
    weighted = sorted((d, x.samples / len(x.durations)) for x in loads for d in x.durations)
    total = sum(weight for _, weight in weighted)
    points = 20
    merged: list[float] = []
    reached, place = 0.0, 0
    for i in range(points + 1):
        while place < len(weighted) - 1 and reached + weighted[place][1] < total * i / points:
            reached += weighted[place][1]
            place += 1
        merged.append(weighted[place][0])
    merged[-1] = weighted[-1][0]
    return merged


def _play(
    parts: list[_Part], capacity: int, play: int, watched: int = 0
) -> tuple[list[float], list[list[float]]]:
    """One course of events: when each part's last job ends, when each of the watched ones' starts.

    The first so many parts are watched; then the course is broken off once their last has begun.
    """
    plays = MOST_PLAYS
    scales = [math.exp(part.lives.scale_error * _normal(play, i)) for i, part in enumerate(parts)]
    ends = [0.0] * len(parts)
    running: list[tuple[float, int]] = []
    in_use = [0] * len(parts)
    dice = len(parts)
    for i, part in enumerate(parts):
        for age in part.load.ages:
            scale = scales[i]
            dice += 1
            left = scale * part.lives.left(age / scale, _level(play, dice, plays))
            running.append((left, i))
        in_use[i] = len(part.load.ages)
    heapq.heapify(running)
    waiting = [part.chunks for part in parts]
    # Max–min: the line with the fewest permits goes first. An entry that is no longer true is
    # dropped when it comes up; each change of a line's permits puts a true one in.
    lines = [(in_use[i], i) for i, part in enumerate(parts) if part.chunks]
    heapq.heapify(lines)
    free = capacity - len(running)
    now = 0.0
    starts: list[list[float]] = [[] for _ in range(watched)]
    to_start = sum(part.chunks for part in parts[:watched] if part.load.permits > 0)
    while True:
        while free > 0 and lines:
            n, i = heapq.heappop(lines)
            part = parts[i]
            if n != in_use[i] or not waiting[i] or n >= part.load.permits:
                continue
            waiting[i] -= 1
            if i < watched:
                starts[i].append(now)
                to_start -= 1
                if not to_start:
                    return ends, starts
            dice += 1
            life = _life(part, _level(play, dice, plays)) * scales[i]
            heapq.heappush(running, (now + life, i))
            in_use[i] = n + 1
            heapq.heappush(lines, (n + 1, i))
            free -= 1
        if not running:
            return ends, starts
        now, i = heapq.heappop(running)
        ends[i] = now
        in_use[i] -= 1
        if waiting[i]:
            heapq.heappush(lines, (in_use[i], i))
        free += 1


def _life(part: _Part, level: float) -> float:
    if part.group == 1:
        return part.lives.life(level)
    mean, spread = part.lives.mean * part.group, part.lives.deviation * math.sqrt(part.group)
    return max(0.1 * mean, mean + spread * _NORMAL.inv_cdf(min(0.999, max(0.001, level))))


def _mixed(number: int) -> int:
    """A fixed hash of a number (the finalizer of splitmix64, Steele et al. 2014)."""
    z = (number * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return z ^ (z >> 31)


def _level(play: int, dice: int, plays: int) -> float:
    """The level of one draw in one play: over all plays each draw goes through all levels."""
    mixed = _mixed(dice)
    step, first = 1 + mixed % (plays - 1), (mixed >> 20) % plays
    return ((play * step + first) % plays + 0.5) / plays


def _normal(play: int, part: int) -> float:
    return _SPREAD[_mixed((play << 20) + part + 1) % len(_SPREAD)]
