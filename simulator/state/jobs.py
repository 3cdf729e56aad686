"""The life of a job: waiting, queued, in_progress, completed, and the events of it."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from simulator.state.assignment import Assignment, tell
from simulator.state.changes import Changes
from simulator.state.model import Job, Repository, Run, Runner
from simulator.state.world import World

#: Called with the action and the job, when GitHub would send an event.
Emit = Callable[[str, Job], None]

HOSTED_START_SECONDS = 0.05


class JobConflictError(Exception):
    """The job is not in a state that allows this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """What a workflow file and a push would say; `waiting` is '', 'waiting' or 'queued'."""

    labels: tuple[str, ...]
    seconds: float = 0.0
    name: str = "build"
    conclusion: str = "success"
    head_branch: str = "main"
    workflow_name: str = "CI"
    environment: str = ""
    event: str = "push"
    deliver: bool = True
    waiting: str = ""


class Jobs:
    """All jobs, and the only code that changes their status."""

    def __init__(self, world: World, assignment: Assignment, emit: Emit, changes: Changes) -> None:
        self.by_id: dict[int, Job] = {}
        self.count: Counter[str] = Counter()
        self.conclusions: Counter[str] = Counter()
        self._world = world
        self._assignment = assignment
        self._emit = emit
        self._changes = changes
        self._order = itertools.count()
        self._hosted = itertools.count(1)

    def create_run(self, repository: Repository, order: JobOrder, count: int) -> list[Job]:
        """One workflow run of `count` equal jobs."""
        now, rng = self._world.clock.now(), self._world.rng
        run = Run(
            id=next(self._world.run_ids),
            repository=repository,
            number=len(repository.runs) + 1,
            workflow_id=repository.id % 100_000_000 + 1,
            workflow_name=order.workflow_name,
            head_branch=order.head_branch,
            environment=order.environment,
            head_sha=f"{rng.getrandbits(160):040x}",
            event=order.event,
            created_at=now,
            updated_at=now,
        )
        repository.runs.append(run)
        self._world.runs[run.id] = run
        names = [order.name] if count == 1 else [f"{order.name} ({n + 1})" for n in range(count)]
        return [self._admit(self._create(run, name, order), order) for name in names]

    def approve(self, job: Job) -> None:
        """The deployment gate opens: a waiting job is queued."""
        if job.status != "waiting":
            raise JobConflictError(f"the job is {job.status}, not waiting")
        self._enqueue(job, deliver=True)

    def start(self, job: Job, runner: Runner) -> None:
        """Its runner has begun to work."""
        job.runner_id, job.runner_name = runner.id, runner.name
        job.runner_group_id, job.runner_group_name = runner.group_id, "Default"
        self._begin(job)

    def complete(self, job: Job, conclusion: str) -> None:
        """It has ended; harmless if it had already."""
        if job.status == "completed":
            return
        self._assignment.withdraw(job)
        if job.timer is not None:
            job.timer.cancel()
        job.conclusion = conclusion
        job.completed_at = self._world.clock.now()
        self.conclusions[conclusion] += 1
        self._set(job, "completed")
        self._emit("completed", job)
        self._changes.tell()

    def cancel(self, job: Job) -> None:
        """Ends a queued job at once; the runner of a running one is told, and reports."""
        if job.status == "completed":
            raise JobConflictError("the job is completed")
        if job.runner is not None and job.runner.accepted:
            job.ends_as = "cancelled"
            tell(job.runner, {"type": "cancel", "job_id": job.id})
        else:
            self.complete(job, "cancelled")

    def rerun(
        self, run: Run, jobs: list[Job], seconds: float | None = None, ends_as: str | None = None
    ) -> list[Job]:
        """New attempts of some jobs, under new ids, in the run's next attempt.

        The run's other finished jobs are sent as `completed` again, ids unchanged: GitHub does so
        (actions-runner-controller#4315), and a receiver that counts events miscounts.
        """
        if not jobs or any(job.status != "completed" for job in run.latest()):
            raise JobConflictError("the run is not completed, or has nothing to run again")
        run.attempt += 1
        again = {job.id for job in jobs}
        finished = [job for job in run.latest() if job.id not in again]
        made: list[Job] = []
        for old in jobs:
            order = JobOrder(
                labels=old.labels,
                seconds=old.seconds if seconds is None else seconds,
                conclusion=ends_as or ("success" if old.ends_as == "cancelled" else old.ends_as),
            )
            new = self._create(run, old.name, order)
            new.replaces = old.id
            made.append(self._admit(new, order))
        for job in finished:
            self._emit("completed", job)
        return made

    def _create(self, run: Run, name: str, order: JobOrder) -> Job:
        job = Job(
            id=next(self._world.job_ids),
            run=run,
            attempt=run.attempt,
            name=name,
            labels=order.labels,
            seconds=order.seconds,
            ends_as=order.conclusion,
            created_at=self._world.clock.now(),
            order=next(self._order),
        )
        run.jobs.append(job)
        self.by_id[job.id] = job
        self.count["new"] += 1
        return job

    def _admit(self, job: Job, order: JobOrder) -> Job:
        if order.conclusion == "skipped":
            job.started_at = job.created_at
            self.complete(job, "skipped")
        elif order.waiting:
            self._set(job, "waiting")
            if order.deliver:
                self._emit(order.waiting, job)
        else:
            self._enqueue(job, deliver=order.deliver)
        return job

    def _enqueue(self, job: Job, *, deliver: bool) -> None:
        job.queued_at = self._world.clock.now()
        self._set(job, "queued")
        if deliver:
            self._emit("queued", job)
        loop = asyncio.get_running_loop()
        if job.hosted:
            job.timer = loop.call_later(HOSTED_START_SECONDS, self._start_hosted, job)
        else:
            # GitHub gives up on a job that no runner has taken for a day.
            limit = self._world.limits.job_queue_seconds
            job.timer = loop.call_later(limit, self.complete, job, "failure")
            self._assignment.enqueue(job)

    def _start_hosted(self, job: Job) -> None:
        number = next(self._hosted)
        job.runner_id, job.runner_name = 1_000_000_000 + number, f"GitHub Actions {number}"
        job.runner_group_id, job.runner_group_name = 0, "GitHub Actions"
        self._begin(job)
        loop = asyncio.get_running_loop()
        job.timer = loop.call_later(job.seconds, self.complete, job, job.ends_as)

    def _begin(self, job: Job) -> None:
        if job.timer is not None:
            job.timer.cancel()
        job.started_at = self._world.clock.now()
        job.times_run += 1
        self._set(job, "in_progress")
        self._emit("in_progress", job)

    def _set(self, job: Job, status: str) -> None:
        self.count[job.status] -= 1
        self.count[status] += 1
        job.status = status
        job.run.updated_at = self._world.clock.now()
        self._changes.tell()
