"""The runner as a real process."""

import asyncio
import base64
import json

import pytest

from tests.simulator.helpers import Receiver, Sim
from tests.support import PATIENCE


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(PATIENCE):
        return await process.wait()


@pytest.mark.parametrize("fast", [True, False])
async def test_it_registers_works_and_ends(sim: Sim, receiver: Receiver, fast: bool) -> None:
    job = await sim.job("self-hosted,big", seconds=0.05)
    async with sim.process("p1", fast=fast, labels="big") as process:
        assert await ended(process) == 0
    await sim.until("all_completed")
    shown = await sim.shown(job)
    assert (shown["conclusion"], shown["runner_name"]) == ("success", "p1")
    assert shown["completed_at"] - shown["started_at"] >= 0.05
    assert "completed" in receiver.actions()
    await sim.until("runners_gone")


async def test_it_starts_from_a_jit_config(sim: Sim) -> None:
    config = (await sim.jit("j1", "x")).json()["encoded_jit_config"]
    assert set(json.loads(base64.b64decode(config))) >= {".runner", ".credentials"}
    job = await sim.job("x")
    async with sim.process(jit=config) as process:
        assert await ended(process) == 0
    assert (await sim.shown(job))["runner_name"] == "j1"
    async with sim.process(jit=config) as process:
        assert await ended(process) == 0
        assert process.stdout is not None
        assert b"no longer exists" in await process.stdout.read()


async def test_a_cancel_is_seen_at_once(sim: Sim) -> None:
    job = await sim.job(seconds=60)
    async with sim.process() as process:
        await sim.until("job_started", job_id=job)
        await sim.control(f"jobs/{job}/cancel")
        assert await ended(process) == 0
    assert (await sim.shown(job))["conclusion"] == "cancelled"


async def test_deleted_while_idle_it_ends_with_0(sim: Sim) -> None:
    async with sim.process() as process:
        await sim.until("runners_online")
        number = (await sim.look("runners"))["runners"][0]["id"]
        path = f"/repos/acme/site/actions/runners/{number}"
        assert (await sim.api("DELETE", path)).status_code == 204
        assert await ended(process) == 0


async def test_terminated_while_idle_it_stays_registered(sim: Sim) -> None:
    async with sim.process() as process:
        await sim.until("runners_online")
        process.terminate()
        assert await ended(process) == 0
    await sim.until("runners_offline")


async def test_terminated_while_busy_its_job_is_cancelled(sim: Sim) -> None:
    job = await sim.job(seconds=60)
    async with sim.process() as process:
        await sim.until("job_started", job_id=job)
        process.terminate()
        assert await ended(process) == 0
    assert (await sim.shown(job))["conclusion"] == "cancelled"
    (runner,) = (await sim.look("runners"))["runners"]
    assert (runner["status"], runner["busy"]) == ("offline", False)


async def test_killed_while_busy_its_job_fails(sim: Sim) -> None:
    await sim.control("limits", runner_lost_seconds=0.1)
    job = await sim.job(seconds=60)
    async with sim.process() as process:
        await sim.until("job_started", job_id=job)
        process.kill()
        await sim.until("job_completed", job_id=job)
    assert (await sim.shown(job))["conclusion"] == "failure"


async def test_a_refused_registration_ends_with_1(sim: Sim) -> None:
    await sim.install(repositories=["site"])
    async with sim.process(PENSTOCK_RUNNER_URL=f"{sim.url}/acme/else") as process:
        assert await ended(process) == 1


async def test_without_a_server_it_ends_with_1(sim: Sim) -> None:
    async with sim.process(PENSTOCK_GITHUB_URL="http://127.0.0.1:9") as process:
        assert await ended(process) == 1


@pytest.mark.parametrize("fault", ["die_before_job", "die_at_offer"])
async def test_one_that_dies_early_leaves_its_job_to_others(sim: Sim, fault: str) -> None:
    await sim.control("limits", runner_pickup_seconds=0.05)
    job = await sim.job()
    async with sim.process(SIMULATOR_RUNNER_FAULT=fault) as process:
        assert await ended(process) == 1
    assert await (await sim.runner("other")).work() == job


async def test_one_that_dies_in_its_job_fails_it(sim: Sim) -> None:
    await sim.control("limits", runner_lost_seconds=0.05)
    job = await sim.job(seconds=0.1)
    async with sim.process(SIMULATOR_RUNNER_FAULT="die_in_job") as process:
        assert await ended(process) == 1
        await sim.until("job_completed", job_id=job)
    assert (await sim.shown(job))["conclusion"] == "failure"


async def test_one_that_ignores_jobs_lives_until_told(sim: Sim) -> None:
    job = await sim.job()
    async with sim.process(SIMULATOR_RUNNER_FAULT="ignore_jobs") as process:
        await sim.until("runners_registered")
        assert (await sim.shown(job))["status"] == "queued"
        process.terminate()
        assert await ended(process) == 0


async def test_one_that_never_registers_lives_until_told(sim: Sim) -> None:
    async with sim.process(SIMULATOR_RUNNER_FAULT="never_register") as process:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.3)
        process.terminate()
        assert await ended(process) == 0
    assert (await sim.look("runners"))["runners"] == []
