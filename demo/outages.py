"""Outages one after another while jobs arrive: what is refused or lost meanwhile must be paid.

The gateway is gone, then Temporal is killed, then there is maintenance. Recovery does the rest by
itself; nobody redelivers anything by hand. Tests and benchmarks play this with other lengths.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

import worker
from api.fleet_client import FleetClient
from checker import Bounds, check
from checker.evidence import Violation
from demo.evidence import gather
from demo.site import Site
from embedded import stack
from embedded.connect import CONVERTER
from embedded.temporal_server import TemporalServer
from policy import names
from policy.fleet import ModeChange
from settings import Settings

REPOS = [f"org{i % 2}/repo{i}" for i in range(5)]
PAUSE_SECONDS = 0.5  # between two jobs
RECOVERY_SECONDS = 10  # so that the whole of it fits into minutes; every 120 by default
# Restarts hold up what was under way, and a lost job is looked for after a minute.
BOUNDS = Bounds(idle_permit=120.0, give_back=120.0)


@dataclass
class Outages:
    """What became of all jobs, and of all that GitHub tried to tell."""

    jobs: int = 0
    ran_once: int = 0
    refused: int = 0  # attempts that were not answered with success
    never_processed: int = 0  # events of which no attempt was
    letters_left: int = 0
    paid_seconds: float = 0.0  # from the last outage's end until all was paid
    violations: list[Violation] = field(default_factory=list[Violation])

    @property
    def good(self) -> bool:
        """Whether no job and no event was lost."""
        whole = self.ran_once == self.jobs and not self.never_processed
        return whole and not self.letters_left and not self.violations


async def play(folder: Path, seconds: float, patience: float = 600.0) -> Outages:
    """Each outage, and each calm time before it, lasts so long; then all is paid, or too late."""
    async with AsyncExitStack() as held:
        site = Site(folder)
        held.push_async_callback(site.stop)
        server = TemporalServer(folder, ui=False, port=0)
        held.push_async_callback(server.stop)
        running = await server.start()
        await site.start()
        client = await Client.connect(running.address, data_converter=CONVERTER)
        settings = site.settings(
            limits={"max_runners": 6, "default": 3, "max_repo_share": 1.0},
            gateway={"port": 0, "temporal_timeout_seconds": 2.0},
            recovery={"every_seconds": RECOVERY_SECONDS, "points_per_run": 600},
        )
        await held.enter_async_context(worker.running(client, settings))
        arriving = asyncio.create_task(_arrivals(site))
        try:
            await _outages(site, server, client, settings, seconds)
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)
            async with _gateway(site, client, settings):
                began = time.monotonic()
                await _paid(site, settings, patience)
                paid = time.monotonic() - began
                await _at_rest(client, patience)
                return await _result(site, client, settings, paid)
        finally:
            arriving.cancel()


async def _outages(
    site: Site, server: TemporalServer, client: Client, settings: Settings, seconds: float
) -> None:
    async with _gateway(site, client, settings):
        await asyncio.sleep(seconds)
    await asyncio.sleep(seconds)  # no gateway: GitHub meets nobody
    async with _gateway(site, client, settings):
        await asyncio.sleep(seconds)
        running = server.running
        if running is None:
            raise RuntimeError("the Temporal server is not ours")
        os.kill(running.pid, signal.SIGKILL)
        await asyncio.sleep(seconds)
        await server.start()
        await asyncio.sleep(seconds)
        fleet = FleetClient(client)
        await fleet.set_mode("maintenance", ModeChange("an outage of the scenario"))
        await asyncio.sleep(seconds)
        await fleet.set_mode("normal", ModeChange("it is over"))
        await asyncio.sleep(seconds)


@asynccontextmanager
async def _gateway(site: Site, client: Client, settings: Settings) -> AsyncGenerator[None]:
    async with stack.gateway(client, settings, eager=True) as address:
        await site.point_at(address)
        yield


async def _arrivals(site: Site) -> None:
    number = 0
    while True:
        await site.jobs(REPOS[number % len(REPOS)], seconds=0.3, name=f"build {number}")
        number += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def _paid(site: Site, settings: Settings, patience: float) -> None:
    """Until every job has run, every event has been taken, and no letter is left; or too late."""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        if await site.wait("all_completed", timeout=5.0):
            unpaid = await _never_processed(site)
            if not unpaid and not _letters(settings):
                return
        await asyncio.sleep(1.0)


async def _at_rest(client: Client, patience: float) -> None:
    """Until no job's workflow is open: each ends a moment after its runner; or too late."""
    ends = time.monotonic() + patience
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"
    while time.monotonic() < ends:
        if not (await client.count_workflows(query)).count:
            return
        await asyncio.sleep(0.2)


async def _never_processed(site: Site) -> int:
    log: list[dict[str, Any]] = (await site.call("GET", "deliveries"))["deliveries"]
    taken = {one["guid"] for one in log if 200 <= one["status_code"] < 400}
    return len({one["guid"] for one in log if one["event"] == "workflow_job"} - taken)


def _letters(settings: Settings) -> int:
    return len(list((settings.state_dir / "dead-letters").glob("*.json")))


async def _result(site: Site, client: Client, settings: Settings, paid: float) -> Outages:
    jobs: list[dict[str, Any]] = (await site.call("GET", "jobs"))["jobs"]
    log: list[dict[str, Any]] = (await site.call("GET", "deliveries"))["deliveries"]
    done = [job for job in jobs if job["status"] == "completed" and job["times_run"] == 1]
    return Outages(
        jobs=len(jobs),
        ran_once=len(done),
        refused=sum(not 200 <= one["status_code"] < 400 for one in log),
        never_processed=await _never_processed(site),
        letters_left=_letters(settings),
        paid_seconds=paid,
        violations=check(await gather(client, site, bounds=BOUNDS)),
    )
