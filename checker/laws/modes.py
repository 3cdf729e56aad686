"""L9 draining admits nothing new, maintenance grants nothing."""

from bisect import bisect_right

from checker.evidence import Evidence, Violation
from checker.sweep import Interval


def nothing_new(evidence: Evidence) -> list[Violation]:
    """L9. While draining or in maintenance no job begins, and only what was queued is granted.

    A job that begins by `in_progress` or `completed` is no admission, as long as it is granted
    nothing. In maintenance nothing is granted at all. Each with `bounds.mode_change`, for what was
    under way when the signal came (or was sent around the gateway).
    """
    grace = evidence.bounds.mode_change
    shut = _after(evidence.fleet.in_mode("draining", "maintenance"), grace)
    still = _after(evidence.fleet.in_mode("maintenance"), grace)
    broken: list[Violation] = []
    begun_while: dict[str, Interval] = {}
    for job in evidence.jobs.values():
        span = _containing(shut, job.started_at)
        if span is None:
            continue
        begun_while[job.workflow_id] = span
        if job.asked:
            why = "it was admitted while the fleet took no new work"
            broken.append(Violation("L9", job.workflow_id, job.started_at, why))
    for lease in evidence.permits.leases:
        if _containing(still, lease.granted_at):
            why = "it was granted a permit in maintenance"
            broken.append(Violation("L9", lease.job, lease.granted_at, why))
            continue
        span = begun_while.get(lease.job)
        told = lease.job in evidence.jobs and evidence.jobs[lease.job].asked
        if span and not told and lease.granted_at < span[1]:
            why = "it was not queued when the drain began, and was granted a permit"
            broken.append(Violation("L9", lease.job, lease.granted_at, why))
    return broken


def _after(spans: list[Interval], grace: float) -> list[Interval]:
    return [(begin + grace, end) for begin, end in spans if begin + grace < end]


def _containing(spans: list[Interval], at: float) -> Interval | None:
    place = bisect_right(spans, (at, float("inf"))) - 1
    return spans[place] if place >= 0 and at < spans[place][1] else None
