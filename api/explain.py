"""Why a job waits: the job's own word, its place in line, and the limit that holds it.

A workflow's query cannot ask another workflow, so the three answers are put together here.
"""

import asyncio
import time
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from api.silence import cause
from policy import names

T = TypeVar("T")
PATIENCE_SECONDS = 5.0
UNKNOWN = "its workflow does not answer"


class UnknownJob(Exception):
    """No workflow was ever started for this job."""


class JobSilent(Exception):
    """The job's workflow does not answer; the message says what to look at."""


async def explain(client: Client, repo: str, job_id: str) -> dict[str, Any]:
    """All that is known of one job; of a waiting one also limit, position and estimate.

    Raises UnknownJob, JobSilent. A silent semaphore or Fleet makes the answer poorer, not wrong.
    """
    workflow_id = names.runner_job_id(repo, job_id)
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            told: dict[str, Any] = await handle.query("explain", result_type=dict[str, Any])
            status = WorkflowExecutionStatus.RUNNING
            if told["permit"] != "waiting":
                status = (await handle.describe()).status or status
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            raise UnknownJob(f"no job {job_id} of {repo.lower()} is known") from None
        raise JobSilent(await _silent(handle)) from None
    except (TimeoutError, WorkflowQueryFailedError):
        raise JobSilent(await _silent(handle)) from None
    told["workflow_id"] = workflow_id
    if told["permit"] != "waiting":
        if status != WorkflowExecutionStatus.RUNNING:
            told["ended"] = status.name.lower()
            told["why"] = f"its workflow has ended: {told['ended']}"
        return told
    kind, semaphore_id = dict[str, Any], names.semaphore_id(repo)
    place = await ask(client, semaphore_id, "waiter", workflow_id, kind=kind)
    position = int(place["position"]) if place else 0
    held = await ask(client, names.FLEET_ID, "holds", repo.lower(), max(1, position), kind=kind)
    semaphore, fleet = await asyncio.gather(
        _why(client, semaphore_id, place), _why(client, names.FLEET_ID, held)
    )
    return {**told, **compose(told, place, held, time.time(), semaphore=semaphore, fleet=fleet)}


def compose(
    told: dict[str, Any],
    place: dict[str, Any] | None,
    held: dict[str, Any] | None,
    now: float,
    *,
    semaphore: str = "",
    fleet: str = "",
) -> dict[str, Any]:
    """What a waiting job's own word lacks; who did not answer leaves a gap that is named.

    `limit` is `not-before` while the job itself may take no permit, else the Fleet's word, or
    `unknown`. `semaphore` and `fleet` say why they do not answer, where that is known.
    """
    limit, why = ("unknown", _gap("the Fleet", fleet))
    if held:
        limit, why = held["limit"], held["why"]
    if told["not_before"] > now:
        limit, why = "not-before", told["why"]
    if place is None:
        where = _gap("its semaphore", semaphore)
    elif not place["position"]:
        where = "its semaphore has not heard of it yet"
    else:
        where = f"{place['position']} of {place['waiting']} in line of {place['repo']}"
    return {
        "position": place["position"] or None if place else None,
        "waiting_in_repo": place["waiting"] if place else None,
        "priority_now": place["priority_now"] or None if place else None,
        "limit": limit,
        "why": f"{where}; {why}",
        "estimate": held["estimate"] if held else None,
    }


async def ask(client: Client, workflow_id: str, query: str, *args: Any, kind: type[T]) -> T | None:
    """A workflow's answer to a query; None if there is none in time."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await client.get_workflow_handle(workflow_id).query(
                query, args=list(args), result_type=kind
            )
    except (RPCError, TimeoutError, WorkflowQueryFailedError):
        return None


async def _why(client: Client, workflow_id: str, answer: dict[str, Any] | None) -> str:
    """Why there is no answer; empty if there is one."""
    return "" if answer else await cause(client.get_workflow_handle(workflow_id))


def _gap(who: str, cause_of_it: str) -> str:
    return f"{who} does not answer" + (f": {cause_of_it}" if cause_of_it else "")


async def _silent(job: WorkflowHandle[Any, Any]) -> str:
    return f"the workflow {job.id} does not answer: {await cause(job)}"
