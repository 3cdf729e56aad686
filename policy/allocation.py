"""How many permits each repository may have out: `allocate` and its laws.

1. The sum stays within the capacity; each repository within its limit and its share of the fleet;
   each organization within its limit; permits in use are kept as long as all that allows.
2. Work-conserving: no permit stays free while a waiter could have it under law 1.
3. The higher effective priority first; within one level max–min fair over permits, then the
   oldest waiter, then the name.
4. A repository or organization at its own limit never holds up another.
5. Ageing bounds every wait (policy/priority.py).
6. Deterministic: the same input gives the same answer.

A limit may be set below what is in use. Nothing is revoked then: the allotment goes below the
permits in use, so that those that come back are not given out again.
"""

import heapq
from dataclasses import dataclass, field

from policy.limits import Limits, org_of
from policy.messages import Waiting
from policy.priority import effective_level


@dataclass
class Demand:
    """One repository's permits in use and its waiters."""

    repo: str
    in_use: int = 0
    waiting: list[Waiting] = field(default_factory=list[Waiting])


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


def allocate(snapshot: Snapshot, now: float) -> dict[str, int]:
    """The allotment of each repository named in the snapshot."""
    return allocation(snapshot, now).allotments


def allocation(snapshot: Snapshot, now: float) -> Allocation:
    """As `allocate`, with the order in which free permits were given to waiters."""
    kept = _keep(snapshot, now)
    free = snapshot.capacity - sum(max(kept[d.repo], d.in_use) for d in snapshot.demands)
    free_in_org: dict[str, int] = {}
    for demand in snapshot.demands:
        org = org_of(demand.repo)
        room = free_in_org.setdefault(org, org_cap(snapshot, org, now))
        free_in_org[org] = room - max(kept[demand.repo], demand.in_use)

    # One permit a turn to the first in line: max–min fairness in O(permits × log repositories).
    queue: list[tuple[int, int, float, str]] = []
    queues: dict[str, list[tuple[int, float]]] = {}
    for demand in snapshot.demands:
        if kept[demand.repo] < demand.in_use:
            continue  # over its limit already
        line = heads(demand.waiting, now)
        if line:
            queues[demand.repo] = line
            first, oldest = line[-1]
            queue.append((first, kept[demand.repo], oldest, demand.repo))
    heapq.heapify(queue)
    order: list[str] = []
    while free > 0 and queue:
        _, n, _, repo = heapq.heappop(queue)
        org = org_of(repo)
        if n >= snapshot.limits.repo_cap(repo) or free_in_org[org] <= 0:
            continue  # it leaves the line; nobody behind it waits for it
        kept[repo] = n + 1
        free -= 1
        free_in_org[org] -= 1
        order.append(repo)
        line = queues[repo]
        line.pop()
        if line:
            heapq.heappush(queue, (line[-1][0], n + 1, line[-1][1], repo))
    return Allocation(kept, order)


def heads(waiting: list[Waiting], now: float) -> list[tuple[int, float]]:
    """One entry a waiter, (effective level, oldest of its group), the first to serve last.

    Only the oldest arrival of each group is known; its fellows count as old as it is, which can
    age them too early by less than one step and never too late.
    """
    entries = [
        (effective_level(group.priority, group.oldest, now), group.oldest)
        for group in waiting
        for _ in range(min(group.count, 10_000))
    ]
    entries.sort(reverse=True)
    return entries


def org_cap(snapshot: Snapshot, org: str, now: float) -> int:
    """The organization's limit; nothing while it cools down."""
    if snapshot.cooling.get(org, 0.0) > now:
        return 0
    return snapshot.limits.org_cap(org)


def _keep(snapshot: Snapshot, now: float) -> dict[str, int]:
    """Permits in use, cut down by what is over a limit: the largest give first (max–min)."""
    kept: dict[str, int] = {}
    by_org: dict[str, list[str]] = {}
    for demand in snapshot.demands:
        kept[demand.repo] = min(demand.in_use, snapshot.limits.repo_cap(demand.repo))
        by_org.setdefault(org_of(demand.repo), []).append(demand.repo)
    for org, repos in by_org.items():
        _cut(kept, repos, org_cap(snapshot, org, now))
    _cut(kept, list(kept), snapshot.capacity)
    return kept


def _cut(kept: dict[str, int], repos: list[str], most: int) -> None:
    over = sum(kept[repo] for repo in repos) - most
    if over <= 0:
        return
    heap = [(-kept[repo], repo) for repo in repos]
    heapq.heapify(heap)
    for _ in range(over):
        negative, repo = heap[0]
        kept[repo] -= 1
        heapq.heapreplace(heap, (negative + 1, repo))
