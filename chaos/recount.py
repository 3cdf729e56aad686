"""L14 at rest: what the Fleet says is what the semaphores and the workflows say."""

import asyncio
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from checker.evidence import Violation
from policy import names


async def check(client: Client, now: float) -> list[Violation]:
    """The Fleet's figures that a recount contradicts."""
    fleet = client.get_workflow_handle(names.FLEET_ID)
    status = await fleet.query("status", result_type=dict[str, Any])
    query = f"WorkflowType='{names.REPO_SEMAPHORE}' AND ExecutionStatus='Running'"
    handles = [client.get_workflow_handle(one.id) async for one in client.list_workflows(query)]
    asked = (handle.query("state", result_type=dict[str, Any]) for handle in handles)
    try:
        states = await asyncio.gather(*asked)
    except RPCError as error:
        return [Violation("L14", names.FLEET_ID, now, f"no recount: {error}")]
    counted = {
        "running": sum(int(state["in_use"]) for state in states),
        "waiting": sum(int(state["waiting"]) for state in states),
    }
    return [
        Violation("L14", names.FLEET_ID, now, f"it says {name} {status[name]}, a recount {n}")
        for name, n in counted.items()
        if status[name] != n
    ]
