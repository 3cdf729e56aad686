"""L4 in use stays within the limits, L5 every lease comes back."""

from collections.abc import Iterable

from checker.evidence import Evidence, Violation
from checker.fleet import scopes
from checker.permits import Lease

Use = tuple[float, float, float, str]  # begin, end, the oldest limit that may bind it, repository


def leases_within_limits(evidence: Evidence) -> list[Violation]:
    """L4, read from the semaphores: each grant leaves its repository, org and fleet in limits.

    What was granted before a limit was lowered is never revoked, so only grants are judged, and
    with `bounds.lowering` for those under way: before the workflow task that decides on it begins,
    for nothing that comes later is known to it; or before the end of a Fleet, while none speaks.
    In use below 0 cannot be: a lease ends once.
    """
    return _over(
        evidence,
        [
            (
                lease.granted_at,
                _end(lease.ended_at),
                _bound_since(evidence, lease.repo, lease.decided_at),
                lease.repo,
            )
            for lease in evidence.permits.leases
        ],
        "leases",
    )


def runners_within_limits(evidence: Evidence) -> list[Violation]:
    """L4, read from the runners: each one that begins finds its scopes within the limits.

    A runner follows its permit, and may begin long after it (a token, a second launch): the limit
    that binds it is the highest since the permit was decided on.
    """
    decided: dict[str, list[Lease]] = {}
    for lease in evidence.permits.leases:  # in the order of their grants
        decided.setdefault(lease.job, []).append(lease)
    return _over(
        evidence,
        [
            (
                runner.since,
                _end(runner.until),
                _bound_since(
                    evidence,
                    runner.repo,
                    _decided(decided.get(runner.workflow_id, []), runner.permit_since),
                ),
                runner.repo,
            )
            for runner in evidence.runners
            if "/" in runner.repo  # a runner of an organization without a workflow: L13's
        ],
        "runners",
    )


def _bound_since(evidence: Evidence, repo: str, decided_at: float) -> float:
    """The oldest limit that may bind a permit was in force then.

    The time for what is under way begins when the semaphore can hear: a Fleet that does not know
    yet what it has out must have its word first.
    """
    since = evidence.permits.heard_since(repo, decided_at - evidence.bounds.lowering)
    heard = evidence.fleet.heard_since(since)
    return since if heard == since else heard - evidence.bounds.lowering


def _decided(leases: list[Lease], heard_at: float) -> float:
    """When the permit that a job heard of at that time was decided on."""
    sent = [lease.decided_at for lease in leases if lease.granted_at <= heard_at]
    return sent[-1] if sent else heard_at


def _over(evidence: Evidence, uses: Iterable[Use], what: str) -> list[Violation]:
    if not evidence.fleet.limits:
        return []  # without a Fleet's history nobody knows the limits
    by_scope: dict[str, list[Use]] = {}
    for use in uses:
        for scope in scopes(use[3]):
            by_scope.setdefault(scope, []).append(use)
    broken: list[Violation] = []
    for scope, found in by_scope.items():
        # Ends before begins at the same moment: a permit given back may be granted at once.
        marks = [(end, 0, end) for begin, end, _, _ in found if end > begin]
        marks += [(begin, 1, bound_since) for begin, end, bound_since, _ in found if end > begin]
        running = 0
        for at, begins, bound_since in sorted(marks):
            running += 1 if begins else -1
            cap = evidence.fleet.highest_cap(scope, bound_since, at) if begins else running
            if running > cap:
                why = f"{running} {what} at once, the limit is {cap}"
                broken.append(Violation("L4", scope or "fleet", at, why))
    return broken


def every_lease_returns(evidence: Evidence) -> list[Violation]:
    """L5. A lease is back soon after its job's workflow closed.

    Soon is `bounds.give_back` after a normal end and `bounds.sweeps` after any other. A lease of
    a job that is not in the evidence is not judged.
    """
    bounds = evidence.bounds
    broken: list[Violation] = []
    for lease in evidence.permits.leases:
        job = evidence.jobs.get(lease.job)
        closed_at = job.last.closed_at if job else None
        if job is None or closed_at is None:
            continue
        grace = bounds.give_back if job.last.status == "completed" else bounds.sweeps
        due = max(closed_at, lease.granted_at) + grace
        if min(_end(lease.ended_at), evidence.now) > due:
            why = f"its lease {lease.id} was not back {grace:.0f} s after its end"
            broken.append(Violation("L5", lease.job, due, why))
    return broken


def _end(at: float | None) -> float:
    return float("inf") if at is None else at
