"""Runs a worker and a workflow, then leaves: ADDRESS CODE."""

import asyncio
import sys
import uuid

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from embedded.leave import leave


@workflow.defn
class Nothing:
    """Ends at once."""

    @workflow.run
    async def run(self) -> str:
        """Its result."""
        return "done"


async def main(address: str) -> None:
    """One workflow, in order."""
    client = await Client.connect(address)
    name = uuid.uuid4().hex
    async with Worker(
        client,
        task_queue=name,
        workflows=[Nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        sys.stdout.write(await client.execute_workflow(Nothing.run, id=name, task_queue=name))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    leave(int(sys.argv[2]))
