"""Leases of dead holders: freed once their runner is seen off, and no sooner."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.maintenance import MaintenanceActivities
from activities.reaper import Holders, ReaperActivities
from activities.runners import LaunchRequest
from policy import names
from tests.activities.launching import TOKEN, lives

REPO = "acme/api"
TALK = 'echo $$ > "$WORDS"; exec sleep 60'


@pytest.fixture
def reap(client, hub, runners):
    """A function that runs the activity on these jobs; what it launches are real runners."""
    github, launcher = hub.client(), runners.launcher(TALK)
    activities = ReaperActivities(client, launcher, github, hub.clock)

    async def run(*jobs: int) -> list[str]:
        holders = Holders(REPO, [names.runner_job_id(REPO, job) for job in jobs])
        found = await ActivityEnvironment().run(activities.reap, holders)
        assert found.repo == REPO
        return [names.job_of(job) for job in found.jobs]

    async def launch(job: int) -> int:
        wanted = LaunchRequest(
            names.runner_job_id(REPO, job), REPO, names.runner_name(job, 1), ["linux"]
        )
        await launcher.launch(wanted, TOKEN)
        return int(await runners.word())

    run.launch, run.github, run.launcher = launch, github, launcher
    return run


async def begin(client, job: int):
    """A job's workflow that nobody works on."""
    id_ = names.runner_job_id(REPO, job)
    return await client.start_workflow(names.RUNNER_JOB, id=id_, task_queue="nobody")


async def test_only_the_closed_are_named(reap, client):
    """Running: no. Terminated: yes. Never there: yes."""
    await begin(client, 1)
    await (await begin(client, 2)).terminate("a test")
    assert await reap(1, 2, 3) == ["2", "3"]
    assert await reap() == []


async def test_a_running_jobs_runner_is_not_touched(reap, client):
    """Nor is GitHub asked."""
    await begin(client, 1)
    pid = await reap.launch(1)
    assert await reap(1) == []
    assert lives(pid)


async def test_an_idle_runner_is_seen_off_first(reap, hub):
    """Taken off GitHub's list, stopped, and then its lease is free."""
    pid = await reap.launch(1)
    other = await reap.launch(2)
    await reap.github.jit_config(REPO, names.runner_name(1, 1), ["linux"])
    assert await reap(1) == ["1"]
    assert not lives(pid)
    assert lives(other)
    assert (await hub.call("GET", "runners"))["runners"] == []


async def test_a_busy_runner_keeps_its_lease(reap, hub):
    """It works on a job, perhaps another's: a later look will find it gone."""
    pid = await reap.launch(1)
    token = await reap.github.registration_token(REPO)
    (job,) = await hub.site.jobs(REPO, seconds=60, labels=["linux"], deliver=False)
    await hub.runner(names.runner_name(1, 1), token.value)
    assert await hub.site.wait("job_started", job_id=job)
    assert await reap(1, 3) == ["3"]
    assert lives(pid)
    await hub.call("POST", f"jobs/{job}/cancel")
    assert await hub.site.wait("runners_gone")
    assert await reap(1) == ["1"]
    assert not lives(pid)


async def test_a_refusal_is_not_asked_for_again_and_again(reap, hub):
    """A permission that is gone: the runner lives, its lease stays, the next look asks once."""
    pid = await reap.launch(1)
    await reap.github.jit_config(REPO, names.runner_name(1, 1), ["linux"])
    await hub.break_("status", status=403, message="Resource not accessible", method="DELETE")
    with pytest.raises(ApplicationError, match="403 Resource not accessible") as caught:
        await reap(1)
    assert caught.value.non_retryable
    assert lives(pid)
    assert await reap(1) == ["1"]


async def test_an_emergency_stops_all(reap):
    """stop_runners ends every runner and says how many."""
    pids = [await reap.launch(job) for job in (1, 2)]
    stop = MaintenanceActivities(reap.launcher).stop_runners
    assert await ActivityEnvironment().run(stop) == 2
    assert not [pid for pid in pids if lives(pid)]
    assert await ActivityEnvironment().run(stop) == 0
