"""Fairness on the real server: an elephant beside mice, equals beside each other, a Fleet lost.

Load is kept under what two cores carry, so that waits are the policy's and not the machine's. All
figures come from the exported histories (checker/), not from the product.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from itertools import pairwise

from temporalio.client import Client

from api.fleet_client import FleetClient, FleetUnavailable
from checker import Evidence, check, idle, summary
from checker.evidence import Bounds, Violation
from checker.figures import Figures, Spread
from checker.permits import Lease
from demo.evidence import gather
from demo.site import Site
from embedded import stack
from policy import names

SLOT_SECONDS = 2.0
ELEPHANT, ELEPHANT_JOBS, ELEPHANT_PER_SECOND = "acme/elephant", 500, 12
MICE = [f"org{i % 4}/mouse{i}" for i in range(20)]
MOUSE_PAUSE_SECONDS = (6.0, 18.0)
MEASURED_SECONDS = 75.0
PERMITS, LIMIT = 8, 4
EQUALS = [f"org{i % 3}/equal{i}" for i in range(6)]
EQUALS_PERMITS, EQUALS_JOBS, EQUALS_SECONDS = 4, 30, 45.0


@dataclass(frozen=True)
class Herd:
    """The elephant and the mice: waits (s), the most permits of one repository, idle permits."""

    mice: Spread
    elephant_most: int
    elephant_cap: int
    idle_seconds: float
    violations: list[Violation]
    figures: Figures


@dataclass(frozen=True)
class Equals:
    """Six backlogged repositories of equal weight; the Fleet is terminated once they are done."""

    jain: float
    violations: list[Violation]
    gap_seconds: float
    rebuilt_seconds: float


async def herd(client: Client, site: Site, seconds: float = MEASURED_SECONDS) -> Herd:
    """Queue the elephant's jobs, then measure what the mice wait."""
    settings = site.settings(
        limits={"max_runners": PERMITS, "max_repo_share": 0.5, "default": LIMIT},
        gateway={"port": 0},
        github={"github_api_calls_per_minute": 900},
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        for _ in range(ELEPHANT_JOBS // ELEPHANT_PER_SECOND + 1):
            began = time.monotonic()
            await site.jobs(ELEPHANT, count=ELEPHANT_PER_SECOND, seconds=SLOT_SECONDS)
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
        # A mouse's first job mints its token; that is no wait for a permit, and not measured.
        for mouse in MICE:
            await site.jobs(mouse, seconds=0.1)
            await asyncio.sleep(0.25)
        since = time.time()
        await asyncio.gather(*(_mouse(site, mouse, i, seconds) for i, mouse in enumerate(MICE)))
        until = time.time()
        await asyncio.sleep(2 * SLOT_SECONDS)  # those under way get their permits
        evidence = await gather(client, site, at_rest=False, bounds=Bounds(idle_permit=60.0))
    waits = [
        (wait.until or evidence.now) - wait.since
        for wait in evidence.permits.waits
        if wait.repo in MICE and since <= wait.since <= until and wait.how in ("granted", "")
    ]
    return Herd(
        Spread.of(waits),
        _most([lease for lease in evidence.permits.leases if lease.repo == ELEPHANT]),
        settings.limits.limits.repo_cap(ELEPHANT),
        idle.longest(evidence, within=(since, until)),
        check(evidence),
        summary(evidence),
    )


async def equals(client: Client, site: Site) -> Equals:
    """Equal backlogs on few permits; then the Fleet is terminated under load."""
    settings = site.settings(
        limits={"max_runners": EQUALS_PERMITS, "default": EQUALS_PERMITS},
        gateway={"port": 0},
        github={"github_api_calls_per_minute": 900},
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        for repo in EQUALS:
            await site.jobs(repo, count=EQUALS_JOBS, seconds=SLOT_SECONDS)
            await asyncio.sleep(2.0)
        since = time.time()
        await asyncio.sleep(EQUALS_SECONDS)
        until = time.time()
        await client.get_workflow_handle(names.FLEET_ID).terminate("a benchmark")
        lost = time.time()
        rebuilt = await _settled(client)
        await asyncio.sleep(10.0)
        evidence = await gather(client, site, at_rest=False, bounds=Bounds(idle_permit=60.0))
    shares = [_permit_seconds(evidence, repo, since, until) for repo in EQUALS]
    granted = [lost]
    granted += [x.granted_at for x in evidence.permits.leases if lost <= x.granted_at <= lost + 20]
    granted.append(min(lost + 20, evidence.now))
    granted.sort()
    gap = max(later - earlier for earlier, later in pairwise(granted))
    jain = sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))
    return Equals(jain, check(evidence), gap, rebuilt - lost)


async def _mouse(site: Site, repo: str, number: int, seconds: float) -> None:
    """One job every few seconds, each mouse by its own dice."""
    dice = random.Random(number)
    ends = time.monotonic() + seconds
    await asyncio.sleep(dice.uniform(0, MOUSE_PAUSE_SECONDS[1]))
    while time.monotonic() < ends:
        await site.jobs(repo, seconds=SLOT_SECONDS)
        await asyncio.sleep(dice.uniform(*MOUSE_PAUSE_SECONDS))


async def _settled(client: Client) -> float:
    """When a new Fleet has heard from every semaphore."""
    fleet = FleetClient(client)
    handle = client.get_workflow_handle(names.FLEET_ID)
    first = (await handle.describe()).run_id
    while True:
        try:
            status = await fleet.status()
            new = (await handle.describe()).run_id != first
        except FleetUnavailable:
            continue
        if new and status["settled"] and not status["unmet"]:
            return time.time()
        await asyncio.sleep(0.1)


def _permit_seconds(evidence: Evidence, repo: str, since: float, until: float) -> float:
    return sum(
        max(0.0, min(lease.ended_at or evidence.now, until) - max(lease.granted_at, since))
        for lease in evidence.permits.leases
        if lease.repo == repo
    )


def _most(leases: list[Lease]) -> int:
    """The most that were out at once; one that ends as another begins counts once."""
    marks = [(lease.granted_at, 1) for lease in leases]
    marks += [(lease.ended_at, -1) for lease in leases if lease.ended_at is not None]
    most = out = 0
    for _, step in sorted(marks):
        out += step
        most = max(most, out)
    return most
