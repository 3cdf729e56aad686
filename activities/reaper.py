"""Leases whose holder is dead: found by asking, freed after its runner is seen off."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import GitHubRefused, Waits, deferred, refused
from activities.github import GitHub
from activities.runners import Launcher

LOOKED_AT_ONCE = 20


@dataclass(frozen=True)
class Holders:
    """Jobs (workflow ids) that have held a permit for suspiciously long."""

    repo: str
    jobs: list[str] = field(default_factory=list[str])


class ReaperActivities:
    """Looks at the workflows themselves, which are consistent, not at lists, which lag."""

    def __init__(
        self, client: Client, launcher: Launcher, github: GitHub, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._launcher = launcher
        self._github = github
        self._clock = clock

    @activity.defn(name="reap")
    async def reap(self, holders: Holders) -> Holders:
        """Those of the jobs that are closed and have no runner left.

        A runner of a closed job is deregistered and stopped if GitHub says that it is idle; a
        busy one keeps its permit until a later look.
        """
        closed: list[str] = []
        for start in range(0, len(holders.jobs), LOOKED_AT_ONCE):
            batch = holders.jobs[start : start + LOOKED_AT_ONCE]
            found = await asyncio.gather(*(self._closed(job) for job in batch))
            closed += [job for job, is_closed in zip(batch, found, strict=True) if is_closed]
        if not closed:
            return Holders(holders.repo)
        runners = [r for r in await self._launcher.all() if r.workflow_id in closed and r.alive]
        held: set[str] = set()
        for runner in runners:
            try:
                if await self._github.deregister(holders.repo, runner.name) == "busy":
                    held.add(runner.workflow_id)
                    continue
            except Waits as error:
                raise deferred(error, self._clock()) from None
            except GitHubRefused as error:
                raise refused(error) from None  # the next look asks again
            await self._launcher.stop(runner.name)
        return Holders(holders.repo, [job for job in closed if job not in held])

    async def _closed(self, job: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(job).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return True
            raise
        return description.status != WorkflowExecutionStatus.RUNNING
