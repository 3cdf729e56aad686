"""What a Fleet takes over from one that was ended before it could do anything."""

import pytest
from temporalio.client import Client

from activities.workflows import start_fleet
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


@pytest.mark.parametrize(("memo", "deadline_at"), [({}, 5.0), ({"mode": "normal"}, 0.0)])
async def test_a_deadline_that_may_be_another_by_now_is_not_handed_on(client, memo, deadline_at):
    """It can stop runners: only one of a Fleet that no task has changed is as it was."""
    state = FleetState(limits=LIVE, mode="draining", deadline_at=5.0, on_deadline="stop")
    await client.start_workflow(
        names.FLEET, state, id=names.FLEET_ID, task_queue=names.TASK_QUEUE, memo=memo
    )
    await client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await start_fleet(client, CONFIGURED)
    found = await begun_with(client)
    assert (found.mode, found.deadline_at) == (memo.get("mode", "draining"), deadline_at)
    assert found.limits == LIVE


async def test_what_cannot_be_read_keeps_no_fleet_from_starting(client):
    """Then the configuration counts."""
    await client.start_workflow(
        names.FLEET, "no state", id=names.FLEET_ID, task_queue=names.TASK_QUEUE
    )
    await client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await start_fleet(client, CONFIGURED)
    state = await begun_with(client)
    assert (state.limits, state.mode) == (CONFIGURED, "normal")
