"""Activities on Temporal itself: the Fleet outlives its death, semaphores and jobs are found."""

import time
from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

import worker
from activities.workflows import Permit, Repos, WorkflowActivities, start_fleet
from policy import names
from policy.fleet import ModeChange
from policy.limits import Limits, LimitsChange
from policy.messages import Acquire, Release
from tests.support import exists, job_payload, until
from workflows.fleet import Fleet

LIMITS = Limits(max_runners=5, default=0)
REPO = "acme/api"
JOB = names.runner_job_id(REPO, 1)


@pytest.fixture
async def working(site, client):
    """A worker, and the activities of its configuration."""
    settings = site.settings(limits={"max_runners": 5, "default": 0})
    async with worker.running(client, settings):
        yield WorkflowActivities(client, settings.limits.limits)


async def run(activity, *arguments):
    """Run an activity."""
    return await ActivityEnvironment().run(activity, *arguments)


async def run_id(handle) -> str:
    """Which life of a workflow this is."""
    return (await handle.describe()).run_id


async def status(client):
    """What the Fleet says."""
    return await client.get_workflow_handle(names.FLEET_ID).query(Fleet.status)


async def test_a_terminated_fleet_keeps_its_mode_and_live_limits(working, client):
    """Not so its book: it asks the semaphores."""
    fleet = client.get_workflow_handle(names.FLEET_ID)
    await fleet.signal(Fleet.drain, ModeChange(reason="a test"))
    change = LimitsChange(max_runners=9, orgs={"acme": 3})
    await fleet.execute_update(Fleet.set_limits, change)
    before, life = await status(client), await run_id(fleet)
    await fleet.terminate("a test")
    await run(working.ensure_fleet)
    assert await run_id(fleet) != life
    after = await status(client)
    for key in ("mode", "since", "reason", "limits"):
        assert after[key] == before[key]
    assert (after["mode"], after["limits"]["max_runners"]) == ("draining", 9)


async def test_a_running_fleet_is_left_alone(working, client):
    """Its live limits stand while the configuration stays the same."""
    fleet = client.get_workflow_handle(names.FLEET_ID)
    life = await run_id(fleet)
    await fleet.execute_update(Fleet.set_limits, LimitsChange(max_runners=9))
    await run(working.ensure_fleet)
    assert await run_id(fleet) == life
    assert (await status(client))["limits"]["max_runners"] == 9


async def test_an_edited_configuration_takes_effect_at_a_start(working, client):
    """Its limits replace live ones, in a running Fleet and in a terminated one."""
    fleet = client.get_workflow_handle(names.FLEET_ID)
    await fleet.execute_update(Fleet.set_limits, LimitsChange(max_runners=9))
    await start_fleet(client, Limits(max_runners=7))
    assert (await status(client))["limits"]["max_runners"] == 7
    await fleet.terminate("a test")
    await start_fleet(client, Limits(max_runners=8))
    assert (await status(client))["limits"]["max_runners"] == 8


async def test_a_semaphore_is_told_and_started_if_need_be(working, client):
    """The first word begins it; later ones reach the same one; a release undoes an acquire."""
    semaphore = client.get_workflow_handle(names.semaphore_id(REPO))

    async def waiters():
        return (await semaphore.query("state"))["waiters"]

    assert not await exists(semaphore)
    await run(working.tell_semaphore, Permit(REPO, acquire=Acquire(JOB, queued_at=time.time())))
    life = await run_id(semaphore)
    await run(working.tell_semaphore, Permit(REPO, acquire=Acquire(JOB, queued_at=time.time())))

    async def queued():
        return await waiters() == [JOB]

    await until(queued)
    await run(working.tell_semaphore, Permit(REPO, release=Release(JOB)))

    async def left():
        return not await waiters()

    await until(left)
    assert await run_id(semaphore) == life


async def test_missing_semaphores_are_started_and_running_ones_listed(working, client):
    """A running one keeps its life; a terminated one is no longer listed, then revived."""

    async def listed():
        return (await run(working.list_semaphores)).repos

    async def all_three():
        return await listed() == ["acme/api", "acme/web", "other/api"]

    async def two():
        return await listed() == ["acme/api", "other/api"]

    await run(working.ensure_semaphores, Repos(["acme/api", "acme/web"]))
    handles = [client.get_workflow_handle(names.semaphore_id(r)) for r in ("acme/api", "acme/web")]
    lives = [await run_id(handle) for handle in handles]
    await run(working.ensure_semaphores, Repos(["other/api", "acme/api"]))
    await until(all_three)
    await handles[1].terminate("a test")
    await until(two)
    await run(working.ensure_semaphores, Repos(["acme/api", "acme/web"]))
    await until(all_three)
    assert await run_id(handles[0]) == lives[0]
    assert await run_id(handles[1]) != lives[1]


async def test_claims_are_collected_after_a_violent_death_only(penstock):
    """A running job says what it wants; in a first life there is nothing to ask."""
    stack = await penstock(limits={"default": 0})
    activities = WorkflowActivities(stack.client, Limits())
    await stack.deliver(job_payload("queued", 7001))
    await stack.deliver(job_payload("queued", 7002))
    semaphore = stack.client.get_workflow_handle(names.semaphore_id(REPO))
    wanted = [names.runner_job_id(REPO, job) for job in (7001, 7002)]

    async def queued():
        return len((await semaphore.query("state"))["waiters"]) == 2

    async def claims():
        """As the semaphore's latest life would ask."""
        asking = ActivityEnvironment()
        asking.info = replace(asking.info, workflow_run_id=life)
        return (await asking.run(activities.collect_claims, Repos([REPO]))).claims

    async def both():
        found = sorted(await claims(), key=lambda claim: claim.job)
        return found if [claim.job for claim in found] == wanted else None

    await until(queued)
    life = await run_id(semaphore)
    assert await claims() == []
    await semaphore.terminate("a test")
    life = "another one"
    for claim in await until(both):
        assert (claim.waiting, claim.lease, claim.priority) == (True, "", "normal")
    await stack.client.get_workflow_handle(wanted[1]).terminate("a test")

    async def one():
        return [claim.job for claim in await claims()] == wanted[:1]

    await until(one)
    nobody = await run(activities.collect_claims, Repos(["other/api"]))
    assert nobody.claims == []
