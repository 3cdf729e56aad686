"""Runners that nobody follows any more: seen off; and jobs that follow a runner that is gone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import GitHubNotFound, GitHubRefused
from activities.github import GitHub
from activities.parts import ENDS, Failures, known_repos
from activities.registered import Registered, RegisteredRunner
from activities.runners import Launcher, RunnerReference
from policy import names, recovery
from policy.gate import READ_POINTS, WRITE_POINTS
from policy.limits import org_of
from policy.recovery import MOST_CARRIED, Purse, Suspect

QUERY_TIMEOUT = timedelta(seconds=10)
LAST_PAGE = 100  # GitHub has at most 10,000 runners in a group
State = Literal["running", "closed", "unknown"]


@dataclass(frozen=True)
class OrphansOrder:
    """How much may be done; `scope` and `suspects` are the last run's."""

    points: int
    scope: str = ""
    suspects: list[Suspect] = field(default_factory=list[Suspect])


@dataclass(frozen=True)
class OrphansResult:
    """What was done. `stopped` are the provider's runners, `removed` those at GitHub alone."""

    scope: str = ""
    suspects: list[Suspect] = field(default_factory=list[Suspect])
    stopped: int = 0
    removed: int = 0
    busy: int = 0  # left alone
    points: int = 0
    failures: list[str] = field(default_factory=list[str])


class OrphanActivities:
    """Sees off what belongs to no open workflow; GitHub's word that it is busy goes before."""

    def __init__(
        self,
        client: Client,
        launcher: Launcher,
        github: GitHub,
        registered: Registered,
        clock: Callable[[], float],
        *,
        scope: Literal["repository", "organization"] = "repository",
        repositories: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._launcher = launcher
        self._github = github
        self._registered = registered
        self._clock = clock
        self._scope = scope
        self._repositories = tuple(repositories)

    @activity.defn(name="see_off_orphans")
    async def see_off_orphans(self, order: OrphansOrder) -> OrphansResult:
        """The provider's first, then what is registered at GitHub without a process."""
        run = _SeeingOff(self._client, self._launcher, self._github, self._registered, order)
        try:
            known = await known_repos(self._client, self._repositories)
            in_orgs = self._scope == "organization"
            run.scopes = dict.fromkeys(map(org_of, known) if in_orgs else known)
            run.repos = known
            await run.providers()
            await run.second_looks(self._clock())
            await run.first_looks(self._clock())
        except ENDS as error:
            run.failures.add("stopped", error)
        except OSError as error:  # the provider does not answer: nobody knows what lives
            run.failures.add("runners", error)
        return run.result()


class _SeeingOff:
    """One run: what lives, what is suspected, what was done."""

    def __init__(
        self,
        client: Client,
        launcher: Launcher,
        github: GitHub,
        registered: Registered,
        order: OrphansOrder,
    ) -> None:
        self._client = client
        self._launcher = launcher
        self._github = github
        self._registered = registered
        self._purse = Purse(order.points)
        self._scope = order.scope
        self._before = order.suspects
        self._suspects = list(order.suspects)
        self._alive: set[str] = set()
        self._stopped = self._removed = self._busy = 0
        self.scopes: dict[str, None] = {}
        self.repos: list[str] = []
        self.failures = Failures()

    def result(self) -> OrphansResult:
        """What there is to tell."""
        return OrphansResult(
            self._scope,
            self._suspects,
            self._stopped,
            self._removed,
            self._busy,
            self._purse.spent,
            self.failures.lines,
        )

    async def providers(self) -> None:
        """Live runners whose workflow is closed or unknown: off GitHub's list, then stopped."""
        alive = [runner for runner in await self._launcher.all() if runner.alive]
        self._alive = {runner.name for runner in alive}
        for runner in alive:
            if await self._state(runner.workflow_id) == "running":
                continue
            if not self._purse.take(READ_POINTS + WRITE_POINTS):
                return
            try:
                await self._see_off(runner)
            except GitHubRefused as error:
                self.failures.add(runner.name, error)

    async def second_looks(self, now: float) -> None:
        """Delete what the last run found, if it is so still."""
        kept: list[Suspect] = []
        for suspect in self._before:
            try:
                if not recovery.ripe(suspect, now) or not await self._judged(suspect):
                    kept.append(suspect)
            except GitHubRefused as error:
                self.failures.add(suspect.name, error)
            except ENDS:
                self._suspects = [*kept, *self._before[self._before.index(suspect) :]]
                raise
        self._suspects = kept

    async def first_looks(self, now: float) -> None:
        """Find what seems to be left over, in one scope after another."""
        suspected = {(one.where, one.name) for one in self._suspects}
        for scope in recovery.turn(self.scopes, self._scope):
            page, more = 0, True
            while more and page < LAST_PAGE:
                page += 1
                if len(self._suspects) >= MOST_CARRIED or not self._purse.take(READ_POINTS):
                    return
                try:
                    found = await self._registered.page(scope, page)
                except GitHubRefused as error:
                    # A repository that is gone is no failure: it was known once.
                    if not isinstance(error, GitHubNotFound):
                        self.failures.add(scope, error)
                    break
                more = found.more
                for runner in found.runners:
                    new = (scope, runner.name) not in suspected
                    if new and await self._is_left_over(scope, runner):
                        self._suspects.append(Suspect(scope, runner.name, now, runner.id))
            self._scope = scope

    async def _judged(self, suspect: Suspect) -> bool:
        """Whether a suspect is settled: deleted, or none any more. False: there were no points."""
        if not self._purse.take(READ_POINTS):
            return False
        runner = await self._registered.look(suspect.where, suspect.id)
        if runner is None or runner.name != suspect.name:
            return True
        if not await self._is_left_over(suspect.where, runner):
            return True
        if not self._purse.take(WRITE_POINTS):
            return False
        result = await self._registered.remove(suspect.where, suspect.id)
        self._removed += result == "removed"
        self._busy += result == "busy"
        return True

    async def _see_off(self, runner: RunnerReference) -> None:
        repo = names.repo_of(runner.workflow_id)
        if await self._github.deregister(repo, runner.name, spare=True) == "busy":
            self._busy += 1
            return
        await self._launcher.stop(runner.name)
        self._stopped += 1

    async def _is_left_over(self, scope: str, runner: RegisteredRunner) -> bool:
        """Ours, not there, with no process, and its job is closed or has another runner by now.

        One of a job that is not known at all is left alone: it may be another Penstock's.
        """
        if not recovery.seems_left_over(runner.name, runner.status, runner.busy):
            return False
        if runner.name in self._alive:
            return False
        job = names.job_of_runner(runner.name)
        # A runner's name says nothing of the repository: an organization's may be of each of its.
        repos = [scope] if "/" in scope else [r for r in self.repos if org_of(r) == scope]
        for repo in repos:
            workflow_id = names.runner_job_id(repo, job)
            state = await self._state(workflow_id)
            if state == "running":
                return await self._moved_on(workflow_id, runner.name)
            if state == "closed":
                return True
        return False

    async def _moved_on(self, workflow_id: str, name: str) -> bool:
        explained = await explain(self._client, workflow_id)
        return bool(explained) and explained["runner"]["name"] not in ("", name)

    async def _state(self, workflow_id: str) -> State:
        try:
            found = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return "unknown"
            raise
        return "running" if found.status == WorkflowExecutionStatus.RUNNING else "closed"


async def explain(client: Client, workflow_id: str) -> dict[str, Any]:
    """A job's word on itself; empty if it cannot say."""
    try:
        return await client.get_workflow_handle(workflow_id).query(
            "explain", result_type=dict[str, Any], rpc_timeout=QUERY_TIMEOUT
        )
    except (RPCError, WorkflowQueryFailedError):
        return {}
