"""Jobs that follow a runner which its provider does not know: told that it is gone.

The usual end is told by the worker's watch. This is for runners whose trace was lost: a folder
that somebody deleted, a machine that was replaced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.orphans import QUERY_TIMEOUT, explain
from activities.parts import Failures
from activities.runners import Launcher
from policy import names, recovery
from policy.recovery import Suspect

FOLLOWED = ("starting", "busy")
LAUNCH = "launch_runner"


@dataclass(frozen=True)
class LostOrder:
    """What the last run found missing."""

    missing: list[Suspect] = field(default_factory=list[Suspect])


@dataclass(frozen=True)
class LostResult:
    """What is missing now, and how many jobs were told."""

    missing: list[Suspect] = field(default_factory=list[Suspect])
    told: int = 0
    failures: list[str] = field(default_factory=list[str])


class LostRunnerActivities:
    """Asks those that hold permits, which are few, and not all that wait."""

    def __init__(
        self, client: Client, launcher: Launcher, clock: Callable[[], float], *, sees_all: bool
    ) -> None:
        """`sees_all`: the launcher knows every runner, not only those of this machine."""
        self._client = client
        self._launcher = launcher
        self._clock = clock
        self._sees_all = sees_all

    @activity.defn(name="tell_of_lost_runners")
    async def tell_of_lost_runners(self, order: LostOrder) -> LostResult:
        """Signal `runner_gone` for a runner that was missing at two looks, a minute apart."""
        if not self._sees_all:
            return LostResult()
        failures = Failures()
        try:
            found = await self._missing(failures)
        except (RPCError, WorkflowQueryFailedError, OSError) as error:
            failures.add("stopped", error)
            return LostResult(order.missing, 0, failures.lines)
        now = self._clock()
        told = 0
        left: list[Suspect] = []
        for suspect in recovery.look_again(order.missing, found):
            try:
                if recovery.ripe(suspect, now) and await self._tell(suspect):
                    told += 1
                else:
                    left.append(suspect)
            except RPCError as error:
                failures.add(suspect.where, error)
                left.append(suspect)
        return LostResult(left, told, failures.lines)

    async def _missing(self, failures: Failures) -> list[Suspect]:
        """Runners that jobs with a permit believe in, and that the provider does not know."""
        holders: list[str] = []
        for repo in await self._busy_repos():
            try:
                holders += await self._holders(repo)
            except (RPCError, WorkflowQueryFailedError) as error:
                failures.add(repo, error)  # one that cannot answer holds up no other
        runners = await self._launcher.all()
        served, known = {one.workflow_id for one in runners}, {one.name for one in runners}
        found: list[Suspect] = []
        for job in holders:
            if job in served:
                continue
            runner = (await explain(self._client, job)).get("runner")
            if runner and runner["state"] in FOLLOWED and runner["name"] not in known:
                found.append(Suspect(job, runner["name"], self._clock()))
        return found

    async def _busy_repos(self) -> list[str]:
        status = await self._ask(names.FLEET_ID, "status")
        return [one["repo"] for one in status["repos"] if one["running"]]

    async def _holders(self, repo: str) -> list[str]:
        state = await self._ask(names.semaphore_id(repo), "state")
        return [str(lease["job"]) for lease in state["holders"]]

    async def _ask(self, workflow_id: str, query: str) -> dict[str, Any]:
        return await self._client.get_workflow_handle(workflow_id).query(
            query, result_type=dict[str, Any], rpc_timeout=QUERY_TIMEOUT
        )

    async def _tell(self, suspect: Suspect) -> bool:
        """False while its launch is being tried: then there may be a runner in a moment."""
        handle = self._client.get_workflow_handle(suspect.where)
        pending = (await handle.describe()).raw_description.pending_activities
        if any(one.activity_type.name == LAUNCH for one in pending):
            return False
        await handle.signal("runner_gone", {"runner_name": suspect.name})
        return True
