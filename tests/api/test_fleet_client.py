"""The Fleet asked while no worker runs: one clear error, whatever is asked."""

import asyncio

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskFailedRequest,
)

from activities.workflows import start_fleet
from api import fleet_client
from api.fleet_client import FleetClient, FleetUnavailable
from policy import names
from policy.limits import Limits, LimitsChange


@pytest.fixture
async def fleet(client, monkeypatch) -> FleetClient:
    """A Fleet that nobody works for, and a client with little patience."""
    monkeypatch.setattr(fleet_client, "PATIENCE_SECONDS", 0.3)
    await start_fleet(client, Limits())
    return FleetClient(client)


async def test_limits_cannot_be_set_while_no_worker_runs(fleet):
    """The SDK has an error of its own for an update that took too long; nobody is to see it."""
    with pytest.raises(FleetUnavailable, match="is a worker running"):
        await fleet.set_limits(LimitsChange(max_runners=3))


async def test_whoever_asks_may_still_be_cancelled(fleet, monkeypatch):
    """The SDK calls that the same."""
    monkeypatch.setattr(fleet_client, "PATIENCE_SECONDS", 60.0)
    asking = asyncio.create_task(fleet.set_limits(LimitsChange(max_runners=3)))
    await asyncio.wait([asking], timeout=0.3)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_fleet_whose_tasks_fail_says_so(client, fleet):
    """What no further worker of that release mends."""
    service = client.workflow_service
    for failed in range(2):
        task = await service.poll_workflow_task_queue(
            PollWorkflowTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=names.TASK_QUEUE)
            )
        )
        assert task.attempt == failed + 1
        with pytest.raises(FleetUnavailable, match="is a worker running"):
            await fleet.status()
        await service.respond_workflow_task_failed(
            RespondWorkflowTaskFailedRequest(
                namespace=client.namespace, task_token=task.task_token
            )
        )
    with pytest.raises(FleetUnavailable, match="task has failed 2 times"):
        await fleet.status()
    with pytest.raises(FleetUnavailable, match="task has failed 2 times"):
        await fleet.set_limits(LimitsChange(max_runners=3))
