"""L9 draining admits nothing new, maintenance grants nothing."""

from bisect import bisect_right
from itertools import pairwise

from checker.evidence import Evidence, Violation
from checker.history import Event, History
from checker.sweep import Interval

# Temporal gives a workflow task up after ten seconds: no lateness of the machine excuses more.
MOST_LATE_SECONDS = 10.0


def nothing_new(evidence: Evidence) -> list[Violation]:
    """L9. While draining or in maintenance no job begins, and only what was queued is granted.

    A job that begins by `in_progress` or `completed` is no admission, as long as it is granted
    nothing. In maintenance nothing is granted at all. Each with `bounds.mode_change`, for what was
    under way when the signal came (or was sent around the gateway), from when the Fleet had heard
    of it, as its history shows. A semaphore hears of a maintenance by a signal and a workflow task
    more: as late as the machine was then with beginning such tasks, twice at worst, it cannot but
    grant.
    """
    grace = evidence.bounds.mode_change
    shut = _after(_heard(evidence, "draining", "maintenance"), grace)
    late = _lateness(evidence)
    still: list[Interval] = []
    for span in _heard(evidence, "maintenance"):
        until = span[0] + grace + MOST_LATE_SECONDS
        worst = max(
            (waited for at, waited in late if span[0] <= at + waited <= until), default=0.0
        )
        still += _after([span], grace + min(MOST_LATE_SECONDS, 2 * worst))
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


def _heard(evidence: Evidence, *modes: str) -> list[Interval]:
    """When the fleet was in one of these modes, from when its workflow had heard of it.

    That is when it completed a workflow task that began after the signal. One that is lost on its
    way (the server was killed while a worker had it) Temporal gives up ten seconds after it began,
    and until then the workflow hears nothing.
    """
    done = [
        (began.time, completed.time)
        for history in evidence.histories
        if history.type == "Fleet"
        for began, completed in pairwise(_tasks(history))
        if (began.type, completed.type) == ("WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED")
    ]
    heard: list[Interval] = []
    for begin, end in evidence.fleet.in_mode(*modes):
        since = min((completed for began, completed in done if began >= begin), default=begin)
        heard += _after([(begin, end)], min(since - begin, MOST_LATE_SECONDS))
    return heard


def _tasks(history: History) -> list[Event]:
    return [event for event in history.events if event.type.startswith("WORKFLOW_TASK_")]


def _lateness(evidence: Evidence) -> list[Interval]:
    """When workflow tasks of Fleet and semaphores were due, and how long until they began."""
    return [
        (before.time, after.time - before.time)
        for history in evidence.histories
        if history.type in ("Fleet", "RepoSemaphore")
        for before, after in pairwise(history.events)
        if before.type == "WORKFLOW_TASK_SCHEDULED" and after.type == "WORKFLOW_TASK_STARTED"
    ]


def _after(spans: list[Interval], grace: float) -> list[Interval]:
    return [(begin + grace, end) for begin, end in spans if begin + grace < end]


def _containing(spans: list[Interval], at: float) -> Interval | None:
    place = bisect_right(spans, (at, float("inf"))) - 1
    return spans[place] if place >= 0 and at < spans[place][1] else None
