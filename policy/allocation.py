"""How many permits each repository may have out: `allocate` and its laws.

1. The sum stays within the capacity; each repository within its limit and its share of the fleet;
   each organization within its limit; permits in use are kept as long as all that allows.
2. Work-conserving: no permit stays free while a waiter could have it under law 1.
3. The higher effective priority first; within one level max–min fair over permits divided by
   weight, then the repository with the least recent use (divided by weight), then the oldest
   waiter, then the name.
4. A repository or organization at its own limit never holds up another.
5. Ageing bounds every wait (policy/priority.py).
6. Deterministic: the same input gives the same answer.

A limit may be set below what is in use. Nothing is revoked then: the allotment goes below the
permits in use, so that those that come back are not given out again.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from policy.limits import Limits, org_of
from policy.messages import Waiting
from policy.priority import effective_level


@dataclass
class Demand:
    """One repository's permits in use, its waiters, and its recent use (permit-seconds)."""

    repo: str
    in_use: int = 0
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    used: float = 0.0  # decayed: policy/usage.py


@dataclass
class Snapshot:
    """All that `allocate` looks at; `capacity` is the effective one, at most max_runners."""

    limits: Limits
    capacity: int
    demands: list[Demand]
    cooling: dict[str, float] = field(default_factory=dict[str, float])  # org → until


@dataclass(frozen=True)
class Allocation:
    """The allotments, and the repositories in the order in which waiters won free permits."""

    allotments: dict[str, int]
    order: list[str]


Claim = tuple[float, float, str]  # recent use divided by weight, oldest waiter, repository


def allocate(snapshot: Snapshot, now: float) -> dict[str, int]:
    """The allotment of each repository named in the snapshot."""
    return allocation(snapshot, now).allotments


def allocation(snapshot: Snapshot, now: float) -> Allocation:
    """As `allocate`, with the order in which free permits were given to waiters."""
    caps = snapshot.limits.repo_caps([demand.repo for demand in snapshot.demands])
    kept = _keep(snapshot, caps, now)
    free = snapshot.capacity
    room: dict[str, int] = {}  # what each organization may have beyond what it has
    orgs: dict[str, str] = {}
    for demand in snapshot.demands:
        free -= demand.in_use  # `kept` may be less: what is over a limit is out all the same
        org = orgs[demand.repo] = org_of(demand.repo)
        if org not in room:
            room[org] = org_cap(snapshot, org, now)
        room[org] -= demand.in_use
    order: list[str] = []
    if free > 0:
        for claims in _in_turns(snapshot, caps, kept, free, now):
            for _, _, repo in claims:
                org = orgs[repo]
                if room[org] > 0:  # else it leaves the line; nobody behind it waits for it
                    room[org] -= 1
                    kept[repo] += 1
                    free -= 1
                    order.append(repo)
                    if not free:
                        return Allocation(kept, order)
    return Allocation(kept, order)


def _in_turns(
    snapshot: Snapshot, caps: dict[str, int], kept: dict[str, int], most: int, now: float
) -> Iterator[list[Claim]]:
    """Claims of one permit each, in the order of law 3, all of one level and share at a time.

    A repository's own claims stand in this order already (its levels do not fall, its share
    rises), so that sorting all claims gives what serving the first in line one by one would.
    """
    weights = snapshot.limits.weights
    turns: dict[tuple[int, float], list[Claim]] = {}
    # Comparisons, not min and max: with 10,000 repositories each call costs a millisecond.
    for demand in snapshot.demands:
        if not demand.waiting:
            continue
        repo = demand.repo
        n = kept[repo]
        below = caps[repo] - n
        wanted = below if below < most else most
        if wanted <= 0 or n < demand.in_use:
            continue  # at its limit, or over it
        weight = weights.get(repo, 1.0) if weights else 1.0
        used = demand.used / weight
        for level, oldest, count in groups(demand.waiting, now):
            claim = (used, oldest, repo)
            for _ in range(count if count < wanted else wanted):
                turn = (level, n / weight)
                if turn in turns:
                    turns[turn].append(claim)
                else:
                    turns[turn] = [claim]
                n += 1
            wanted -= count
            if wanted <= 0:
                break
    for turn in sorted(turns):
        claims = turns[turn]
        claims.sort()
        yield claims


def groups(waiting: list[Waiting], now: float) -> list[tuple[int, float, int]]:
    """The waiters as (effective level, oldest of its group, how many), the first to serve first.

    Only the oldest arrival of each group is known; its fellows count as old as it is, which can
    age them too early by less than one step and never too late.
    """
    if len(waiting) == 1:
        (only,) = waiting
        return [(effective_level(only.priority, only.oldest, now), only.oldest, only.count)]
    return sorted((effective_level(g.priority, g.oldest, now), g.oldest, g.count) for g in waiting)


def org_cap(snapshot: Snapshot, org: str, now: float) -> int:
    """The organization's limit; nothing while it cools down."""
    if snapshot.cooling.get(org, 0.0) > now:
        return 0
    return snapshot.limits.org_cap(org)


def _keep(snapshot: Snapshot, caps: dict[str, int], now: float) -> dict[str, int]:
    """Permits in use, cut down by what is over a limit: the largest give first (max–min)."""
    kept: dict[str, int] = {}
    in_org: dict[str, int] = {}
    total = 0
    for demand in snapshot.demands:
        repo = demand.repo
        cap, in_use = caps[repo], demand.in_use
        n = kept[repo] = in_use if in_use < cap else cap
        if n:
            total += n
            org = org_of(repo)
            in_org[org] = in_org.get(org, 0) + n
    excess = {org: n - org_cap(snapshot, org, now) for org, n in in_org.items()}
    repos: dict[str, list[str]] = {org: [] for org, over in excess.items() if over > 0}
    if repos:
        for repo in kept:
            if (org := org_of(repo)) in repos:
                repos[org].append(repo)
    for org, members in repos.items():
        _cut(snapshot, kept, members, excess[org])
        total -= excess[org]
    _cut(snapshot, kept, list(kept), total - snapshot.capacity)
    return kept


def _cut(snapshot: Snapshot, kept: dict[str, int], repos: list[str], over: int) -> None:
    """Take so many permits off: one a turn from the largest share (permits divided by weight)."""
    if over <= 0:
        return
    weights = snapshot.limits.weights
    heap = [(-kept[repo] / weights.get(repo, 1.0), repo) for repo in repos if kept[repo]]
    heapq.heapify(heap)
    for _ in range(over):
        _, repo = heap[0]
        kept[repo] -= 1
        heapq.heapreplace(heap, (-kept[repo] / weights.get(repo, 1.0), repo))
