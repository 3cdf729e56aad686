"""L6 no free permit idles beside an admissible waiter, L7 nobody starves."""

from checker import sweep
from checker.evidence import Evidence, Violation
from checker.fleet import ALL, scopes
from checker.permits import Wait
from checker.sweep import FOREVER, Interval


def no_idle_permit(evidence: Evidence) -> list[Violation]:
    """L6. No permit lies free for longer than `bounds.idle_permit` while somebody may have it.

    The reading, which accuses only where no other reading is possible. A moment t is one if, for
    one repository:
    - the same waiter is admissible from t to t + bound: it has asked, its `not_before` has passed,
      its workflow is open, it is neither granted nor gone;
    - in its repository, its org and the fleet, more permits are free at t than are granted from
      t to t + bound, by the lowest limit of that time: so whichever permit each grant took, one
      lay free all the while. Permits are alike, hence the one that is free longest counts as
      granted first;
    - none of that time lies before the Fleet, in mode maintenance, in a pause of the org, or in
      an outage.
    Draining is no exception: what is queued is still served.
    """
    fleet, bound = evidence.fleet, evidence.bounds.idle_permit
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
    before = (-FOREVER, fleet.limits[0][0])
    closed = [before, *evidence.outages, *fleet.in_mode("maintenance")]
    for scope in {s for wait in evidence.permits.waits for s in scopes(wait.repo)}:
        found = sweep.below(
            spans.get(scope, []),
            lambda at, scope=scope: fleet.lowest_cap(scope, at, at + bound),
            changes,
        )
        pauses = (
            closed
            if scope == ALL
            else [(begin, end) for org, begin, end in fleet.pauses if org == scope]
        )
        free[scope] = sweep.without(found, [(begin - bound, end) for begin, end in pauses])
    broken: list[Violation] = []
    for repo, waits in _by_repo(evidence.permits.waits).items():
        moments = sweep.union(_admissible(evidence, wait, bound) for wait in waits)
        for scope in scopes(repo):
            moments = sweep.both(moments, free[scope])
        for begin, end in moments:
            why = f"a permit lay free for {end - begin + bound:.3f} s beside a waiter"
            broken.append(Violation("L6", repo, begin, why))
    return broken


def no_starvation(evidence: Evidence) -> list[Violation]:
    """L7. Every waiter is granted or leaves.

    At rest nobody waits any more; before that nobody has waited for longer than `bounds.wait`.
    """
    broken: list[Violation] = []
    for wait in evidence.permits.waits:
        end = _end(evidence, wait)
        if end is not None:
            continue
        waited = evidence.now - wait.eligible_at
        if evidence.at_rest or waited > evidence.bounds.wait:
            why = f"it has waited for {waited:.1f} s and waits still"
            broken.append(Violation("L7", wait.job, wait.since, why))
    return broken


def _by_repo(waits: list[Wait]) -> dict[str, list[Wait]]:
    found: dict[str, list[Wait]] = {}
    for wait in waits:
        found.setdefault(wait.repo, []).append(wait)
    return found


def _end(evidence: Evidence, wait: Wait) -> float | None:
    """When the wait ended; the end of its job's workflow ends it too."""
    job = evidence.jobs.get(wait.job)
    ends = [at for at in (wait.until, job.last.closed_at if job else None) if at is not None]
    return min(ends, default=None)


def _admissible(evidence: Evidence, wait: Wait, bound: float) -> Interval:
    """The moments from which the wait lasts for the bound; an empty span if there are none."""
    end = _end(evidence, wait)
    latest = (evidence.now if end is None else end) - bound
    return (wait.eligible_at, max(wait.eligible_at, latest))
