"""What is lost comes back although nothing else happens: no webhook, no timer of a job."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest
from temporalio.client import Client

from activities import guardian
from activities.guardian import Guardian, Pace
from policy import names
from policy.limits import Limits
from policy.messages import Granted
from policy.semaphore_state import SemaphoreState
from tests.support import exists, job_payload, until
from workflows.repo_semaphore import RepoSemaphore
from workflows.runner_job import JobInput, RunnerJob

FAULTY = Path(__file__).parents[1] / "workflows" / "faulty_runner.py"
REPO = "acme/api"
SEMAPHORE = names.semaphore_id(REPO)
QUICK = Pace(fleet=0.1, first=0.1, semaphores=0.3, again=0.2)
LIMITS = Limits(max_runners=6, default=0)


@pytest.fixture
async def quick(client):
    """A guardian that looks all the time, beside whatever the test starts."""
    guarding = asyncio.create_task(Guardian(client, LIMITS, QUICK).run())
    yield guarding
    guarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guarding


async def run_id(client: Client, workflow_id: str) -> str:
    """Which life of a workflow this is."""
    return (await client.get_workflow_handle(workflow_id).describe()).run_id


async def waiters(client: Client) -> list[str]:
    """Who stands in the semaphore's queue."""
    handle = client.get_workflow_handle(SEMAPHORE)
    return (await handle.query("state"))["waiters"] if await exists(handle) else []


async def heard(client: Client, workflow_id: str) -> list[str]:
    """The signals that came to a workflow."""
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        async for event in client.get_workflow_handle(workflow_id).fetch_history_events()
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


def revived(client: Client, workflow_id: str, life: str):
    """Whether a later life runs."""

    async def ask() -> bool:
        found = await client.get_workflow_handle(workflow_id).describe()
        return found.run_id != life and bool(found.status and found.status.name == "RUNNING")

    return ask


def stands(client: Client, count: int):
    """Whether so many jobs wait in the semaphore's queue."""

    async def ask() -> bool:
        return len(await waiters(client)) == count

    return ask


async def start_job(client: Client, job: int, **more) -> None:
    """A job whose gateway was killed before it asked the semaphore."""
    await client.start_workflow(
        RunnerJob.run,
        JobInput(REPO, str(job), **more),
        id=names.runner_job_id(REPO, job),
        task_queue=names.TASK_QUEUE,
    )


async def test_a_terminated_fleet_comes_back_with_no_traffic(penstock):
    """The worker's own guardian, at its own pace: it keeps its mode."""
    stack = await penstock()
    await stack.admin("PUT", "draining", mode="draining", reason="a test")
    life = await run_id(stack.client, names.FLEET_ID)
    await stack.client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await until(revived(stack.client, names.FLEET_ID, life))
    status = await stack.fleet()
    assert (status["mode"], status["reason"]) == ("draining", "a test")


async def test_a_terminated_semaphore_comes_back_and_serves_its_jobs(penstock, quick):
    """Nothing happens but that it is missing; then there is room, and the jobs run."""
    stack = await penstock(limits={"default": 0})
    jobs = await stack.site.jobs(REPO, count=2)
    await until(stands(stack.client, 2))
    life = await run_id(stack.client, SEMAPHORE)
    await stack.client.get_workflow_handle(SEMAPHORE).terminate("a test")
    await until(revived(stack.client, SEMAPHORE, life))
    await until(stands(stack.client, 2))
    await stack.admin("PATCH", "limits", default=2)
    for job in jobs:
        assert (await stack.result(REPO, job))["outcome"] == "completed"
    await stack.settled()


async def test_a_job_is_asked_for_in_a_long_queue_too(penstock, quick, monkeypatch):
    """A semaphore names its first thousand waiters, and more to whoever says so."""
    monkeypatch.setattr(guardian, "USUALLY_TOLD", 2)
    stack = await penstock(limits={"default": 0})
    for job in (7002, 7003, 7004):
        await stack.deliver(job_payload("queued", job))
    await until(stands(stack.client, 3))
    await start_job(stack.client, 7001, asked=True)
    await until(stands(stack.client, 4))


@pytest.mark.parametrize("other_jobs", [0, 1], ids=["no semaphore", "a semaphore"])
async def test_a_job_that_nobody_asked_for_is_asked_for(penstock, quick, other_jobs):
    """Its gateway was killed between the start and the asking."""
    stack = await penstock(limits={"default": 0})
    if other_jobs:
        await stack.deliver(job_payload("queued", 7002))
        await until(stands(stack.client, 1))
    else:  # one that ended in good order asks nobody for claims
        await stack.client.start_workflow(
            RepoSemaphore.run, SemaphoreState(REPO), id=SEMAPHORE, task_queue=names.TASK_QUEUE
        )
    await start_job(stack.client, 7001)
    await until(stands(stack.client, 1 + other_jobs))
    assert names.runner_job_id(REPO, 7001) in await waiters(stack.client)
    explained = await stack.explain(REPO, 7001)
    assert explained["permit"] == "waiting"


async def test_a_holder_that_its_semaphore_does_not_know_is_nudged(penstock, quick):
    """It looks at the clock by itself then: nobody else would."""
    command = [sys.executable, str(FAULTY), "ignore_jobs", "99"]
    stack = await penstock(limits={"default": 0}, runner={"command": command})
    (job,) = await stack.site.jobs(REPO, deliver=False)
    await start_job(stack.client, job, labels=["self-hosted", "linux"])
    handle = stack.client.get_workflow_handle(names.runner_job_id(REPO, job))
    await handle.signal("granted", Granted("9/1"))

    async def timers():
        events = (await handle.fetch_history()).events
        return [e for e in events if e.HasField("timer_started_event_attributes")]

    await until(timers)
    assert await heard(stack.client, handle.id) == ["granted", "nudge"]
    await handle.cancel()
    assert (await stack.result(REPO, job))["outcome"] == "stopped"


async def test_what_is_known_is_left_alone(penstock, client):
    """Neither a semaphore nor a job hears of a guardian while nothing is wrong."""
    stack = await penstock(limits={"default": 0})
    await stack.deliver(job_payload("queued", 7001))
    await until(stands(client, 1))
    guardian = Guardian(client, LIMITS, QUICK)

    async def told():
        """All that they heard, but for what Fleet and semaphore say to each other."""
        ids = (SEMAPHORE, names.FLEET_ID, names.runner_job_id(REPO, 7001))
        signals = [signal for one in ids for signal in await heard(client, one)]
        return [signal for signal in signals if signal not in ("allot", "report")]

    async def listed():
        return await guardian._jobs() and await guardian._semaphores()

    await until(listed)
    before = await told()
    for _ in range(3):
        await guardian.look_after_fleet()
        await guardian.look_after_semaphores()
    assert await told() == before == ["acquire", "configure"]


async def test_a_guardian_outlives_errors_and_ends_at_once(client, server, caplog):
    """Temporal is away: one line each look. Cancelled, it is gone."""
    caplog.set_level(logging.WARNING)
    await server.stop()
    guarding = asyncio.create_task(Guardian(client, LIMITS, QUICK).run())

    async def complained():
        return len([r for r in caplog.records if "a look at the workflows" in r.message]) >= 2

    await until(complained)
    assert not guarding.done()
    guarding.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await guarding
    assert all("\n" not in r.getMessage() for r in caplog.records)
