"""Looks after the workflows that everybody relies on, with calls that are no billable actions.

The Fleet must run; so must the semaphore of each repository that has running jobs; and each
running job that has or wants a permit must be known to its semaphore. Because somebody looks, no
job needs a timer of its own for the case that one of these was lost
(docs/decisions/0005-no-timers-per-job.md). Every worker has a guardian: what they do is harmless
if done twice.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.workflows import Permit, Repos, WorkflowActivities, start_fleet
from policy import names
from policy.limits import Limits
from policy.messages import Acquire, Claim

logger = logging.getLogger(__name__)

QUERY_TIMEOUT = timedelta(seconds=10)
# Waiters that a semaphore names: an answer of 2 MB has room for about forty thousand.
USUALLY_TOLD, MOST_TOLD = 1_000, 30_000


@dataclass(frozen=True)
class Pace:
    """How often is looked, in seconds; each pause is up to a fifth longer, by chance."""

    fleet: float = 5.0
    first: float = 10.0  # from the start to the first look at semaphores
    semaphores: float = 60.0
    again: float = 5.0  # a semaphore must be missing at two looks: the list lags behind


@dataclass
class Known:
    """Jobs that the present life of a semaphore knows, or that need it not."""

    life: str
    jobs: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])  # at the last look


class Guardian:
    """Two loops beside the workers. Errors are logged; they end no loop."""

    def __init__(self, client: Client, limits: Limits, pace: Pace | None = None) -> None:
        """`limits` are the configuration's: a Fleet started here begins with them."""
        self._client = client
        self._limits = limits
        self._pace = pace or Pace()
        self._do = WorkflowActivities(client, limits)
        self._known: dict[str, Known] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        pace = self._pace
        async with asyncio.TaskGroup() as loops:
            loops.create_task(_repeat(self.look_after_fleet, pace.fleet, pace.fleet))
            loops.create_task(_repeat(self.look_after_semaphores, pace.first, pace.semaphores))

    async def look_after_fleet(self) -> None:
        """Start the Fleet if it does not run."""
        try:
            found = await self._client.get_workflow_handle(names.FLEET_ID).describe()
            runs = found.status == WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            runs = False
        if not runs:
            logger.warning("the Fleet does not run; starting it")
            await start_fleet(self._client, self._limits)

    async def look_after_semaphores(self) -> None:
        """Start those that are missing, and have each know the jobs of its repository."""
        jobs, lives = await self._jobs(), await self._semaphores()
        missing = jobs.keys() - lives.keys()
        if missing:
            await asyncio.sleep(self._pace.again)
            again = await self._jobs()
            missing &= again.keys() - (await self._semaphores()).keys()
        if missing:
            repos = sorted(missing)
            logger.warning("semaphores do not run; starting those of %s", ", ".join(repos))
            await self._do.ensure_semaphores(Repos(repos))
        for repo in self._known.keys() - lives.keys():
            del self._known[repo]
        for repo in jobs.keys() & lives.keys():
            try:
                await self._introduce(repo, lives[repo], jobs[repo])
            except (RPCError, WorkflowQueryFailedError) as error:
                # One that cannot answer holds up no other repository.
                logger.warning("the jobs of %s could not be looked at: %s", repo, error)

    async def _introduce(self, repo: str, life: str, jobs: set[str]) -> None:
        """Tell a semaphore of jobs that it has not known at two looks in a row.

        A gateway that was killed between a job's start and its asking leaves such a job, and so
        does a semaphore that was lost before the list showed one of its holders.
        """
        known = self._known.get(repo)
        if known is None or known.life != life:
            known = self._known[repo] = Known(life)
        known.jobs &= jobs
        new = jobs - known.jobs
        if not new:
            return
        semaphore = self._client.get_workflow_handle(names.semaphore_id(repo))
        most = USUALLY_TOLD if len(jobs) <= USUALLY_TOLD else MOST_TOLD
        state: dict[str, Any] = await semaphore.query(
            "state", args=[most], rpc_timeout=QUERY_TIMEOUT
        )
        known.jobs |= new & {str(lease["job"]) for lease in state["holders"]}
        known.jobs |= new & set(state["waiters"])
        unknown = new - known.jobs
        if state["waiting"] > len(state["waiters"]):
            return  # a queue too long to be told whole: the next looks will see more of it
        for job in unknown & known.unknown:
            claim = await self._client.get_workflow_handle(job).query(
                "claim", result_type=Claim, rpc_timeout=QUERY_TIMEOUT
            )
            await self._mend(repo, claim)
            known.jobs.add(job)
        known.unknown = unknown - known.jobs

    async def _mend(self, repo: str, claim: Claim) -> None:
        if claim.lease:
            # Nobody will nudge this holder: from now on it looks at the clock by itself.
            logger.warning("%s holds a permit that its semaphore does not know", claim.job)
            await self._client.get_workflow_handle(claim.job).signal("nudge")
        elif claim.waiting:
            logger.warning("%s waits unknown to its semaphore; asking for it", claim.job)
            request = Acquire(claim.job, claim.priority, claim.queued_at, claim.not_before)
            await self._do.tell_semaphore(Permit(repo, acquire=request))

    async def _jobs(self) -> dict[str, set[str]]:
        """The running jobs' workflow ids by repository."""
        found: dict[str, set[str]] = {}
        async for job in self._client.list_workflows(_running(names.RUNNER_JOB)):
            found.setdefault(names.repo_of(job.id), set()).add(job.id)
        return found

    async def _semaphores(self) -> dict[str, str]:
        """The run ids of the running semaphores by repository."""
        listed = self._client.list_workflows(_running(names.REPO_SEMAPHORE))
        return {names.repo_of(one.id): one.run_id async for one in listed}


def _running(kind: str) -> str:
    return f"WorkflowType='{kind}' AND ExecutionStatus='Running'"


async def _repeat(look: Callable[[], Awaitable[None]], first: float, pause: float) -> None:
    """Look again and again; workers started together do not stay in step."""
    await asyncio.sleep(_jittered(first))
    while True:
        try:
            await look()
        except Exception as error:  # whatever it was: the next look comes
            logger.warning("a look at the workflows failed: %r", error)
        await asyncio.sleep(_jittered(pause))


def _jittered(pause: float) -> float:
    return pause * random.uniform(1.0, 1.2)  # noqa: S311 - no secret
