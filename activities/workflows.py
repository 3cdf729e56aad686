"""Activities on Temporal itself: find, start and ask workflows from a workflow."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from policy import captions, fleet, names
from policy.fleet import FleetState
from policy.limits import Limits
from policy.messages import Acquire, Claim, Release
from policy.semaphore import UNANSWERED
from policy.semaphore_state import SemaphoreState

logger = logging.getLogger(__name__)

CLAIM_TIMEOUT = timedelta(seconds=5)
CLAIM_ATTEMPTS = 4
CARRIED_TIMEOUT = timedelta(seconds=10)
QUERIES_AT_ONCE = 50
FIRST_EVENTS = 20  # of a Fleet: its start, what it was told at once, its first workflow task


@dataclass(frozen=True)
class Permit:
    """A message to a repository's semaphore that must arrive, revived if need be."""

    repo: str
    acquire: Acquire | None = None
    release: Release | None = None


@dataclass(frozen=True)
class Repos:
    """Repositories by name."""

    repos: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Claims:
    """What the running jobs of a repository say they hold or want."""

    claims: list[Claim] = field(default_factory=list[Claim])


class WorkflowActivities:
    """Needs a client; knows workflows by name only, for they import us."""

    def __init__(self, client: Client, limits: Limits) -> None:
        """`limits` are the configuration's: a Fleet started here begins with them."""
        self._client = client
        self._limits = limits

    @activity.defn(name="tell_semaphore")
    async def tell_semaphore(self, permit: Permit) -> None:
        """Signal the semaphore; start it first if it is not there."""
        signal, message = (
            ("acquire", permit.acquire) if permit.acquire else ("release", permit.release)
        )
        caption = captions.semaphore(permit.repo)
        await self._client.start_workflow(
            names.REPO_SEMAPHORE,
            SemaphoreState(repo=permit.repo),
            id=names.semaphore_id(permit.repo),
            task_queue=names.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=caption.summary,
            static_details=caption.details,
            start_signal=signal,
            start_signal_args=[message],
        )

    @activity.defn(name="ensure_semaphores")
    async def ensure_semaphores(self, repos: Repos) -> None:
        """Start the semaphores that do not run: each rebuilds itself from its running jobs."""
        for repo in repos.repos:
            caption = captions.semaphore(repo)
            await self._client.start_workflow(
                names.REPO_SEMAPHORE,
                SemaphoreState(repo=repo),
                id=names.semaphore_id(repo),
                task_queue=names.TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=caption.summary,
                static_details=caption.details,
            )

    @activity.defn(name="ensure_fleet")
    async def ensure_fleet(self) -> None:
        """Start the Fleet if it does not run, with the mode and limits it had when it ended."""
        await start_fleet(self._client, self._limits)

    @activity.defn(name="list_semaphores")
    async def list_semaphores(self) -> Repos:
        """The repositories whose semaphores run."""
        query = f"WorkflowType='{names.REPO_SEMAPHORE}' AND ExecutionStatus='Running'"
        found = [names.repo_of(w.id) async for w in self._client.list_workflows(query)]
        return Repos(sorted(set(found)))

    @activity.defn(name="collect_claims")
    async def collect_claims(self, repos: Repos) -> Claims:
        """Ask every running job of the repository what it holds; a closed one holds nothing.

        Only after a life of the semaphore that did not end by itself: one that completed had
        given everything back, and in a repository's first life there is nothing to ask for.
        """
        repo = repos.repos[0]
        me = activity.info().workflow_run_id
        lives = f"WorkflowId='{names.semaphore_id(repo)}' AND RunId!='{me}'"
        orderly = (WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CONTINUED_AS_NEW)
        former = [life.status async for life in self._client.list_workflows(lives)]
        if all(status in orderly for status in former):
            return Claims()
        query = (
            f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running' "
            f"AND PenstockRepo='{repo}'"
        )
        jobs = [w.id async for w in self._client.list_workflows(query)]
        claims: list[Claim | None] = []
        for start in range(0, len(jobs), QUERIES_AT_ONCE):
            batch = jobs[start : start + QUERIES_AT_ONCE]
            claims += await asyncio.gather(*(self._claim(job) for job in batch))
        return Claims([claim for claim in claims if claim])

    async def _claim(self, job: str) -> Claim | None:
        handle = self._client.get_workflow_handle(job)
        try:
            # Short: a worker that is shutting down answers no query any more, and this is retried.
            return await handle.query("claim", result_type=Claim, rpc_timeout=CLAIM_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            if activity.info().attempt < CLAIM_ATTEMPTS:
                raise
        except WorkflowQueryFailedError:
            if activity.info().attempt < CLAIM_ATTEMPTS:
                raise
        # One job that cannot answer must not hold up its repository for ever. It is counted as a
        # holder, which is never too few; the sweep frees it once its workflow is closed.
        return Claim(job, lease=f"{UNANSWERED}{job}")


async def start_fleet(client: Client, limits: Limits) -> None:
    """Start the Fleet, or give a running one the configuration's limits.

    A Fleet that was terminated is asked for its last state: its mode and its live limits outlive
    it. Its book does not: the new one asks the semaphores. The mode is shown from the first
    moment, for gateways go by the memo, and until a worker takes a task nobody else writes one.
    """
    state = await _inherited(client, limits)
    await client.start_workflow(
        names.FLEET,
        state,
        id=names.FLEET_ID,
        task_queue=names.TASK_QUEUE,
        memo=fleet.memo(state),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=captions.FLEET.summary,
        static_details=captions.FLEET.details,
        start_signal="configure",
        start_signal_args=[limits],
    )


async def _inherited(client: Client, limits: Limits) -> FleetState:
    """What a Fleet that has ended hands on; a fresh state if there is none, or if it runs.

    No former run must keep a new Fleet from starting: one that no query can reach, or that does
    not replay on this code, hands on what it began with, and its mode by its memo.
    """
    fresh = FleetState(limits=limits)
    try:
        last = await client.get_workflow_handle(names.FLEET_ID).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            logger.warning("the former Fleet cannot be looked at: %s", error)
        return fresh
    if last.status == WorkflowExecutionStatus.RUNNING:
        return fresh
    former = client.get_workflow_handle(names.FLEET_ID, run_id=last.run_id)
    try:
        return await former.query("carried", result_type=FleetState, rpc_timeout=CARRIED_TIMEOUT)
    except (RPCError, WorkflowQueryFailedError, TypeError, ValueError) as error:
        logger.warning("the former Fleet cannot say its last state: %s", error)
    begun, worked = await _begun_with(client, former)
    memo = await last.memo()
    if not worked or "mode" not in memo:  # nothing has changed since
        return begun or fresh
    since, reason = float(memo.get("since", 0.0)), str(memo.get("reason", ""))
    return fleet.shown(begun or fresh, str(memo["mode"]), since, reason)


async def _begun_with(
    client: Client, former: WorkflowHandle[Any, Any]
) -> tuple[FleetState | None, bool]:
    """What one that cannot be asked began with, and whether it came to a workflow task."""
    begun: FleetState | None = None
    try:
        async for event in former.fetch_history_events(page_size=FIRST_EVENTS):
            if event.HasField("workflow_execution_started_event_attributes"):
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                (state,) = await client.data_converter.decode(payloads, [FleetState])
                fleet.reopen(state)
                begun = fleet.heritage(state)
            if event.HasField("workflow_task_completed_event_attributes"):
                return begun, True
    except (RPCError, TypeError, ValueError, LookupError, RuntimeError) as error:
        logger.warning("nor can what it began with be read: %s", error)
        return begun, True  # nobody knows
    return begun, False
