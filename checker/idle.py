"""Free permits beside admissible waiters, from leases, waits, limits, modes and pauses.

The reading accuses only where no other reading is possible. A moment t counts, for a bound and a
repository, if
- the same waiter is admissible from t to t + bound: it has asked, its `not_before` has passed, its
  workflow is open, it is neither granted nor gone;
- in its repository, its org and the fleet, more permits are free at t than are granted from t to
  t + bound, by the lowest limit of that time: so whichever permit each grant took, one lay free
  all the while. Permits are alike, hence the one that is free longest counts as granted first;
- none of that time lies before the Fleet, in mode maintenance, in a pause of the org, or in an
  outage.
Draining is no exception: what is queued is still served. The price of caution: a fleet that makes
more grants within the bound than it has free permits is never accused.
"""

from collections.abc import Sequence

from checker import sweep
from checker.evidence import Evidence
from checker.fleet import ALL, scopes
from checker.permits import Wait
from checker.sweep import FOREVER, Interval

PRECISION = 0.01  # seconds


def moments(evidence: Evidence, bound: float) -> list[tuple[str, float, float]]:
    """Repository, first and last such moment; the permit lay free until `bound` after the last."""
    fleet = evidence.fleet
    if not fleet.limits:
        return []
    changes = [at - early for at, _ in fleet.limits for early in (0.0, bound)]
    spans: dict[str, list[Interval]] = {}
    for lease in evidence.permits.leases:
        end = FOREVER if lease.ended_at is None else lease.ended_at
        for scope in scopes(lease.repo):
            # A grant within the bound after t takes a permit away at t already.
            spans.setdefault(scope, []).append((lease.granted_at - bound, end))
    free: dict[str, list[Interval]] = {}
    for scope in {s for wait in evidence.permits.waits for s in scopes(wait.repo)}:
        found = sweep.below(
            spans.get(scope, []),
            lambda at, scope=scope: fleet.lowest_cap(scope, at, at + bound),
            changes,
        )
        shut = [(begin - bound, end) for begin, end in _shut(evidence, scope)]
        free[scope] = sweep.without(found, shut)
    waits: dict[str, list[Interval]] = {}
    for wait in evidence.permits.waits:
        waits.setdefault(wait.repo, []).append(_admissible(evidence, wait, bound))
    stretches: list[tuple[str, float, float]] = []
    for repo, waiting in waits.items():
        common: Sequence[Interval] = sweep.union(waiting)
        for scope in scopes(repo):
            common = sweep.both(common, free[scope])
        stretches += [(repo, begin, end) for begin, end in common]
    return stretches


def longest(
    evidence: Evidence, most: float = 600.0, within: Interval = (-FOREVER, FOREVER)
) -> float:
    """The longest that a permit certainly lay free beside a waiter, in seconds, up to `most`.

    `within`: only what began in that time (epoch seconds) counts.
    """

    def found(bound: float) -> bool:
        since, until = within
        return any(begin <= until and end >= since for _, begin, end in moments(evidence, bound))

    low, high = 0.0, most
    if not found(PRECISION):
        return 0.0
    while high - low > PRECISION:
        middle = (low + high) / 2 if high - low < 1 or low else min(1.0, high / 2)
        low, high = (middle, high) if found(middle) else (low, middle)
    return round(low, 2)


def end_of(evidence: Evidence, wait: Wait) -> float | None:
    """When the wait ended; the end of its job's workflow ends it too."""
    job = evidence.jobs.get(wait.job)
    ends = [at for at in (wait.until, job.last.closed_at if job else None) if at is not None]
    return min(ends, default=None)


def _shut(evidence: Evidence, scope: str) -> list[Interval]:
    """Times in which nothing need be granted in this scope."""
    fleet = evidence.fleet
    if scope != ALL:
        return [(begin, end) for org, begin, end in fleet.pauses if org == scope]
    before = (-FOREVER, fleet.limits[0][0])
    return [before, *evidence.outages, *fleet.in_mode("maintenance")]


def _admissible(evidence: Evidence, wait: Wait, bound: float) -> Interval:
    """The moments from which the wait lasts for the bound; an empty span if there are none."""
    end = end_of(evidence, wait)
    latest = (evidence.now if end is None else end) - bound
    return (wait.eligible_at, max(wait.eligible_at, latest))
