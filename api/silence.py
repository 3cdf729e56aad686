"""Why a workflow does not answer: no worker runs, or its workflow task fails again and again."""

import asyncio
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

PATIENCE_SECONDS = 1.0  # beyond that of whoever has waited for the answer already
TRIES = 3  # of one workflow task: a second one is usual, after a worker was killed
NO_WORKER = "is a worker running (penstock worker)?"


async def cause(silent: WorkflowHandle[Any, Any]) -> str:
    """What to look at, for the end of a sentence; a missing worker where nothing else is known."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            described = await silent.describe()
    except (RPCError, TimeoutError):
        return NO_WORKER
    tries = described.raw_description.pending_workflow_task.attempt
    if tries < TRIES:
        return NO_WORKER
    return (
        f"its workflow task has failed {tries - 1} times (a worker's log says why; "
        "if that began with a new release, roll it back)"
    )
