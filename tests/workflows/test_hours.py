"""What takes minutes, hours and a day, on Temporal's own clock of each workflow that skips time.

The clocks: clock.py.
"""

import pytest
from temporalio.client import Client

from policy import names
from tests.support import Penstock, until
from tests.workflows.clock import REPO, SKIPPING, Clock, in_line, job_of, semaphore_of
from tests.workflows.test_one_job import faulty

MINUTE, HOUR = 60.0, 3600.0
DAY = 24 * HOUR


@pytest.fixture
def dynamic() -> dict[str, str]:
    """The server may skip time; it does so for nobody who does not ask."""
    return SKIPPING


@pytest.fixture
def clock(client: Client) -> Clock:
    """The clocks of this test's server."""
    return Clock(client)


async def asked_again(stack: Penstock, job: int) -> bool:
    """Whether the job itself asked for a permit: its first asking the gateway did for it."""
    events = (await job_of(stack, job).fetch_history()).events
    sent = (one.signal_external_workflow_execution_initiated_event_attributes for one in events)
    return any(attributes.signal_name == "acquire" for attributes in sent)


async def nudged(stack: Penstock, job: int) -> None:
    """Wait until a job was told to look at its clock, and did."""

    async def told() -> bool:
        events = (await job_of(stack, job).fetch_history()).events
        heard = [one.workflow_execution_signaled_event_attributes.signal_name for one in events]
        done = [one.HasField("workflow_task_completed_event_attributes") for one in events]
        return "nudge" in heard and any(done[heard.index("nudge") :])

    await until(told)


async def test_a_job_that_waits_for_a_day_expires(penstock, clock):
    """It sets no timer for that: the semaphore's hourly nudge has it look at its clock."""
    stack = await penstock(limits={"default": 0})
    (job,) = await stack.site.jobs(REPO)
    await in_line(stack, job)
    assert await clock.forward(job_of(stack, job), DAY - MINUTE)
    assert (await stack.explain(REPO, job))["state"] == "queued"
    assert await clock.forward(semaphore_of(stack), HOUR)
    await nudged(stack, job)
    assert (await stack.explain(REPO, job))["waited_seconds"] >= DAY - MINUTE
    await clock.forward(job_of(stack, job), 2 * MINUTE)
    result = await stack.result(REPO, job)
    assert (result["outcome"], result["launches"]) == ("expired", 0)
    letters = (await stack.admin("GET", "dead-letters")).json()["dead_letters"]
    assert [(le["kind"], le["job_id"]) for le in letters] == [("job", str(job))]


async def test_a_job_asks_again_after_five_minutes(penstock, clock):
    """Where it is told to (`reacquire_seconds`): its semaphore is gone, and is revived."""
    stack = await penstock(limits={"default": 0}, runner={"reacquire_seconds": 300})
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    await in_line(stack, job)
    assert await clock.forward(job_of(stack, job), 2 * MINUTE)
    assert not await asked_again(stack, job), "too early"
    await semaphore_of(stack).terminate("a test")
    assert await clock.forward(job_of(stack, job), 5 * MINUTE)
    assert await asked_again(stack, job)
    await in_line(stack, job)
    await stack.admin("PATCH", "limits", default=1)
    assert (await stack.result(REPO, job))["outcome"] == "completed"


async def test_a_waiter_moves_up_one_level_every_ten_minutes(penstock, clock):
    """The lowest is in the top level after half an hour, and there the earlier one goes first."""
    stack = await penstock(limits={"default": 1})
    (holder,) = await stack.site.jobs(REPO, seconds=600)
    assert await stack.site.wait("job_started", job_id=holder)
    (low,) = await stack.site.jobs(REPO, head_branch="wip/x", seconds=600)
    await in_line(stack, low)
    (normal,) = await stack.site.jobs(REPO, head_branch="feature/x", seconds=600)
    await in_line(stack, low, normal)

    async def levels() -> list[tuple[str, str]]:
        # A query sees the time of the last workflow task: one of no other use.
        await semaphore_of(stack).signal("acquire_many", {})
        line = await semaphore_of(stack).query("front", 9)
        return [(names.job_of(one["job"]), one["priority_now"]) for one in line]

    assert await levels() == [(str(normal), "normal"), (str(low), "low")]
    for mine, others in [("normal", "high"), ("high", "critical")]:
        assert await clock.forward(semaphore_of(stack), 10 * MINUTE)
        assert await levels() == [(str(normal), others), (str(low), mine)]
    assert await clock.forward(semaphore_of(stack), 10 * MINUTE)
    assert await levels() == [(str(low), "critical"), (str(normal), "critical")]
    await stack.site.call("POST", f"jobs/{holder}/cancel")
    assert await stack.site.wait("job_started", job_id=low)
    await stack.site.call("POST", f"jobs/{normal}/cancel")
    await stack.site.call("POST", f"jobs/{low}/cancel")
    assert (await stack.result(REPO, low))["launches"] == 1
    assert (await stack.result(REPO, normal))["launches"] == 0


async def test_a_runner_that_takes_no_job_in_ten_minutes_is_replaced(penstock, clock):
    """The semaphore's nudge has the job look at its clock; from then on it keeps its own time."""
    stack = await penstock(runner={"command": faulty("ignore_jobs", first=1)})
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    assert await stack.site.wait("runners_registered", count=1)
    handle = job_of(stack, job)
    assert await clock.forward(handle, 9 * MINUTE)
    assert (await stack.explain(REPO, job))["launches"] == 1
    assert await clock.forward(semaphore_of(stack), 10 * MINUTE)
    await nudged(stack, job)
    await clock.forward(handle, 2 * MINUTE)
    result = await stack.result(REPO, job)
    assert (result["outcome"], result["launches"]) == ("completed", 2)


async def test_a_semaphore_without_work_ends_after_an_hour(penstock, clock):
    """It tells the Fleet that it keeps nothing; the next job begins another one."""
    stack = await penstock()
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    await stack.result(REPO, job)
    await stack.settled()
    first = (await semaphore_of(stack).describe()).run_id
    await clock.forward(semaphore_of(stack), HOUR + MINUTE)
    await semaphore_of(stack).result()
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    assert (await stack.result(REPO, job))["outcome"] == "completed"
    assert (await semaphore_of(stack).describe()).run_id != first
