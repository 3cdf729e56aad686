"""Jobs whose runners are ECS tasks: ends by polling, no room, tasks that never start."""

import asyncio
import os
import time

import pytest

from checker import check
from demo.evidence import gather
from policy import names
from tests.activities.conftest import aws
from tests.activities.ecs_front import CAPACITY, Fault, front
from tests.support import PATIENCE, SLOW, replay, until
from tests.workflows.test_lives import all_laws

__all__ = ["aws"]

# Longer by hand: CAPACITY_OUT_SECONDS=300 for five minutes.
OUTAGE_SECONDS = float(os.environ.get("CAPACITY_OUT_SECONDS", "20"))


@pytest.fixture
async def cluster(aws, tmp_path):
    """ECS whose tasks run the simulator's runner."""
    async with front(aws, tmp_path / "ecs", runs=True) as made:
        await made.prepare()
        yield made


def on(ecs, **runner):
    """Settings for that ECS."""
    return {
        "runner": {"launcher": "ecs", "command": [], "relaunch_seconds": 0.1, **runner},
        "aws": {"region": "eu-central-1", "endpoint_url": ecs.url},
        "ecs": {
            "cluster": "runners",
            "task_definition": "runner",
            "capacity_providers": ["FARGATE_SPOT", "FARGATE"],
            "subnets": ["subnet-a", "subnet-b"],
            "poll_seconds": 1.0,
        },
    }


async def kept(ecs) -> list[str]:
    """The names of secrets that lie at AWS."""
    names_ = [ecs.kept[i : i + 10] for i in range(0, len(ecs.kept), 10)]
    found = [
        one["Name"]
        for batch in names_
        for one in (await asyncio.to_thread(ecs.ssm.get_parameters, Names=batch))["Parameters"]
    ]
    return sorted(set(found))


async def test_jobs_run_as_tasks_and_leave_nothing(penstock, cluster):
    """Each job one task; ends come by polling; every law holds, and no secret lies about.

    One job a repository: of several, GitHub may give one to another's runner, and whoever hears of
    that late sees a runner off that is not needed.
    """
    stack = await penstock(**on(cluster), limits={"max_runners": 6})
    repos = [f"{owner}/r{number}" for owner in ("acme", "beta") for number in range(6)]
    await asyncio.gather(*(stack.site.jobs(repo, seconds=0.2) for repo in repos))
    await all_laws(stack)
    assert len(cluster.tasks) == 12
    assert cluster.live == []
    assert await kept(cluster) == []
    assert cluster.orders("StopTask") == []
    assert {task.body["stopCode"] for task in cluster.tasks.values()} == {
        "EssentialContainerExited"
    }


async def test_a_job_that_is_not_wanted_any_more_has_its_task_stopped(penstock, cluster):
    """Cancelled at GitHub while its runner starts: off GitHub's list first, then stopped."""
    cluster.runs = False  # a container whose image takes its time
    stack = await penstock(**on(cluster))
    (job,) = await stack.site.jobs("acme/api", seconds=5)

    async def launched():
        return len(cluster.tasks) == 1

    await until(launched)
    await stack.site.call("POST", f"jobs/{job}/cancel")
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("cancelled", 1)
    (stop,) = cluster.orders("StopTask")
    assert stop["task"] in cluster.tasks
    assert cluster.live == []
    assert await kept(cluster) == []


async def test_a_task_that_never_starts_fails_its_job_with_ecs_word(penstock, cluster):
    """Three times; the job's result and its dead letter name the cause."""
    cluster.runs = False
    why = "CannotPullContainerError: pull access denied"
    stack = await penstock(**on(cluster))
    (job,) = await stack.site.jobs("acme/api")

    async def end_all():
        for task in cluster.live:
            await cluster.end(task.name, stopCode="TaskFailedToStart", stoppedReason=why)
        return len(cluster.tasks) == 3 and not cluster.live

    await until(end_all)
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("failed", 3)
    assert f"TaskFailedToStart; {why}" in result["reason"]
    (letter,) = (await stack.admin("GET", "dead-letters")).json()["dead_letters"]
    assert why in letter["reason"]
    assert await replay(stack.client)


@pytest.mark.timeout(480 + OUTAGE_SECONDS)
async def test_no_capacity_for_a_while_loses_no_job_and_no_permit(penstock, cluster):
    """Jobs wait with pauses and without permits, the fleet slows down, all complete after."""
    cluster.faults.append(Fault("RunTask", "failure", CAPACITY, times=0))
    stack = await penstock(
        **on(cluster, unavailable_seconds=1.0),
        limits={"max_runners": 8, "default": 4, "max_repo_share": 1.0},
    )
    repos = ["acme/r0", "acme/r1", "beta/r0"]
    began = time.monotonic()
    made = await asyncio.gather(*(stack.site.jobs(repo, count=4, seconds=0.2) for repo in repos))
    jobs = [(repo, job) for repo, ids in zip(repos, made, strict=True) for job in ids]
    seen: set[tuple[int, str]] = set()
    most = 0
    held_up = ""

    async def slowed():
        nonlocal most, held_up
        status = await stack.fleet()
        most = max(most, status["running"])
        seen.add((status["capacity"], status["effective_cause"]))
        if not held_up:
            told = await asyncio.gather(*(stack.explain(*job) for job in jobs))
            held_up = next((t["why"] for t in told if "no room for its runner" in t["why"]), "")
        over = time.monotonic() > began + OUTAGE_SECONDS
        return over and held_up and min(capacity for capacity, _ in seen) < 8

    await until(slowed, OUTAGE_SECONDS + PATIENCE)
    assert CAPACITY in held_up
    assert most <= 8
    assert any("launch" in cause for _, cause in seen), seen
    assert cluster.tasks == {}
    # Tries go on meanwhile, each with its permit and its secret: no more lie about than those.
    assert len(await kept(cluster)) <= 8
    calls = len(cluster.orders())
    cluster.faults.clear()
    ended = time.monotonic()
    assert await stack.site.wait("all_completed")
    print(f"all completed {time.monotonic() - ended:.0f} s after")
    print(f"RunTask calls while out: {calls}; capacities {sorted(seen)}; most {most}")
    await stack.settled()
    results = [await stack.result(*job) for job in jobs]
    assert {result["outcome"] for result in results} == {"completed"}
    # All but L6: a slowed Fleet leaves permits free beside waiters, as it should.
    found = check(await gather(stack.client, stack.site, bounds=SLOW))
    assert [violation for violation in found if violation.law != "L6"] == []
    assert await replay(stack.client)
    for repo in repos:
        state = await stack.client.get_workflow_handle(names.semaphore_id(repo)).query("state")
        assert (state["in_use"], state["waiting"]) == (0, 0)
    assert await kept(cluster) == []
