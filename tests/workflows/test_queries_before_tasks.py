"""A query that waited for a worker, and events that came meanwhile.

The query brings the history as far as it goes, and that ends in events for which no workflow task
has begun. temporalio 1.35 lets the workflow act on them, at an older time than a replay does.
"""

import asyncio
import logging
import uuid
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import worker_sandbox
from worker_sandbox import Sandbox

RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules("tests")
AWAY = 0.2  # seconds; between a query and the signal after it, and between that and the worker
# Which of the two tasks a worker is given first is the server's choice, about one to one.
TRIES = 25


@workflow.defn
class Late:
    """Says whether it knows that the signal came later than its begin."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._told = False

    @workflow.run
    async def run(self) -> str:
        """What it does depends on the time, as leases do."""
        began = workflow.now()
        await workflow.wait_condition(lambda: self._told)
        if workflow.now() - began < timedelta(seconds=AWAY):
            return "at the time of the task before"
        await workflow.sleep(0.001)
        return "late"

    @workflow.signal
    def tell(self) -> None:
        """Go on."""
        self._told = True

    @workflow.query
    def told(self) -> bool:
        """Whether the signal was heard."""
        return self._told


async def asked_and_told(client: Client, runner: SandboxedWorkflowRunner) -> tuple[bool, str]:
    """What the query was answered, and what the workflow did."""
    queue = f"queue-{uuid.uuid4()}"

    def at_work() -> Worker:
        made = Worker(client, task_queue=queue, workflows=[Late], workflow_runner=runner)
        if isinstance(runner, Sandbox):
            runner.serve(made)
        return made

    async with at_work():
        handle: WorkflowHandle[Late, str] = await client.start_workflow(
            Late.run, id=queue, task_queue=queue
        )
        await handle.query(Late.told)  # its first task has been done
    asked = asyncio.create_task(handle.query(Late.told))
    await asyncio.sleep(AWAY)  # nothing shows when a query has reached the queue
    await handle.signal(Late.tell)
    await asyncio.sleep(AWAY)
    async with at_work():
        return await asked, await handle.result()


async def test_a_query_leaves_events_to_their_own_task(client: Client, caplog):
    """The workflow goes on at the right time, and the history replays."""
    caplog.set_level(logging.INFO, worker_sandbox.__name__)
    runner = Sandbox(restrictions=RESTRICTIONS)
    for _ in range(TRIES):
        answer, done = await asked_and_told(client, runner)
        assert done == "late"
        if caplog.records:
            assert answer, "it knows all that had come"
            break
    assert caplog.records, "no query came before the task; see test_the_sdk_needs_it"
    replayer = Replayer(
        workflows=[Late], workflow_runner=SandboxedWorkflowRunner(restrictions=RESTRICTIONS)
    )
    async for found in client.list_workflows():
        history = await client.get_workflow_handle(found.id).fetch_history()
        await replayer.replay_workflow(history)


async def test_the_sdk_needs_it(client: Client):
    """A release of the SDK in which this fails makes half of worker_sandbox.py superfluous."""
    runner = SandboxedWorkflowRunner(restrictions=RESTRICTIONS)
    for _ in range(TRIES):
        if (await asked_and_told(client, runner))[1] != "late":
            return
    raise AssertionError("the SDK keeps events from a workflow until their task begins")
