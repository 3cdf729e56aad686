"""Clocks of single workflows, which skip time on Temporal's development server.

Every workflow has a clock of its own, which skips only when a test says so: over what it waits for
with nothing under way. The others' clocks stay where they are.
"""

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkipper

from policy import names
from tests.support import Penstock, exists, until

REPO = "acme/api"
SKIPPING = {"frontend.WorkflowTimeSkippingEnabled": "true"}  # for the fixture `dynamic`


class Clock:
    """Moves the clocks of single workflows."""

    def __init__(self, client: Client) -> None:
        self._skipper = TimeSkipper(client)

    async def forward(self, handle: WorkflowHandle, seconds: float) -> bool:
        """Skip so many seconds of one workflow's time; False if it ended before."""
        return await self._skipper.fast_forward(handle, seconds)


def job_of(stack: Penstock, job: int) -> WorkflowHandle:
    """A job's workflow."""
    return stack.client.get_workflow_handle(names.runner_job_id(REPO, job))


def semaphore_of(stack: Penstock) -> WorkflowHandle:
    """The repository's semaphore."""
    return stack.client.get_workflow_handle(names.semaphore_id(REPO))


async def in_line(stack: Penstock, *jobs: int) -> None:
    """Wait until the semaphore knows them as waiters."""
    wanted = {names.runner_job_id(REPO, job) for job in jobs}
    await until(lambda: exists(semaphore_of(stack)))

    async def waiting() -> bool:
        return wanted <= set((await semaphore_of(stack).query("state"))["waiters"])

    await until(waiting)
