"""What a Fleet takes over from one that was ended before it could do anything."""

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import Client

from activities.workflows import start_fleet
from api.mode import ModeWatch
from policy import fleet, names
from policy.allotment import Account
from policy.fleet import FleetState
from policy.limits import Limits

CONFIGURED = Limits(max_runners=6)
LIVE = Limits(max_runners=3)


async def begun_with(client: Client) -> FleetState:
    """The state that the newest Fleet was started with."""
    handle = client.get_workflow_handle(names.FLEET_ID)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        return (await client.data_converter.decode(payloads, [FleetState]))[0]
    raise AssertionError("a history without a beginning")


def with_a_book() -> FleetState:
    """A Fleet that went on as a new run: draining, live limits, a repository with two permits."""
    state = FleetState(limits=LIVE, mode="draining", reason="upgrade")
    state.book.accounts["acme/api"] = Account("acme/api", settled=True, outstanding={1: 2})
    return fleet.close(state)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_fleet_that_was_ended_before_its_first_task_hands_on_what_it_had(client, times):
    """No worker runs, so none is asked; twice in a row is no matter either."""
    await client.start_workflow(
        names.FLEET, with_a_book(), id=names.FLEET_ID, task_queue=names.TASK_QUEUE
    )
    for _ in range(times):
        await client.get_workflow_handle(names.FLEET_ID).terminate("a test")
        await start_fleet(client, CONFIGURED)
    state = await begun_with(client)
    assert (state.limits, state.mode, state.reason) == (LIVE, "draining", "upgrade")
    assert state.last_known == {"acme/api": 2}
    assert not state.packed


async def take_a_task(client: Client) -> None:
    """What a worker does for its first look at a Fleet, in which nothing is decided."""
    service = client.workflow_service
    task = await service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=names.TASK_QUEUE)
        )
    )
    await service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(namespace=client.namespace, task_token=task.task_token)
    )


@pytest.mark.parametrize(("worked", "deadline_at"), [(False, 5.0), (True, 0.0)])
async def test_a_deadline_that_may_be_another_by_now_is_not_handed_on(client, worked, deadline_at):
    """It can stop runners: only one of a Fleet that no task has changed is as it was."""
    state = FleetState(limits=LIVE, mode="draining", deadline_at=5.0, on_deadline="stop")
    memo = fleet.memo(state)
    await client.start_workflow(
        names.FLEET, state, id=names.FLEET_ID, task_queue=names.TASK_QUEUE, memo=memo
    )
    if worked:
        await take_a_task(client)
    await client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await start_fleet(client, CONFIGURED)
    found = await begun_with(client)
    assert (found.mode, found.deadline_at) == ("draining", deadline_at)
    assert found.limits == LIVE


async def test_a_new_fleet_shows_its_mode_before_a_worker_has_looked_at_it(client):
    """Gateways go by it: one that read "normal" meanwhile admitted what a drain should refuse."""
    await client.start_workflow(
        names.FLEET, with_a_book(), id=names.FLEET_ID, task_queue=names.TASK_QUEUE
    )
    await client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await start_fleet(client, CONFIGURED)
    view = await ModeWatch(client).current()
    assert (view.mode, view.reason) == ("draining", "upgrade")


@pytest.mark.parametrize("memo", [{}, {"mode": "maintenance", "since": 7.0, "reason": "disk"}])
async def test_a_state_that_cannot_be_read_does_not_hide_the_mode(client, memo):
    """The memo of a Fleet has it, where there is one."""
    await client.start_workflow(
        names.FLEET, "no state", id=names.FLEET_ID, task_queue=names.TASK_QUEUE, memo=memo
    )
    await client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await start_fleet(client, CONFIGURED)
    found = await begun_with(client)
    assert (found.mode, found.since) == (memo.get("mode", "normal"), memo.get("since", 0.0))
    assert found.limits == CONFIGURED
