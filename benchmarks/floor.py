"""The floor: a bare workflow of one activity and one signal, on the same Temporal server."""

import asyncio
import time
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

QUEUE = "floor"


@activity.defn(name="nothing")
async def nothing() -> None:
    """Do nothing."""


@workflow.defn(name="Bare")
class Bare:
    """One activity, then one signal."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        """As little as a job could do."""
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=60))
        await workflow.wait_condition(lambda: self._told)

    @workflow.signal
    def tell(self) -> None:
        """The signal."""
        self._told = True


async def bare_jobs_per_second(client: Client, jobs: int) -> float:
    """Bare workflows completed per second, all started at once."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules("benchmarks")
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Bare],
        activities=[nothing],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    ):
        began = time.monotonic()

        async def one() -> None:
            handle = await client.start_workflow(
                Bare.run, id=f"bare-{uuid.uuid4()}", task_queue=QUEUE, request_eager_start=True
            )
            await handle.signal(Bare.tell)
            await handle.result()

        await asyncio.gather(*(one() for _ in range(jobs)))
        return jobs / (time.monotonic() - began)
