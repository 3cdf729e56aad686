"""The floor, on the same Temporal server: as little as could do what Penstock does.

- `Bare`: a workflow of one activity and one signal. Its jobs a second, how soon its activity runs,
  and what it costs in events, bytes and actions.
- `Relay`: a workflow that hands a signal on to another one, as a release becomes a grant.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

QUEUE = "floor"


@activity.defn(name="nothing")
async def nothing() -> float:
    """Say when it ran, epoch seconds."""
    return time.time()


@workflow.defn(name="Bare")
class Bare:
    """One activity, then one signal."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> float:
        """As little as a job could do; when its activity ran."""
        at = await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=60))
        await workflow.wait_condition(lambda: self._told)
        return at

    @workflow.signal
    def tell(self) -> None:
        """The signal."""
        self._told = True


@workflow.defn(name="Relay")
class Relay:
    """Signals go on to whom they name."""

    def __init__(self) -> None:
        self._to: list[str] = []

    @workflow.run
    async def run(self, number: int) -> None:
        """So many."""
        for _ in range(number):
            await workflow.wait_condition(lambda: bool(self._to))
            target = workflow.get_external_workflow_handle(self._to.pop(0))
            await target.signal("tell")

    @workflow.signal
    def hand_on(self, to: str) -> None:
        """To this workflow."""
        self._to.append(to)


@asynccontextmanager
async def floor_worker(client: Client) -> AsyncGenerator[None]:
    """A worker of the floor's own inside the block."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules("benchmarks")
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Bare, Relay],
        activities=[nothing],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    ):
        yield


async def bare_jobs_per_second(client: Client, jobs: int) -> float:
    """Bare workflows completed per second, all started at once."""
    async with floor_worker(client):
        began = time.monotonic()

        async def one() -> None:
            handle = await _start(client)
            await handle.signal(Bare.tell)
            await handle.result()

        await asyncio.gather(*(one() for _ in range(jobs)))
        return jobs / (time.monotonic() - began)


async def bare_latencies(client: Client, jobs: int) -> list[float]:
    """Seconds from each start's call until its activity ran, one workflow after another."""
    found: list[float] = []
    async with floor_worker(client):
        for _ in range(jobs):
            began = time.time()
            handle = await _start(client)
            await handle.signal(Bare.tell)
            found.append(await handle.result() - began)
    return found


async def bare_hops(client: Client, number: int) -> list[float]:
    """Seconds from a signal's arrival at one workflow to its arrival at the next, one by one.

    By the server's clock, from both histories.
    """
    ids = [f"bare-{uuid.uuid4()}" for _ in range(number)]
    async with floor_worker(client):
        relay = await client.start_workflow(
            Relay.run, number, id=f"relay-{uuid.uuid4()}", task_queue=QUEUE
        )
        for target in ids:
            handle = await client.start_workflow(Bare.run, id=target, task_queue=QUEUE)
            await relay.signal(Relay.hand_on, target)
            await handle.result()
        await relay.result()
    left = await _heard(relay)
    came = [(await _heard(client.get_workflow_handle(target)))[0] for target in ids]
    return [after - before for before, after in zip(left, came, strict=True)]


async def _start(client: Client) -> WorkflowHandle[Bare, float]:
    return await client.start_workflow(
        Bare.run, id=f"bare-{uuid.uuid4()}", task_queue=QUEUE, request_eager_start=True
    )


async def _heard(handle: WorkflowHandle[Any, Any]) -> list[float]:
    """When each signal came, epoch seconds."""
    return [
        event.event_time.ToNanoseconds() / 1e9
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
