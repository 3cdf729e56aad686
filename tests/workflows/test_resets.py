"""An operator resets Fleet or semaphore under load: `temporal workflow reset`.

The new run begins with a copy of the old one's events, replays them under another run id, and must
then find out that it remembers less than has happened.
"""

import uuid

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.worker import _workflow_instance

from api.fleet_client import FleetClient
from policy import names
from policy.fleet import ModeChange
from policy.limits import LimitsChange, digest
from tests.support import replay, until
from tests.workflows.test_lives import all_laws, burst
from worker_sandbox import SINGLE_BATCH

COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
# The reset itself; and the end of a run, by a second reset, while a task of it was under way.
BY_RESET = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
)


async def reset(client, workflow_id: str, back: float) -> str:
    """Reset a workflow to one of its workflow tasks, 0 the newest, 1 the first; the new run."""
    handle = client.get_workflow_handle(workflow_id)
    history = await handle.fetch_history()
    run_id = (await handle.describe()).run_id
    tasks = [e.event_id for e in history.events if e.event_type == COMPLETED]
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            reason="a test",
            workflow_task_finish_event_id=tasks[int((1 - back) * (len(tasks) - 1))],
            request_id=str(uuid.uuid4()),
        )
    )
    return answer.run_id


async def failures(client, workflow_id: str, run_id: str) -> list[str]:
    """Workflow tasks that failed for other reasons than a reset: such a run stands still."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    events = [event async for event in handle.fetch_history_events()]
    failed = [e.workflow_task_failed_event_attributes for e in events if e.event_type == FAILED]
    return [one.failure.message for one in failed if one.cause not in BY_RESET]


async def settled(stack, workflow_id: str) -> bool:
    """Whether a Fleet or a semaphore knows again what is out."""
    query = "status" if workflow_id == names.FLEET_ID else "state"
    try:
        return (await stack.client.get_workflow_handle(workflow_id).query(query))["settled"]
    except Exception:
        return False


@pytest.mark.parametrize("workflow_id", [names.FLEET_ID, names.semaphore_id("acme/r1")])
async def test_a_reset_under_load_loses_and_doubles_nothing(penstock, workflow_id):
    """To an older task; then a run made by a reset, to an older task."""
    stack = await penstock(limits={"max_runners": 4})
    runs: list[str] = []
    for number, back in enumerate((0.2, 0.4), 1):
        await burst(stack, 2)
        assert await stack.site.wait("jobs_completed", count=8 * number - 5)
        runs.append(await reset(stack.client, workflow_id, back))
        await until(lambda: settled(stack, workflow_id))
    await all_laws(stack)
    for run_id in runs:
        assert await failures(stack.client, workflow_id, run_id) == []


@pytest.mark.parametrize("back", [0.0, 0.4, 1.0])
async def test_changes_of_limits_and_modes_that_a_reset_applies_again_replay(penstock, back):
    """Temporal tells a replay of them in another order than it told the worker."""
    stack = await penstock(limits={"max_runners": 4})
    fleet = FleetClient(stack.client)
    for number in (1, 2, 3):
        await fleet.set_mode("draining", ModeChange(f"d{number}", actor="ada"))
        # Each upon the one before it, as `If-Match` asks for.
        held = (await stack.fleet())["limits"]
        await fleet.set_limits(
            LimitsChange(
                max_runners=4 + number,
                repos={f"acme/r{number}": 1},
                actor="ada",
                if_match=digest(held),
            )
        )
        await fleet.set_mode("normal", ModeChange(f"n{number}", actor="ada"))
    run_id = await reset(stack.client, names.FLEET_ID, back)
    await until(lambda: settled(stack, names.FLEET_ID))
    # Not before the answer: what it changes comes upon what was applied again.
    assert (await fleet.set_limits(LimitsChange(default=3, actor="ada"))).max_runners == 7
    assert await replay(stack.client)
    status = await stack.fleet()
    assert (status["mode"], status["reason"]) == ("normal", "n3")
    assert status["limits"]["default"] == 3
    assert status["limits"]["repos"] == {f"acme/r{number}": 1 for number in (1, 2, 3)}
    memo = await (await stack.client.get_workflow_handle(names.FLEET_ID).describe()).memo()
    assert (memo["mode"], memo["reason"]) == ("normal", "n3")
    assert await failures(stack.client, names.FLEET_ID, run_id) == []


async def test_a_reset_is_heard_of_before_the_signals_that_came_since(penstock):
    """The Fleet must not divide by the book that it had then: all its permits are out."""
    stack = await penstock(limits={"max_runners": 2, "max_repo_share": 1.0})
    holders = await stack.site.jobs("acme/r0", count=2, seconds=60)
    assert await stack.site.wait("jobs_running", count=2)
    (waiter,) = await stack.site.jobs("acme/r1", seconds=0.1)

    async def waits() -> bool:
        return (await stack.fleet())["waiting"] == 1

    await until(waits)
    history = await stack.client.get_workflow_handle(names.FLEET_ID).fetch_history()
    events = list(history.events)
    first = next(
        event.event_id
        for event in events
        if event.workflow_execution_signaled_event_attributes.signal_name == "report"
    )
    before = sum(e.event_type == COMPLETED for e in events if e.event_id < first)
    tasks = sum(e.event_type == COMPLETED for e in events)
    run_id = await reset(stack.client, names.FLEET_ID, 1 - before / (tasks - 1))
    await until(lambda: settled(stack, names.FLEET_ID))
    assert (await stack.explain("acme/r1", waiter))["permit"] == "waiting"
    for job in holders:
        await stack.site.call("POST", f"jobs/{job}/cancel")
    await stack.result("acme/r1", waiter)
    await all_laws(stack)
    assert await failures(stack.client, names.FLEET_ID, run_id) == []


def test_the_flag_is_the_sdks():
    """A release of the SDK that uses it by default makes worker_sandbox.py superfluous."""
    flag = _workflow_instance._WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH
    assert flag == SINGLE_BATCH
    assert flag not in _workflow_instance._DEFAULT_ENABLED_WORKFLOW_LOGIC_FLAGS
