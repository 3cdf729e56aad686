"""Leases and waits, from the semaphores' histories alone.

A lease runs from the first external signal `granted` that names it to the received `release` that
names it, to the failed delivery of the grant, or to the sweep that confirmed its holder closed at
a second look (docs: the design, section 6); the first may be a nudge that reached nobody. A wait
runs from `acquire` to the grant, or to a `release` without a lease, or to the end of the semaphore
that knew of it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from checker.history import Event, History
from checker.jobs import activity_name, chains, repo_of, table

Interval = tuple[float, float]
LOST_SECONDS = 11.0  # Temporal's ten for a task of one worker's queue, and what its timers lag


@dataclass
class Lease:
    """A permit that was out. `ended_at` is None while it still is."""

    id: str
    job: str  # the RunnerJob's workflow id
    repo: str
    granted_at: float
    decided_at: float  # what came later was not known: when the task that granted it began
    ended_at: float | None = None
    how: str = ""  # released, undelivered, reaped, forgotten (by a semaphore begun afresh)


@dataclass
class Wait:
    """A place in a queue; no grant is due before `eligible_at`. `until` is None while it waits."""

    job: str
    repo: str
    since: float
    eligible_at: float
    until: float | None = None
    how: str = ""  # granted, left, moved (asked again for later), lost (with its semaphore)


@dataclass
class Permits:
    """Everything the semaphores did, in the order of its beginning."""

    leases: list[Lease] = field(default_factory=list[Lease])
    waits: list[Wait] = field(default_factory=list[Wait])
    tasks: dict[str, list[Interval]] = field(default_factory=dict[str, list[Interval]])  # by repo

    def heard_since(self, repo: str, at: float) -> float:
        """What changed from then to `at` this semaphore could not hear of: it was in a task.

        Its worker may have been cut off meanwhile; eleven seconds before the task's end at most.
        `at` itself where no task was under way.
        """
        tasks = self.tasks.get(repo, [])
        place = bisect_left(tasks, (at, 0.0)) - 1
        if place < 0 or at > tasks[place][1]:
            return at
        return min(at, max(tasks[place][0], tasks[place][1] - LOST_SECONDS))


def read(histories: Iterable[History]) -> Permits:
    """All semaphores' leases and waits."""
    permits = Permits()
    for workflow_id, runs in chains(histories, "RepoSemaphore").items():
        semaphore = _Semaphore(repo_of(workflow_id), permits)
        events = [
            (event.time, order, event) for order, run in enumerate(runs) for event in run.events
        ]
        events.sort(key=lambda one: (one[0], one[1], one[2].id))
        for _, order, event in events:
            semaphore.take(order, event)
    for tasks in permits.tasks.values():
        tasks.sort()
    permits.leases.sort(key=lambda lease: lease.granted_at)
    permits.waits.sort(key=lambda wait: wait.since)
    return permits


class _Task:
    """Since when a semaphore has heard nothing.

    Usually since its newest workflow task began. One that a killed worker or server took with it
    is given up after ten seconds, and then another is made: the semaphore could say and hear
    nothing from the moment on at which the lost one was due. More is not excused.
    """

    def __init__(self) -> None:
        self.deaf_since: float | None = None
        self.began_at = 0.0
        self._due_at = 0.0
        self._lost = False

    def take(self, event: Event) -> None:
        match event.type:
            case "WORKFLOW_TASK_SCHEDULED":
                self._due_at = self._due_at if self._lost else event.time
            case "WORKFLOW_TASK_STARTED":
                self.began_at = event.time
                most = event.time - LOST_SECONDS
                self.deaf_since = max(self._due_at, most) if self._lost else event.time
            case "WORKFLOW_TASK_TIMED_OUT":
                self._lost = True
            case _:
                self._lost = False


class _Semaphore:
    """Follows one repository through all runs of its semaphore."""

    def __init__(self, repo: str, permits: Permits) -> None:
        self._repo = repo
        self._permits = permits
        self._leases: dict[str, Lease] = {}  # all ever made, by id
        self._out: dict[str, Lease] = {}
        self._waiting: dict[str, Wait] = {}
        self._suspected: set[str] = set()
        self._sent: dict[tuple[int, str], str] = {}  # (run, initiated event) → lease
        self._nudged: dict[tuple[int, str], str] = {}  # (run, initiated event) → job
        self._acts: dict[tuple[int, str], str] = {}  # (run, scheduled event) → activity
        self._tasks: dict[int, _Task] = {}

    def take(self, run: int, event: Event) -> None:
        """The next event of the run with this number."""
        match event.type:
            case "WORKFLOW_EXECUTION_STARTED":
                self._begin(event)
            case (
                "WORKFLOW_TASK_SCHEDULED"
                | "WORKFLOW_TASK_STARTED"
                | "WORKFLOW_TASK_TIMED_OUT"
                | "WORKFLOW_TASK_COMPLETED"
            ):
                task = self._tasks.setdefault(run, _Task())
                task.take(event)
                if event.type == "WORKFLOW_TASK_COMPLETED":
                    done = self._permits.tasks.setdefault(self._repo, [])
                    done.append((task.began_at, event.time))
            case "WORKFLOW_EXECUTION_SIGNALED":
                self._hear(event)
            case "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
                if event.attributes.get("signalName") == "granted":
                    self._grant(run, event)
                elif event.attributes.get("signalName") == "nudge":
                    self._nudged[run, str(event.id)] = _receiver(event)
            case "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED":
                number = str(event.attributes.get("initiatedEventId"))
                sent = self._sent.get((run, number))
                # A nudge that finds nobody is as good as a first look.
                job = self._nudged.get((run, number))
                if any(lease.job == job for lease in self._out.values()):
                    self._suspected.add(str(job))
                if sent in self._out:
                    self._end(self._out[sent], event.time, "undelivered")
            case "ACTIVITY_TASK_SCHEDULED":
                self._acts[run, str(event.id)] = activity_name(event)
            case "ACTIVITY_TASK_COMPLETED":
                self._learn(run, event)
            case (
                "WORKFLOW_EXECUTION_TERMINATED"
                | "WORKFLOW_EXECUTION_FAILED"
                | ("WORKFLOW_EXECUTION_TIMED_OUT" | "WORKFLOW_EXECUTION_CANCELED")
            ):
                for job in list(self._waiting):
                    self._stop_waiting(job, event.time, "lost")
            case _:
                pass

    def _begin(self, event: Event) -> None:
        """What is carried over is known, unless the runs before are not in the evidence."""
        state = table(event.arguments)
        for lease in cast(dict[str, dict[str, Any]], state.get("holders", {})).values():
            self._make(str(lease["id"]), str(lease["job"]), float(lease["granted_at"]))
        for waiter in cast(dict[str, dict[str, Any]], state.get("waiters", {})).values():
            self._wait(waiter, event.time)
        if state.get("epoch"):
            self._suspected = set(cast(list[str], state.get("suspected", [])))
        else:
            self._suspected = set()

    def _hear(self, event: Event) -> None:
        message = table(event.arguments)
        job = str(message.get("job", ""))
        match event.attributes.get("signalName"):
            case "acquire":
                self._wait(message, event.time)
            case "acquire_many":
                for ask in cast(list[dict[str, Any]], message.get("asks", [])):
                    self._wait(ask, event.time)
            case "release":
                lease = str(message.get("lease", ""))
                if not lease:
                    self._stop_waiting(job, event.time, "left")
                elif lease in self._out and self._out[lease].job == job:
                    self._end(self._out[lease], event.time, "released")
            case _:
                pass

    def _grant(self, run: int, event: Event) -> None:
        job = _receiver(event)
        lease = str(table(event.arguments).get("lease", ""))
        self._sent[run, str(event.id)] = lease
        self._make(lease, job, event.time, self._tasks.setdefault(run, _Task()).deaf_since)
        self._stop_waiting(job, event.time, "granted")

    def _learn(self, run: int, event: Event) -> None:
        answer = table([event.result])
        match self._acts.get((run, str(event.attributes.get("scheduledEventId")))):
            case "reap":
                closed = set(cast(list[str], answer.get("jobs", [])))
                confirmed = closed & self._suspected
                for lease in [one for one in self._out.values() if one.job in confirmed]:
                    self._end(lease, event.time, "reaped")
                self._suspected = closed - confirmed
            case "collect_claims":
                self._adopt(cast(list[dict[str, Any]], answer.get("claims", [])), event.time)
            case _:
                pass

    def _adopt(self, claims: list[dict[str, Any]], at: float) -> None:
        """A semaphore begun afresh knows what running jobs claim, and nothing else."""
        claimed = {str(claim["lease"]) for claim in claims if claim.get("lease")}
        for lease in [one for one in self._out.values() if one.id not in claimed]:
            self._end(lease, at, "forgotten")
        for claim in claims:
            if claim.get("lease"):
                granted_at = float(claim.get("granted_at") or at)
                self._make(str(claim["lease"]), str(claim["job"]), granted_at)
                self._stop_waiting(str(claim["job"]), at, "granted")
            elif claim.get("waiting"):
                self._wait(claim, at)

    def _make(self, lease: str, job: str, at: float, decided_at: float | None = None) -> None:
        """A lease said again, or one that is over already, is no new one."""
        if lease not in self._leases:
            made = Lease(lease, job, self._repo, at, at if decided_at is None else decided_at)
            self._leases[lease] = self._out[lease] = made
            self._permits.leases.append(made)

    def _end(self, lease: Lease, at: float, how: str) -> None:
        del self._out[lease.id]
        lease.ended_at, lease.how = at, how

    def _wait(self, request: dict[str, Any], at: float) -> None:
        job, not_before = str(request.get("job", "")), float(request.get("not_before") or 0.0)
        known = self._waiting.get(job)
        if any(lease.job == job for lease in self._out.values()):
            return
        if known:
            if max(known.since, not_before) == known.eligible_at:
                return
            self._stop_waiting(job, at, "moved")
        wait = Wait(job, self._repo, at, max(at, not_before))
        self._waiting[job] = wait
        self._permits.waits.append(wait)

    def _stop_waiting(self, job: str, at: float, how: str) -> None:
        wait = self._waiting.pop(job, None)
        if wait:
            wait.until, wait.how = at, how


def _receiver(event: Event) -> str:
    return str(event.attributes.get("workflowExecution", {}).get("workflowId", ""))
