"""Self-hosted runners: registered, connected by a long poll, busy, lost, removed."""

import asyncio
from collections.abc import Iterable

from simulator.state.assignment import Assignment, job_message, tell
from simulator.state.changes import Changes
from simulator.state.jobs import JobConflictError, Jobs
from simulator.state.model import Job, Json, Runner, Scope
from simulator.state.world import World

DEFAULT_LABELS = ("self-hosted", "Linux", "X64")
BETWEEN_POLLS_SECONDS = 10.0  # a runner whose poll ended in peace has this long to ask again
GONE = "The runner no longer exists on the server"


class NameTakenError(Exception):
    """A runner of that name is registered in the scope."""


class SessionConflictError(Exception):
    """The runner has another poll open."""


class RunnerBusyError(Exception):
    """A busy runner cannot be removed."""


class Registry:
    """All runners, and the only code that changes them."""

    def __init__(self, world: World, assignment: Assignment, jobs: Jobs, changes: Changes) -> None:
        self.removed: dict[int, Runner] = {}
        self.online = 0
        self._by_id: dict[int, Runner] = {}
        self._by_scope: dict[Scope, dict[str, Runner]] = {}
        self._world = world
        self._assignment = assignment
        self._jobs = jobs
        self._changes = changes

    def add(
        self,
        name: str,
        scope: Scope,
        labels: Iterable[str],
        *,
        jit: bool = False,
        ephemeral: bool = True,
        default_labels: Iterable[str] = (),
        group_id: int = 1,
    ) -> Runner:
        """Register a runner, offline; NameTakenError."""
        names = self._by_scope.setdefault(scope, {})
        if name.lower() in names:
            raise NameTakenError(name)
        defaults = tuple(default_labels)
        known = {label.lower() for label in defaults}
        runner = Runner(
            id=next(self._world.runner_ids),
            name=name,
            scope=scope,
            labels=tuple(label for label in labels if label.lower() not in known),
            default_labels=defaults,
            ephemeral=ephemeral,
            jit=jit,
            secret=self._world.secret("", 40),
            registered_at=self._world.clock.now(),
            group_id=group_id,
        )
        names[name.lower()] = runner
        self._by_id[runner.id] = runner
        unused = self._world.limits.jit_unused_seconds
        if jit and unused:
            loop = asyncio.get_running_loop()
            runner.timer = loop.call_later(unused, self._drop, runner, "never connected")
        self._changes.tell()
        return runner

    def find(self, runner_id: int) -> Runner | None:
        """A registered runner."""
        return self._by_id.get(runner_id)

    def of(self, scope: Scope) -> list[Runner]:
        """The runners of one repository, or those of an organization itself, by age."""
        return list(self._by_scope.get(scope, {}).values())

    def all(self) -> list[Runner]:
        """Every registered runner, by age."""
        return list(self._by_id.values())

    @property
    def size(self) -> int:
        """How many are registered."""
        return len(self._by_id)

    def remove(self, runner: Runner, why: str) -> None:
        """Remove by the API; RunnerBusyError."""
        if runner.busy:
            raise RunnerBusyError(runner.name)
        self._drop(runner, why)

    def open_poll(self, runner: Runner) -> asyncio.Future[Json]:
        """The runner asks for its next message; SessionConflictError."""
        if runner.poll is not None:
            raise SessionConflictError(runner.name)
        _cancel(runner.timer)
        self._show(runner, online=True)
        if runner.connected_at is None:
            runner.connected_at = self._world.clock.now()
        poll: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        runner.poll = poll
        if runner.inbox:
            poll.set_result(runner.inbox.pop(0))
        elif runner.job is None:
            self._assignment.ask(runner)
        elif not runner.accepted:
            poll.set_result(job_message(runner.job))
        self._changes.tell()
        return poll

    def close_poll(self, runner: Runner, *, lost: bool) -> None:
        """The poll has ended, in peace or with its connection."""
        undelivered = runner.poll if lost else None
        runner.poll = None
        self._assignment.leave(runner)
        if runner.removed_at is not None:
            return
        if undelivered is not None and undelivered.done() and not undelivered.cancelled():
            runner.inbox.append(undelivered.result())
        limits = self._world.limits
        grace = limits.runner_offline_seconds
        if not lost:
            grace = min(BETWEEN_POLLS_SECONDS, limits.runner_lost_seconds)
        if lost and grace == 0:
            self._went_offline(runner)
        else:
            loop = asyncio.get_running_loop()
            runner.timer = loop.call_later(grace, self._went_offline, runner)

    def accept(self, runner: Runner, job_id: int) -> Job:
        """The runner begins the job it was handed; JobConflictError when that was withdrawn."""
        job = runner.job
        if job is None or job.id != job_id or job.status != "queued":
            raise JobConflictError("the job is no longer this runner's")
        runner.accepted = True
        self._jobs.start(job, runner)
        return job

    def finish(self, runner: Runner, job_id: int, conclusion: str | None, *, stay: bool) -> None:
        """The runner reports its job's end.

        An ephemeral runner goes with its job, unless it was interrupted (`stay`): then it stays
        registered, offline, until somebody deletes it.
        """
        job = runner.job
        if job is None or job.id != job_id or not runner.accepted:
            raise JobConflictError("the job is not this runner's")
        self._end(runner, job, conclusion or job.ends_as)
        if stay:
            self._show(runner, online=False)
        elif runner.ephemeral:
            self._drop(runner, "its job ended")
        self._changes.tell()

    def _end(self, runner: Runner, job: Job, conclusion: str) -> None:
        runner.job, runner.accepted, job.runner = None, False, None
        self._jobs.complete(job, conclusion)

    def _went_offline(self, runner: Runner) -> None:
        self._show(runner, online=False)
        if runner.job is not None and runner.accepted:
            loop = asyncio.get_running_loop()
            runner.timer = loop.call_later(
                self._world.limits.runner_lost_seconds, self._lost, runner
            )
        self._changes.tell()

    def _lost(self, runner: Runner) -> None:
        """A busy runner was not heard of for too long: GitHub fails its job."""
        job = runner.job
        if job is None:
            return
        self._end(runner, job, "cancelled" if job.ends_as == "cancelled" else "failure")
        if runner.ephemeral:
            self._drop(runner, "lost communication")

    def _show(self, runner: Runner, *, online: bool) -> None:
        self.online += online - runner.online
        runner.online = online

    def _drop(self, runner: Runner, why: str) -> None:
        _cancel(runner.timer)
        self._assignment.leave(runner)
        del self._by_id[runner.id]
        del self._by_scope[runner.scope][runner.name.lower()]
        self._show(runner, online=False)
        runner.removed_at, runner.removed_why = self._world.clock.now(), why
        self.removed[runner.id] = runner
        if runner.poll is not None:
            tell(runner, {"type": "gone", "message": GONE})
        self._changes.tell()

    def let_go(self) -> None:
        """Tell every connected runner that it no longer exists, and stop every timer."""
        for runner in self.all():
            runner.job = None
            self._drop(runner, "reset")


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
