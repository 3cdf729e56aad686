"""The whole path beside the floor of the same server: latency, throughput, and what a job costs.

Each round measures floor and path one after the other; the ratio is taken round by round, so that
a machine whose speed drifts does not matter.
"""

import asyncio
import time
from dataclasses import dataclass

from rich.console import Console
from temporalio.client import Client

from benchmarks import cost
from benchmarks.cost import Cost
from benchmarks.floor import bare_hops, bare_jobs_per_second, bare_latencies
from benchmarks.fresh import on_fresh_server
from benchmarks.record import Found
from checker import summary
from checker.figures import Figures, Spread
from demo.evidence import gather
from demo.site import Site
from embedded import stack
from policy import names

ROUNDS = 4
CALM_JOBS = 20
JOBS = 60
REPOS = 10
STEADY_JOBS = 20  # of one repository, waiting for its only permit
HOPS = 20


@dataclass(frozen=True)
class Round:
    """One round on one server."""

    burst: Figures
    burst_cost: Cost  # a job's
    jobs_per_second: float
    bare_per_second: float
    bare_cost: Cost
    calm: Spread
    bare: Spread  # start → activity
    regrant: Spread
    hop: Spread
    steady_cost: Cost


async def path(client: Client, site: Site) -> tuple[float, Figures, Cost]:
    """Jobs per second through the whole path, runners that work for no time; and what it cost."""
    settings = site.settings(
        limits={"max_runners": 50, "default": 5},
        gateway={"port": 0},
        github={"github_api_calls_per_minute": 900},
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        began = time.monotonic()
        for i in range(REPOS):
            await site.jobs(f"acme/r{i}", count=JOBS // REPOS, seconds=0.0)
        await site.wait("all_completed", timeout=300)
        seconds = time.monotonic() - began
        await rest(client)
        found = cost.total((await cost.by_type(client)).values()).per(JOBS)
        return JOBS / seconds, summary(await gather(client, site)), found


async def calm(client: Client, site: Site) -> Spread:
    """Webhook → launched, seconds, when a permit is free: one job after another."""
    settings = site.settings(gateway={"port": 0})
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        for _ in range(CALM_JOBS):
            (job,) = await site.jobs("calm/api", seconds=0.0)
            await site.wait("job_completed", job_id=job)
            handle = client.get_workflow_handle(names.runner_job_id("calm/api", job))
            await handle.result()
        evidence = await gather(client, site)
    return summary(evidence).delivery_to_launch_permit_free_seconds


async def regrants(client: Client, site: Site) -> tuple[Spread, Cost]:
    """Release → next grant, seconds: a queue behind one permit; and what each job cost."""
    settings = site.settings(limits={"max_runners": 1, "default": 1}, gateway={"port": 0})
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        await site.jobs("acme/queue", count=STEADY_JOBS, seconds=0.1)
        await site.wait("all_completed", timeout=300)
        await rest(client)
        found = cost.total((await cost.by_type(client)).values()).per(STEADY_JOBS)
        evidence = await gather(client, site)
    return summary(evidence).release_to_next_grant_seconds, found


async def rest(client: Client) -> None:
    """Wait until the Fleet knows of nothing that runs."""
    handle = client.get_workflow_handle(names.FLEET_ID)
    while (await handle.query("status"))["running"]:  # noqa: ASYNC110 - a query has no event
        await asyncio.sleep(0.1)


async def one_round() -> Round:
    """Each on a fresh server, with its floor on the same."""

    async def burst(client: Client, site: Site) -> tuple[float, Figures, Cost, float, Cost]:
        jobs, figures, each = await path(client, site)
        bare = await bare_jobs_per_second(client, JOBS)
        floor = (await cost.by_type(client))["Bare"].per(JOBS)
        return jobs, figures, each, bare, floor

    async def one_by_one(client: Client, site: Site) -> tuple[Spread, Spread]:
        seen = await calm(client, site)
        return seen, Spread.of(await bare_latencies(client, CALM_JOBS))

    async def queue(client: Client, site: Site) -> tuple[Spread, Cost, Spread]:
        seen, each = await regrants(client, site)
        return seen, each, Spread.of(await bare_hops(client, HOPS))

    jobs, figures, each, bare, bare_cost = await on_fresh_server(burst)
    found, latency = await on_fresh_server(one_by_one)
    regrant, steady, hop = await on_fresh_server(queue)
    return Round(figures, each, jobs, bare, bare_cost, found, latency, regrant, hop, steady)


async def measure(console: Console, found: Found) -> None:
    """The rows of the design's budgets that a job's way makes."""
    rounds: list[Round] = []
    for number in range(wanted := 1 if found.quick else ROUNDS):
        console.print(f"round {number + 1} of {wanted}")
        rounds.append(await one_round())

    def milliseconds(spread: Spread, part: str) -> float:
        return 1000 * (getattr(spread, part) or 0.0)

    for part, most in (("p50", 150), ("p95", 500)):
        found.figure(
            f"webhook → launched {part}, a permit free",
            [milliseconds(r.calm, part) for r in rounds],
            "ms",
            floor=("bare start → activity", [milliseconds(r.bare, part) for r in rounds]),
            at_most=most,
        )
    found.figure(
        "release → next grant p95, one permit and a queue",
        [milliseconds(r.regrant, "p95") for r in rounds],
        "ms",
        floor=("bare signal handed on", [milliseconds(r.hop, "p95") for r in rounds]),
        at_most=100,
    )
    found.figure(
        f"{JOBS} jobs of {REPOS} repositories at once, runner processes and all",
        [r.jobs_per_second for r in rounds],
        "jobs/s",
        floor=("bare workflow, activity, signal", [r.bare_per_second for r in rounds]),
        at_least=0.5,
        of_ratio=True,
    )
    for part in ("p50", "p95"):
        found.figure(
            f"webhook → launched {part}, in that burst",
            [milliseconds(r.burst.delivery_to_launch_seconds, part) for r in rounds],
            "ms",
        )
    found.figure(
        "release → next grant p95, in that burst",
        [milliseconds(r.burst.release_to_next_grant_seconds, "p95") for r in rounds],
        "ms",
    )
    for said, of in (("in that burst", "burst_cost"), ("one permit and a queue", "steady_cost")):
        for unit, most in (("actions", 9), ("events", 50), ("bytes", None)):
            found.figure(
                f"{'billable ' if unit == 'actions' else ''}{unit} a job, {said}",
                [getattr(getattr(r, of), unit) for r in rounds],
                floor=("bare", [getattr(r.bare_cost, unit) for r in rounds]),
                at_most=most,
            )
    found.figure(
        "GitHub calls a job, in that burst of new repositories",
        [r.burst.github_calls_per_job or 0.0 for r in rounds],
    )
