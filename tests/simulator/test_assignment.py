"""Which runner gets which job: by labels and scope, never by who started it."""

import asyncio

import pytest

from tests.simulator.helpers import Sim


async def test_a_runner_takes_the_oldest_job_that_its_labels_cover(sim: Sim) -> None:
    gpu = await sim.job("self-hosted,gpu")
    first = await sim.job("self-hosted,Linux")
    second = await sim.job("self-hosted")
    assert await (await sim.runner("a")).work() == first
    assert await (await sim.runner("b")).work() == second
    assert await (await sim.runner("c", "GPU")).work() == gpu


async def test_a_runner_started_for_one_job_is_stolen_by_an_older_one(sim: Sim) -> None:
    older = await sim.job()
    newer = await sim.job()
    assert await (await sim.runner(f"for-{newer}")).work() == older
    shown = await sim.shown(older)
    assert (shown["runner_name"], shown["times_run"]) == (f"for-{newer}", 1)


async def test_the_newest_job_first_if_asked(sim: Sim) -> None:
    await sim.control("assignment", order="newest")
    jobs = [await sim.job() for _ in range(3)]
    got = [await (await sim.runner(f"r{n}")).work() for n in range(3)]
    assert got == jobs[::-1]


async def test_random_order_serves_every_job_once(sim: Sim) -> None:
    await sim.control("assignment", order="random")
    jobs = await sim.jobs(count=8)
    got = [await (await sim.runner(f"r{n}")).work() for n in range(8)]
    assert sorted(got) == jobs
    assert got != jobs


async def test_an_organization_runner_serves_all_its_repositories(sim: Sim) -> None:
    shop = await sim.job(repo="shop")
    site = await sim.job(repo="site")
    await sim.job(owner="other", repo="site")
    assert await (await sim.runner("a", at="acme")).work() == shop
    assert await (await sim.runner("b", at="acme")).work() == site
    assert await (await sim.runner("c", at="acme")).poll(0.05) == {}


async def test_a_repository_runner_serves_no_other_repository(sim: Sim) -> None:
    await sim.job(repo="shop")
    assert await (await sim.runner("a")).poll(0.05) == {}


async def test_an_idle_runner_gets_a_new_job_at_once(sim: Sim) -> None:
    runner = await sim.runner("a")
    taking = asyncio.create_task(runner.take())
    await sim.until("runners_online")
    assert await sim.job() == await taking


async def test_a_job_that_is_not_accepted_is_queued_again(sim: Sim) -> None:
    await sim.control("limits", runner_pickup_seconds=0.05)
    job = await sim.job()
    slow, quick = await sim.runner("slow"), await sim.runner("quick")
    assert (await slow.poll())["job_id"] == job
    assert await quick.work() == job
    assert (await slow.post("accept", job_id=job)).status_code == 409


async def test_two_sessions_of_one_runner_conflict(sim: Sim) -> None:
    runner = await sim.runner("a")
    async with runner.polling():
        assert (await runner.post("poll", wait=1)).status_code == 409


async def test_an_ephemeral_runner_is_gone_after_its_job(sim: Sim) -> None:
    await sim.job()
    runner = await sim.runner("a")
    await runner.work()
    await sim.until("runners_gone")
    assert (await runner.post("poll", wait=1)).status_code == 404


async def test_a_lost_idle_runner_stays_registered_and_gets_no_job(sim: Sim) -> None:
    runner = await sim.runner("a")
    async with runner.polling() as cut:
        cut()
        await sim.until("runners_offline")
    job = await sim.job()
    assert (await sim.shown(job))["status"] == "queued"


@pytest.mark.parametrize("cut_in_time", [True, False])
async def test_the_job_of_a_runner_that_dies_fails(sim: Sim, cut_in_time: bool) -> None:
    await sim.control("limits", runner_lost_seconds=0.1)
    job = await sim.job(seconds=60)
    runner = await sim.runner("a")
    await runner.take()
    if cut_in_time:
        async with runner.polling() as cut:
            cut()
    await sim.until("job_completed", job_id=job)
    assert (await sim.shown(job))["conclusion"] == "failure"
    await sim.until("runners_gone")


async def test_a_busy_runner_that_comes_back_in_time_keeps_its_job(sim: Sim) -> None:
    await sim.control("limits", runner_lost_seconds=5)
    job = await sim.job(seconds=60)
    runner = await sim.runner("a")
    await runner.take()
    async with runner.polling() as cut:
        cut()
        await sim.until("runners_offline")
    async with runner.polling():
        assert (await sim.shown(job))["status"] == "in_progress"
    assert (await runner.post("finish", job_id=job)).status_code == 200
    assert (await sim.shown(job))["conclusion"] == "success"
