"""What a run amounted to, in figures; each name says its unit."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from checker import actions, idle, sweep
from checker.evidence import Evidence
from checker.fleet import ALL, scopes
from checker.history import History
from checker.jobs import JobRun
from checker.permits import Lease, Wait

REFUSED = (429, 503)


@dataclass(frozen=True)
class Spread:
    """Quantiles (nearest rank) of `samples` measurements; all None if there are none."""

    samples: int
    p50: float | None = None
    p95: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of the values, rounded to a tenth of a millisecond if they are seconds."""
        ordered = sorted(values)
        if not ordered:
            return cls(0)
        last = len(ordered) - 1
        p50, p95 = (round(ordered[round(last * part)], 4) for part in (0.5, 0.95))
        return cls(len(ordered), p50, p95, round(ordered[-1], 4))


@dataclass(frozen=True)
class Peak:
    """The most permits out at once, and the highest limit that was in force (None: unknown)."""

    in_use_permits: int
    limit_permits: int | None


@dataclass(frozen=True)
class Figures:
    """The figures of one run. None: the evidence does not tell.

    Jobs: `accepted` were started by a queued event; `outcomes` counts the results of those that
    have one; `refused` are jobs with a queued event answered 429 or 503, `duplicates` queued
    events delivered again after one was taken. Delivery times need the simulator's log.
    """

    jobs_accepted: int
    jobs_by_outcome: dict[str, int]
    jobs_refused: int | None
    deliveries_duplicate: int | None
    peak_fleet: Peak
    peak_by_org: dict[str, Peak]
    peak_by_repo: dict[str, Peak]
    delivery_to_launch_seconds: Spread  # webhook sent → launch_runner has answered
    delivery_to_launch_permit_free_seconds: Spread  # of these, jobs that found a permit free
    start_to_launch_seconds: Spread  # RunnerJob started → launch_runner has answered
    permit_to_launch_seconds: Spread  # granted → launch_runner has answered
    wait_for_permit_seconds: Spread  # acquire (or not_before) → grant
    release_to_next_grant_seconds: Spread  # in one repository, while somebody waited there
    longest_idle_permit_seconds: float  # certainly free beside an admissible waiter (L6)
    workflow_task_delay_seconds: Spread  # scheduled → started: how busy worker and server are
    github_calls_per_job: float | None
    history_events_per_job: float | None  # of all workflows
    billable_actions_per_job: float | None  # of all workflows; rules: checker/actions.py

    def as_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def summary(evidence: Evidence) -> Figures:
    """The figures of the run."""
    jobs = [job for job in evidence.jobs.values() if job.asked]
    outcomes: dict[str, int] = {}
    for job in evidence.jobs.values():
        if job.result:
            name = str(job.result.get("outcome"))
            outcomes[name] = outcomes.get(name, 0) + 1
    refused, duplicates = _deliveries(evidence)
    repos = {lease.repo for lease in evidence.permits.leases}
    sent = _sent(evidence)
    free = _found_free(evidence)
    launched = {job.workflow_id: at for job in jobs if (at := _launched(job)) is not None}
    by_delivery = {
        key: at - sent[key] for key, at in launched.items() if key in sent and at >= sent[key]
    }
    calls = None if evidence.simulated is None else len(evidence.simulated.calls)
    return Figures(
        jobs_accepted=len(jobs),
        jobs_by_outcome=dict(sorted(outcomes.items())),
        jobs_refused=refused,
        deliveries_duplicate=duplicates,
        peak_fleet=_peak(evidence, ALL),
        peak_by_org={org: _peak(evidence, org) for org in sorted({scopes(r)[1] for r in repos})},
        peak_by_repo={repo: _peak(evidence, repo) for repo in sorted(repos)},
        delivery_to_launch_seconds=Spread.of(by_delivery.values()),
        delivery_to_launch_permit_free_seconds=Spread.of(
            seconds for key, seconds in by_delivery.items() if key in free
        ),
        start_to_launch_seconds=Spread.of(
            launched[job.workflow_id] - job.started_at
            for job in jobs
            if job.workflow_id in launched
        ),
        permit_to_launch_seconds=Spread.of(
            at - evidence.jobs[key].permit_since(at) for key, at in launched.items()
        ),
        wait_for_permit_seconds=Spread.of(
            wait.until - wait.eligible_at
            for wait in evidence.permits.waits
            if wait.how == "granted" and wait.until is not None
        ),
        release_to_next_grant_seconds=Spread.of(_regrants(evidence)),
        longest_idle_permit_seconds=idle.longest(evidence),
        workflow_task_delay_seconds=Spread.of(
            delay for one in evidence.histories for delay in _task_delays(one)
        ),
        github_calls_per_job=_per(calls, len(jobs)),
        history_events_per_job=_per(sum(len(h.events) for h in evidence.histories), len(jobs)),
        billable_actions_per_job=_per(sum(map(actions.count, evidence.histories)), len(jobs)),
    )


def _per(total: int | None, jobs: int) -> float | None:
    return round(total / jobs, 3) if jobs and total is not None else None


def _task_delays(history: History) -> Iterable[float]:
    for before, after in pairwise(history.events):
        if after.type == "WORKFLOW_TASK_STARTED" and before.type == "WORKFLOW_TASK_SCHEDULED":
            yield after.time - before.time


def _launched(job: JobRun) -> float | None:
    return next((one.completed_at for one in job.launches if one.completed_at is not None), None)


def _peak(evidence: Evidence, scope: str) -> Peak:
    highest = sweep.highest(
        (lease.granted_at, float("inf") if lease.ended_at is None else lease.ended_at)
        for lease in evidence.permits.leases
        if scope in scopes(lease.repo)
    )
    known = evidence.fleet.limits
    return Peak(highest, max(limits.cap(scope) for _, limits in known) if known else None)


def _deliveries(evidence: Evidence) -> tuple[int | None, int | None]:
    """Jobs refused at least once, and queued events that came again after one was taken."""
    if evidence.simulated is None:
        return None, None
    refused: set[str] = set()
    taken: dict[str, int] = {}
    for one in evidence.simulated.deliveries:
        if one.event != "workflow_job" or one.action != "queued":
            continue
        if one.status_code in REFUSED:
            refused.add(one.job_id)
        elif one.ok:
            taken[one.job_id] = taken.get(one.job_id, 0) + 1
    return len(refused), sum(count - 1 for count in taken.values())


def _sent(evidence: Evidence) -> dict[str, float]:
    """When the queued event that started each job was sent, by workflow id."""
    by_job = {job.job_id: job for job in evidence.jobs.values() if job.asked}
    sent: dict[str, float] = {}
    for one in evidence.simulated.deliveries if evidence.simulated else []:
        job = by_job.get(one.job_id)
        began = one.delivered_at - one.duration
        queued = one.event == "workflow_job" and one.action == "queued"
        # The newest attempt before the start: those before it were refused or lost.
        if job and queued and began <= job.started_at:
            sent[job.workflow_id] = max(began, sent.get(job.workflow_id, began))
    return sent


def _found_free(evidence: Evidence) -> set[str]:
    """Jobs whose first `acquire` found a permit free in repository, org and fleet.

    Those who waited before it count as having one each. A job that was granted only after some
    other permit came back may have been overtaken, and so have waited: it does not count.
    """
    if not evidence.fleet.limits:
        return set()
    marks: list[tuple[float, int, str, Wait | None]] = []
    for wait in evidence.permits.waits:
        marks.append((wait.since, 1, wait.repo, wait))
        if wait.until is not None and wait.how != "granted":
            marks.append((wait.until, -1, wait.repo, None))
    granted = {(wait.job, wait.until) for wait in evidence.permits.waits if wait.how == "granted"}
    for lease in evidence.permits.leases:
        if (lease.job, lease.granted_at) not in granted:
            marks.append((lease.granted_at, 1, lease.repo, None))
        if lease.ended_at is not None:
            marks.append((lease.ended_at, -1, lease.repo, None))
    marks.sort(key=lambda mark: mark[:2])
    wanted: dict[str, int] = {}
    found: set[str] = set()
    seen: set[str] = set()
    back = sorted(
        lease.ended_at for lease in evidence.permits.leases if lease.ended_at is not None
    )
    for at, step, repo, wait in marks:
        for scope in scopes(repo):
            wanted[scope] = wanted.get(scope, 0) + step
        if wait and wait.job not in seen and wait.until is not None:
            seen.add(wait.job)
            overtaken = bisect_right(back, at) < bisect_right(back, wait.until)
            if not overtaken and all(
                wanted[s] <= evidence.fleet.lowest_cap(s, at, at) for s in scopes(repo)
            ):
                found.add(wait.job)
    return found


def _regrants(evidence: Evidence) -> Iterable[float]:
    """Seconds from each lease's end to the grant that follows it, where somebody waited.

    Ends and grants of one repository are paired in order; a pair counts if the grant's waiter was
    admissible at the end already. Where the fleet is the narrower limit, the permit may have gone
    to another repository first: the figure is then too high, never too low.
    """
    leases: dict[str, list[Lease]] = {}
    for lease in evidence.permits.leases:
        leases.setdefault(lease.repo, []).append(lease)
    came: dict[tuple[str, float], float] = {
        (wait.job, wait.until): wait.eligible_at
        for wait in evidence.permits.waits
        if wait.how == "granted" and wait.until is not None
    }
    for of_one in leases.values():
        yield from _pairs(of_one, came)


def _pairs(leases: Sequence[Lease], came: dict[tuple[str, float], float]) -> Iterable[float]:
    ends = sorted(lease.ended_at for lease in leases if lease.ended_at is not None)
    place = 0
    for lease in leases:  # in the order of their grants
        eligible_at = came.get((lease.job, lease.granted_at))
        if eligible_at is None:
            continue
        # Ends from before the waiter came made permits that lay free: not its own.
        while place < len(ends) and ends[place] < eligible_at:
            place += 1
        if place < len(ends) and ends[place] <= lease.granted_at:
            yield lease.granted_at - ends[place]
            place += 1
