"""Jobs that GitHub shows as queued and that no workflow knows: their webhook never came."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import GitHubNotFound, GitHubRefused
from activities.parts import ENDS, Failures, known_repos
from policy import names, recovery
from policy.admission import JobEvent, Rules
from policy.recovery import JobAtGitHub, Purse

STATUSES = ("queued", "in_progress")  # of a workflow run that may have queued jobs
ASKED_AT_ONCE = 20
LAST_PAGE = 10  # GitHub shows the newest thousand runs of a status


@dataclass(frozen=True)
class RunAtGitHub:
    """A workflow run; its repository's default branch, if GitHub says it."""

    id: int
    default_branch: str = ""


@dataclass(frozen=True)
class RunsPage:
    """Runs, and whether there are more."""

    runs: list[RunAtGitHub]
    more: bool


@dataclass(frozen=True)
class JobsPage:
    """A run's jobs, and whether there are more."""

    jobs: list[JobAtGitHub]
    more: bool


class Work(Protocol):
    """GitHub's runs and jobs. Each method is one request that can wait (`spare`)."""

    def now(self) -> float:
        """The time by GitHub's clock, epoch seconds."""
        ...

    async def runs(self, repo: str, status: str, page: int) -> RunsPage:
        """A page of a repository's runs of a status, from 1."""
        ...

    async def jobs(self, repo: str, run: int, page: int) -> JobsPage:
        """A page of the jobs of a run's latest attempt, from 1."""
        ...


class Admits(Protocol):
    """What starts the workflow of a job; the gateway's own way."""

    async def start(self, event: JobEvent) -> str:
        """`accepted`, or `duplicate`. Raises RPCError."""
        ...


@dataclass(frozen=True)
class QueuedOrder:
    """How much may be done; `repo` and `run` are where the last run stopped."""

    room: int
    points: int
    repo: str = ""
    run: int = 0


@dataclass(frozen=True)
class QueuedResult:
    """What was done. `ended`: queued at GitHub, though their workflow has ended."""

    repo: str = ""
    run: int = 0
    looked: int = 0  # repositories, to their end
    known: int = 0  # repositories that there are to look at
    started: int = 0
    ended: int = 0
    points: int = 0
    failures: list[str] = field(default_factory=list[str])


class QueuedJobActivities:
    """Looks at one known repository after another, as far as the points go."""

    def __init__(
        self,
        client: Client,
        work: Work,
        admits: Admits,
        rules: Rules,
        repositories: Sequence[str] = (),
    ) -> None:
        """`repositories` are known beside those that Temporal's list shows."""
        self._client = client
        self._work = work
        self._admits = admits
        self._rules = rules
        self._repositories = tuple(repo.lower() for repo in repositories)

    @activity.defn(name="start_queued_jobs")
    async def start_queued_jobs(self, order: QueuedOrder) -> QueuedResult:
        """Start what was lost, up to the room; to start a job twice is harmless."""
        look = _Look(self._client, self._work, self._admits, self._rules, order)
        return await look.result(self._repositories)


class _Stop(Exception):
    """Points or room are used up: the next run goes on here."""


class _Look:
    """One run: where it is, and what it did."""

    def __init__(
        self, client: Client, work: Work, admits: Admits, rules: Rules, order: QueuedOrder
    ) -> None:
        self._client = client
        self._work = work
        self._admits = admits
        self._rules = rules
        self._room = order.room
        self._purse = Purse(order.points)
        self._repo, self._run = order.repo, order.run
        self._failures = Failures()
        self._looked = self._known = self._started = self._ended = 0
        self._moved = False  # on, since this run began

    async def result(self, repositories: Sequence[str]) -> QueuedResult:
        """Look, from where the last run stopped."""
        try:
            known = await known_repos(self._client, repositories)
            self._known = len(known)
            for repo in self._order_of(known):
                await self._look_at(repo, must_be=repo in repositories)
        except _Stop:
            pass
        except ENDS as error:
            self._failures.add("stopped", error)
        return QueuedResult(
            self._repo,
            self._run,
            self._looked,
            self._known,
            self._started,
            self._ended,
            self._purse.spent,
            self._failures.lines,
        )

    def _order_of(self, known: list[str]) -> list[str]:
        order = recovery.turn(known, self._repo)
        if self._run and self._repo in known:  # it was left in its middle
            return [self._repo, *order[:-1]]
        self._run = 0
        return order

    async def _look_at(self, repo: str, *, must_be: bool) -> None:
        behind = self._run if repo == self._repo else 0
        try:
            runs = await self._runs(repo)
            for run in sorted(runs, key=lambda one: one.id):
                if run.id > behind:
                    await self._start_lost(repo, run)
                    self._repo, self._run, self._moved = repo, run.id, True
        except GitHubRefused as error:
            # One that is gone, or that we may not see, is no failure: it was known once.
            if must_be or not isinstance(error, GitHubNotFound):
                self._failures.add(repo, error)
        self._repo, self._run, self._moved = repo, 0, True
        self._looked += 1

    async def _runs(self, repo: str) -> list[RunAtGitHub]:
        found: dict[int, RunAtGitHub] = {}
        for status in STATUSES:
            for page in range(1, LAST_PAGE + 1):
                self._pay(repo)
                answer = await self._work.runs(repo, status, page)
                found |= {run.id: run for run in answer.runs}
                if not answer.more:
                    break
        return list(found.values())

    async def _start_lost(self, repo: str, run: RunAtGitHub) -> None:
        page, more = 0, True
        while more:
            page += 1
            self._pay(repo)
            answer = await self._work.jobs(repo, run.id, page)
            more = answer.more
            now, branch = self._work.now(), run.default_branch
            events = [
                recovery.lost_event(repo, job, branch, self._rules, now) for job in answer.jobs
            ]
            wanted = [event for event in events if event]
            for begin in range(0, len(wanted), ASKED_AT_ONCE):
                batch = wanted[begin : begin + ASKED_AT_ONCE]
                unknown = await asyncio.gather(*(self._is_unknown(event) for event in batch))
                for event in (
                    e for e, is_unknown in zip(batch, unknown, strict=True) if is_unknown
                ):
                    await self._start(event)

    async def _is_unknown(self, event: JobEvent) -> bool:
        """Asked of the workflow itself: Temporal's list lags behind."""
        handle = self._client.get_workflow_handle(names.runner_job_id(event.repo, event.job_id))
        try:
            status = (await handle.describe()).status
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return True
        self._ended += status != WorkflowExecutionStatus.RUNNING
        return False

    async def _start(self, event: JobEvent) -> None:
        if self._room <= 0:
            raise _Stop
        self._room -= 1
        self._started += await self._admits.start(event) == "accepted"

    def _pay(self, repo: str) -> None:
        if self._purse.take(1):
            return
        if not self._moved:
            # It would be the same again in the next run: it is given up for this round.
            self._failures.add(repo, "more workflow runs than recovery.points_per_run can list")
            self._repo, self._run = repo, 0
        raise _Stop
