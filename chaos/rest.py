"""Whether the system has recovered by itself: what is still missing, in words."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from api.fleet_client import FleetUnavailable
from chaos import runners
from chaos.stack import Stack
from policy import names

LOOK_SECONDS = 1.0
SAY_SECONDS = 10.0
CALM_LOOKS = 2  # in a row: a redelivery may be on its way at the first


async def wait(
    stack: Stack, patience: float, say: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Until nothing is missing, or too late: then what is. `say` hears of it now and then."""
    began = said_at = time.monotonic()
    ends = began + patience
    calm = 0
    while True:
        try:
            missing = [line async for line in _missing(stack)]
        except (RPCError, FleetUnavailable) as error:
            missing = [f"Temporal or the Fleet does not answer: {error}"]
        calm = 0 if missing else calm + 1
        if calm >= CALM_LOOKS:
            return []
        if missing and time.monotonic() > said_at + SAY_SECONDS:
            said_at = time.monotonic()
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            say(f"  recovering for {said_at - began:.0f} s: {missing[0]}{more}")
        if time.monotonic() > ends:
            return missing or ["it was calm for too short a time"]
        await asyncio.sleep(LOOK_SECONDS)


async def _missing(stack: Stack) -> AsyncIterator[str]:
    log = await stack.site.call("GET", "deliveries")
    if log["pending"]:
        yield f"{log['pending']} deliveries are on their way"
    events = [one for one in log["deliveries"] if one["event"] == "workflow_job"]
    paid = {one["guid"] for one in events if one["status"] == "OK"}
    unpaid = {one["guid"] for one in events} - paid
    if unpaid:
        yield f"{len(unpaid)} events were never delivered"
    letters = [path.name for path in (stack.state / "dead-letters").glob("*.json")]
    owed = [name for name in letters if not name.startswith("job-")]
    if owed:
        yield f"{len(owed)} dead letters of deliveries are left"
    async for line in _open_work(stack):
        yield line
    living = [one.name for one in runners.alive(stack.state / "runners")]
    if living:
        yield f"runners live: {', '.join(living)}"
    registered = [one["name"] for one in (await stack.site.call("GET", "runners"))["runners"]]
    if registered:
        yield f"GitHub has runners registered: {', '.join(registered)}"


async def _open_work(stack: Stack) -> AsyncIterator[str]:
    ours = await _jobs(stack.client)
    for workflow_id, status in ours.items():
        if status == WorkflowExecutionStatus.RUNNING:
            yield f"{workflow_id} is open"
    jobs: list[dict[str, Any]] = (await stack.site.call("GET", "jobs"))["jobs"]
    for job in jobs:
        if job["status"] == "completed":
            continue
        workflow_id = names.runner_job_id(f"{job['owner']}/{job['repo']}", job["id"])
        # One whose workflow an operator ended, or that has failed for a reason, stays at GitHub.
        if workflow_id not in ours:
            yield f"job {job['id']} has no workflow"
        elif job["status"] == "in_progress":
            yield f"job {job['id']} is in progress at GitHub"
    status = await stack.fleet.status()
    if status["running"] or status["waiting"] or not status["settled"]:
        said = {key: status[key] for key in ("running", "waiting", "settled")}
        yield f"the Fleet says {said}"


async def _jobs(client: Client) -> dict[str, WorkflowExecutionStatus | None]:
    """The newest run of each RunnerJob."""
    found: dict[str, tuple[float, WorkflowExecutionStatus | None]] = {}
    async for one in client.list_workflows(f"WorkflowType='{names.RUNNER_JOB}'"):
        at = one.start_time.timestamp()
        if at >= found.get(one.id, (0.0, None))[0]:
            found[one.id] = (at, one.status)
    return {key: status for key, (_, status) in found.items()}
