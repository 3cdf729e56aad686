"""Which busy repositories should pass a permit on instead of granting it again themselves.

A repository regrants what comes back to it without asking anybody. Alone, that would let those
who came first keep the fleet for ever. So where a waiter elsewhere is ahead of a repository's own
next waiter, that repository's allotment is lowered below what it has in use: nothing is revoked,
and the next permit that comes back goes to the Fleet, and from there to the waiter.

Who is ahead: the higher effective priority; within a level, whoever would still have the smaller
share after the hand-over than the giver has now (max–min over permits divided by weight); at a
tie, whoever used less of the fleet lately, then whoever waits longer, each by more than a margin,
so that equals do not pass a permit to and fro for nothing.
"""

from dataclasses import dataclass

from policy.allocation import Allocation, Demand, Snapshot, groups, org_cap
from policy.limits import org_of

MARGIN_SECONDS = 10.0
MARGIN_PERMIT_SECONDS = 10.0


@dataclass
class _Contender:
    """A repository with waiters that get nothing now: their order, the first to serve last."""

    repo: str
    n: int
    weight: float
    used: float  # recent permit-seconds, divided by weight
    heads: list[tuple[int, float]]

    @property
    def rank(self) -> tuple[int, float, float, float, str]:
        level, oldest = self.heads[-1]
        return (level, self.n / self.weight, self.used, oldest, self.repo)


def hand_over(snapshot: Snapshot, goal: Allocation, now: float) -> dict[str, int]:
    """How many permits each repository should pass on, beyond what `goal` gives and takes."""
    left: list[_Contender] = []
    in_use: dict[str, int] = {}
    room: dict[str, int] = {}
    for demand in snapshot.demands:
        n = goal.allotments[demand.repo]
        org = org_of(demand.repo)
        if org not in room:
            room[org] = org_cap(snapshot, org, now)
        room[org] -= max(n, demand.in_use)
        if demand.waiting and n >= demand.in_use:
            in_use[demand.repo] = demand.in_use
            contender = _contender(snapshot, demand, n, now)
            if contender.heads:
                left.append(contender)
    # What the goal has just given is nobody's to pass on: only what is in use comes back.
    givers = {one.repo: one for one in left if one.n and one.n == in_use[one.repo]}
    passed: dict[str, int] = {}
    if not givers:
        return passed
    for taker in sorted(left, key=lambda one: one.rank):
        org = org_of(taker.repo)
        while taker.heads and taker.n < snapshot.limits.repo_cap(taker.repo):
            inside = room[org] <= 0  # only a permit of its own organization is of use
            fitting = (
                one
                for one in givers.values()
                if one.repo != taker.repo and one.n > 0 and (not inside or org_of(one.repo) == org)
            )
            giver = max(fitting, key=lambda one: one.rank, default=None)
            if giver is None or not _ahead(taker, giver):
                break
            passed[giver.repo] = passed.get(giver.repo, 0) + 1
            giver.n -= 1
            room[org_of(giver.repo)] += 1
            givers.pop(taker.repo, None)  # who takes does not give
            taker.n += 1
            room[org] -= 1
            taker.heads.pop()
        else:
            continue
        if not inside:
            break  # whoever comes later in the order is ahead of nobody either
    return passed


def _contender(snapshot: Snapshot, demand: Demand, n: int, now: float) -> _Contender:
    """The waiters that the goal leaves without a permit; one head more than it could ever take."""
    given = max(0, n - demand.in_use)
    most = given + max(1, snapshot.limits.repo_cap(demand.repo) - n)
    heads: list[tuple[int, float]] = []
    for level, oldest, count in groups(demand.waiting, now):
        heads += [(level, oldest)] * min(count, most - len(heads))
    # What the goal gives goes to the first of them.
    heads = heads[given:][::-1]
    weight = snapshot.limits.weights.get(demand.repo, 1.0)
    return _Contender(demand.repo, n, weight, demand.used / weight, heads)


def _ahead(taker: _Contender, giver: _Contender) -> bool:
    level, waits_since = taker.heads[-1]
    other_level, other_since = giver.heads[-1]
    if level != other_level:
        return level < other_level
    share, other_share = (taker.n + 1) / taker.weight, giver.n / giver.weight
    if share != other_share:
        return share < other_share
    if abs(taker.used - giver.used) > MARGIN_PERMIT_SECONDS:
        return taker.used < giver.used
    return waits_since + MARGIN_SECONDS < other_since
