"""What a change of limits would do to the permits, were the demand to stay as it is.

`allocate` is asked twice, with the limits before and after. Recent use is not known here, so that
among equals another repository may win than the Fleet would choose; the sums are the same.
"""

from dataclasses import dataclass, replace

from policy.allocation import Demand, Snapshot, allocate
from policy.limits import Limits


@dataclass(frozen=True)
class Effect:
    """One repository before and after: its limit (share included), and the permits it would get.

    `over` of its permits in use are more than it then may have: none is revoked, they are not
    given out again.
    """

    repo: str
    in_use: int
    waiting: int
    limit_before: int
    limit_after: int
    permits_before: int
    permits_after: int

    @property
    def over(self) -> int:
        """Permits in use beyond what it may then have."""
        return max(0, self.in_use - self.permits_after)

    @property
    def changed(self) -> bool:
        """Whether it is another repository's business alone."""
        return (self.limit_before, self.permits_before) != (self.limit_after, self.permits_after)


@dataclass(frozen=True)
class Preview:
    """The whole fleet before and after; the repositories concerned, the most concerned first."""

    capacity_before: int
    capacity_after: int
    permits_before: int
    permits_after: int
    effects: list[Effect]

    @property
    def over(self) -> int:
        """Permits in use beyond what their repositories may then have."""
        return sum(effect.over for effect in self.effects)


def capacity_after(capacity: int, old: Limits, new: Limits) -> int:
    """How many permits may be out then; what back-pressure or maintenance took stays taken."""
    return min(capacity, new.max_runners) if capacity < old.max_runners else new.max_runners


def preview(old: Limits, new: Limits, now_: Snapshot, now: float) -> Preview:
    """The effect on this demand (`now_`, whose limits are `old` whatever it says)."""
    capacity = capacity_after(now_.capacity, old, new)
    before = allocate(replace(now_, limits=old), now)
    after = allocate(replace(now_, limits=new, capacity=capacity), now)
    names = [demand.repo for demand in now_.demands]
    caps_before, caps_after = old.repo_caps(names), new.repo_caps(names)
    effects = [
        Effect(
            repo=demand.repo,
            in_use=demand.in_use,
            waiting=_waiting(demand),
            limit_before=caps_before[demand.repo],
            limit_after=caps_after[demand.repo],
            permits_before=before[demand.repo],
            permits_after=after[demand.repo],
        )
        for demand in now_.demands
    ]
    concerned = [effect for effect in effects if effect.changed or effect.over]
    concerned.sort(key=lambda e: (-abs(e.permits_after - e.permits_before), -e.over, e.repo))
    return Preview(
        capacity_before=now_.capacity,
        capacity_after=capacity,
        permits_before=sum(before.values()),
        permits_after=sum(after.values()),
        effects=concerned,
    )


def _waiting(demand: Demand) -> int:
    return sum(group.count for group in demand.waiting)
