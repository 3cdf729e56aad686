"""A worker whose workflows were changed as they must not be, in the middle of the work."""

from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import WorkflowHandle

import worker
from policy import names
from tests.support import replay, until
from tests.workflows import changed
from tests.workflows.clock import REPO, job_of

NONDETERMINISM = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
BAD = (
    changed.JobWithATimer,
    changed.SemaphoreWithATimer,
    changed.FleetWithATimer,
    changed.RecoveryWithATimer,
)


async def stands(handle: WorkflowHandle) -> bool:
    """Whether a workflow's task failed because the code does something else than it did."""
    failed = [
        event.workflow_task_failed_event_attributes.cause
        for event in (await handle.fetch_history()).events
        if event.HasField("workflow_task_failed_event_attributes")
    ]
    return NONDETERMINISM in failed


async def test_a_bad_release_that_is_rolled_back_loses_nothing(penstock, monkeypatch):
    """What ran stands still meanwhile, and goes on by itself: nobody resets anything."""
    stack = await penstock(limits={"default": 1})
    running, waiting = await stack.site.jobs(REPO, count=2, seconds=3)
    assert await stack.site.wait("job_started", job_id=running)
    await stack.stop()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "WORKFLOWS", BAD)
        bad = await penstock(limits={"default": 1})
        assert await bad.site.wait("job_completed", job_id=running)
        for handle in (job_of(bad, running), bad.client.get_workflow_handle(names.FLEET_ID)):
            await until(lambda handle=handle: stands(handle))
        await bad.stop()
    good = await penstock(limits={"default": 1})
    for job in (running, waiting):
        result = await good.result(REPO, job, 120)
        assert (result["outcome"], result["conclusion"]) == ("completed", "success")
    await good.settled()
    made = (await good.site.call("GET", "jobs"))["jobs"]
    assert [job["times_run"] for job in made] == [1, 1]
    assert await replay(good.client)
