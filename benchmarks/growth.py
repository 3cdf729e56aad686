"""Jobs a second as the fleet grows: known repositories, waiting jobs, runners that run.

Each curve is measured on one server that grows, with the whole stack on it: gateway, worker,
runner processes, simulated GitHub. At each size the same batch goes through, a few times, and then
the bare floor runs on the same server. GitHub's own limits (900 points a minute an installation)
are kept out of the way by many organizations, and where a runner a second would meet them, lifted.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from temporalio.client import Client

from api.fleet_client import FleetClient
from benchmarks.floor import bare_jobs_per_second
from benchmarks.fresh import on_fresh_server
from benchmarks.record import Found, Line
from benchmarks.whole_path import rest
from demo.site import Site
from embedded import stack
from policy.limits import LimitsChange
from settings import Settings

ORGS = 20
PERMITS = 50
BATCH = 60  # jobs
BUSY = 10  # repositories
ROUNDS = 3
PATIENCE_SECONDS = 900.0
LONG_SECONDS = 36_000.0
SHORT_PERMITS = 6
LIFTED = {
    "core_per_hour": 10**6,
    "registration_per_hour": 10**6,
    "registrations_per_5_minutes": 10**6,
}


@dataclass(frozen=True)
class Point:
    """At one size: jobs a second in each round, and bare workflows a second."""

    size: int
    jobs: list[float]
    bare: list[float]


Sized = Callable[[Client, Site, "tuple[int, ...]", int], Awaitable[list[Point]]]


def repo(number: int) -> str:
    """One of them."""
    return f"org{number % ORGS}/r{number}"


async def by_repositories(
    client: Client, site: Site, sizes: tuple[int, ...], rounds: int
) -> list[Point]:
    """So many are known to the Fleet; each batch is spread over as many of them as it has jobs."""
    found: list[Point] = []
    settings = await _settings(site, permits=PERMITS)
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        known = 0
        for size in sizes:
            for number in range(known, size):
                await site.jobs(repo(number), seconds=0.0)
            known = size
            await completed(site)
            rates: list[float] = []
            for _ in range(rounds):
                began = time.monotonic()
                spread = min(size, BATCH)
                for number in range(spread):
                    await site.jobs(
                        repo(number * size // spread), count=BATCH // spread, seconds=0.0
                    )
                await completed(site)
                rates.append(BATCH // spread * spread / (time.monotonic() - began))
            found.append(Point(size, rates, await _floor(client, rounds)))
    return found


async def by_waiting(
    client: Client, site: Site, sizes: tuple[int, ...], rounds: int
) -> list[Point]:
    """A batch is served while so many more wait behind it in the same ten repositories."""
    found: list[Point] = []
    settings = await _settings(site, permits=PERMITS)
    fleet, queued, done = FleetClient(client), 0, 0
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        for number in range(BUSY):
            await site.jobs(repo(number), seconds=0.0)
        await completed(site)
        done = BUSY
        for size in sizes:
            rates: list[float] = []
            for _ in range(rounds):
                await fleet.set_limits(LimitsChange(max_runners=0))
                await rest(client)
                done = await _completed_jobs(site)
                queued = await _queued_jobs(site)
                missing = max(0, size + BATCH - queued)
                for number in range(BUSY):
                    await site.jobs(repo(number), count=-(-missing // BUSY) or 1, seconds=0.0)
                await _until(site, "deliveries_idle")
                began = time.monotonic()
                await fleet.set_limits(LimitsChange(max_runners=PERMITS))
                await _until(site, "jobs_completed", count=done + BATCH)
                rates.append(BATCH / (time.monotonic() - began))
            await fleet.set_limits(LimitsChange(max_runners=0))
            await rest(client)
            found.append(Point(size, rates, await _floor(client, rounds)))
    return found


async def by_runners(
    client: Client, site: Site, sizes: tuple[int, ...], rounds: int
) -> list[Point]:
    """So many permits, all but six held by runners at long jobs; batches pass through the six."""
    found: list[Point] = []
    settings = await _settings(site, permits=SHORT_PERMITS)
    fleet, long_jobs = FleetClient(client), list[int]()
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        for number in range(BUSY):
            await site.jobs(repo(number), seconds=0.0)
        await completed(site)
        for size in sizes:
            more = size - SHORT_PERMITS - len(long_jobs)
            await fleet.set_limits(LimitsChange(max_runners=size, default=size))
            for number in range(min(more, BUSY)):
                part = more // BUSY + (number < more % BUSY)
                long_jobs += await site.jobs(repo(BUSY + number), count=part, seconds=LONG_SECONDS)
            await _until(site, "jobs_running", count=len(long_jobs))
            rates: list[float] = []
            done = await _completed_jobs(site)
            for _ in range(rounds):
                began = time.monotonic()
                for number in range(BUSY):
                    await site.jobs(repo(number), count=BATCH // BUSY, seconds=0.0)
                done += BATCH
                await _until(site, "jobs_completed", count=done)
                rates.append(BATCH / (time.monotonic() - began))
            found.append(Point(size, rates, await _floor(client, rounds)))
        for job in long_jobs:  # or their runners would outlive all this
            await site.call("POST", f"jobs/{job}/cancel")
        await completed(site)
        await rest(client)
    return found


CURVES: dict[str, tuple[Sized, str, tuple[int, ...], int]] = {
    "repositories": (by_repositories, "repositories", (1, 10, 100, 1_000), 10),
    "waiting": (by_waiting, "waiting jobs", (10, 100, 1_000, 10_000), 10),
    "runners": (by_runners, "runners, of which 6 take the batch's jobs", (6, 50, 200, 500), 6),
}


async def measure(console: Console, found: Found) -> None:
    """The three curves; the budget is the largest size beside ten."""
    for name, (sized, axis, sizes, base) in CURVES.items():
        wanted = sizes[:2] if found.quick else sizes
        rounds = 1 if found.quick else ROUNDS
        console.print(f"{axis}: {', '.join(f'{size:,}' for size in wanted)}")
        points = await on_fresh_server(
            lambda client, site, f=sized, w=wanted, n=rounds: f(client, site, w, n)
        )
        at = {point.size: point for point in points}
        for point in points:
            last = point.size == wanted[-1]
            found.figure(
                f"{axis.partition(',')[0]}: {point.size:,}",
                point.jobs,
                "jobs/s",
                floor=(f"at {base}", at[base].jobs) if point.size > base else None,
                at_least=0.8 if last and name != "runners" else None,
                of_ratio=True,
            )
        for point in points:
            if point.size in (base, wanted[-1]):
                found.figure(
                    f"the same, {axis.partition(',')[0]}: {point.size:,}",
                    point.jobs,
                    "jobs/s",
                    floor=("bare workflows", point.bare),
                )
        found.curve(
            f"growth-{name}",
            f"Jobs a second by {axis.partition(',')[0]}",
            axis,
            "jobs/s (median)",
            [
                Line("whole path", [(p.size, statistics.median(p.jobs)) for p in points]),
                Line("bare workflow", [(p.size, statistics.median(p.bare)) for p in points]),
            ],
        )


async def lift(site: Site) -> None:
    """GitHub's limits, where they are not what is measured."""
    await site.call("POST", "limits", **LIFTED)


async def completed(site: Site) -> None:
    """All jobs are; waits in pieces that a connection bears."""
    await _until(site, "all_completed")


async def _settings(site: Site, *, permits: int) -> Settings:
    await lift(site)
    return site.settings(
        limits={"max_runners": permits, "default": permits, "max_repo_share": 1.0},
        gateway={"port": 0},
        github={"github_api_calls_per_minute": 900},
        pressure={"max_queue_depth": 10**6},
        recovery={"enabled": False},
    )


async def _floor(client: Client, rounds: int) -> list[float]:
    return [await bare_jobs_per_second(client, BATCH) for _ in range(rounds)]


async def _until(site: Site, condition: str, **more: int) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not await site.wait(condition, timeout=60.0, **more):
        if time.monotonic() > ends:
            raise TimeoutError(f"not {condition} within {PATIENCE_SECONDS:.0f} s")


async def _completed_jobs(site: Site) -> int:
    return int((await site.call("GET", "summary"))["jobs"]["completed"])


async def _queued_jobs(site: Site) -> int:
    return int((await site.call("GET", "summary"))["jobs"]["queued"])
