"""A server of ours lets a workflow task end, however many signals come while it is worked on."""

import asyncio
import uuid
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import Client

QUEUE = "by-hand"
SIGNALS = 500  # Temporal's own limit is 100
AT_ONCE = 20


async def take_task(client: Client) -> PollWorkflowTaskQueueResponse:
    """Begin a workflow task, as a worker does."""
    return await client.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=QUEUE, kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
        )
    )


async def test_a_flood_of_signals_fails_no_workflow_task(client):
    """With a limit of 100 a workflow in a flood could not continue as new before the flood ended.

    A semaphore's last decision in a run would be failed each time, until the run has the 10,000
    signals after which Temporal takes no more.
    """
    handle = await client.start_workflow(
        "Nothing",
        id=f"flood-{uuid.uuid4()}",
        task_queue=QUEUE,
        task_timeout=timedelta(minutes=1),
    )
    task = await take_task(client)
    gate = asyncio.Semaphore(AT_ONCE)

    async def signal(number: int) -> None:
        async with gate:
            await handle.signal("anything", number)

    await asyncio.gather(*map(signal, range(SIGNALS)))
    await client.workflow_service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(namespace=client.namespace, task_token=task.task_token)
    )
    history = await handle.fetch_history()
    kinds = [event.WhichOneof("attributes") for event in history.events]
    assert "workflow_task_failed_event_attributes" not in kinds
    assert kinds.count("workflow_execution_signaled_event_attributes") == SIGNALS
