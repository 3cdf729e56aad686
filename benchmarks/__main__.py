"""`make bench`: figures of the whole path beside the floor of the same server, and of the policy.

Each round measures floor and path one after the other; the ratio is taken round by round, so that
a machine whose speed drifts does not matter. Prints a table; exits 0 (it measures, it judges not).
"""

import asyncio
import functools
import statistics
import time

from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from benchmarks import fairness, github, scale, starvation
from benchmarks.floor import bare_jobs_per_second
from benchmarks.fresh import on_fresh_server
from checker import summary
from checker.figures import Figures, Spread
from demo.evidence import gather
from demo.site import Site
from embedded import stack
from embedded.leave import leave
from policy.allocation import Demand, Snapshot, allocate
from policy.limits import Limits
from policy.messages import Waiting

ROUNDS = 3
CALM_JOBS = 20
JOBS = 60
REPOS = 10


async def path(client: Client, site: Site) -> tuple[float, Figures]:
    """Jobs per second through the whole path, runners that work for no time; and the figures."""
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
        handle = client.get_workflow_handle("fleet")
        while (await handle.query("status"))["running"]:  # noqa: ASYNC110 - a query has no event
            await asyncio.sleep(0.1)
        return JOBS / seconds, summary(await gather(client, site))


async def calm(client: Client, site: Site) -> Spread:
    """Webhook → launched, seconds, when a permit is free: one job after another."""
    settings = site.settings(gateway={"port": 0})
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        for _ in range(CALM_JOBS):
            (job,) = await site.jobs("calm/api", seconds=0.0)
            await site.wait("job_completed", job_id=job)
            handle = client.get_workflow_handle(f"runner-job/calm/api/{job}")
            await handle.result()
        evidence = await gather(client, site)
    return summary(evidence).delivery_to_launch_permit_free_seconds


async def calm_round() -> Spread:
    """A calm fleet on a fresh server."""
    return await on_fresh_server(calm)


async def one_round() -> tuple[float, float, Figures]:
    """Floor and path on one fresh server."""

    async def both(client: Client, site: Site) -> tuple[float, float, Figures]:
        jobs, figures = await path(client, site)
        return await bare_jobs_per_second(client, JOBS), jobs, figures

    return await on_fresh_server(both)


def allocate_seconds(repos: int) -> float:
    """One call of `allocate`; the best of five."""
    # Half of them have a permit each; as many permits are free, and all wait for them.
    snapshot = Snapshot(
        Limits(max_runners=repos),
        repos,
        [
            Demand(f"org{i % 50}/r{i}", i % 2, [Waiting("normal", 3, float(i))])
            for i in range(repos)
        ],
    )
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        allocate(snapshot, 1e6)
        best = min(best, time.perf_counter() - began)
    return best


async def main() -> None:
    """Measure and print."""
    console = Console()
    rounds: list[tuple[float, float, Figures]] = []
    calms: list[Spread] = []
    for number in range(ROUNDS):
        console.print(f"round {number + 1} of {ROUNDS}", highlight=False)
        rounds.append(await one_round())
        calms.append(await calm_round())
    table = Table(title=f"{JOBS} jobs of {REPOS} repositories, {ROUNDS} rounds")
    for column in ("figure", "min", "median", "max"):
        table.add_column(column, justify="left" if column == "figure" else "right")

    def row(name: str, values: list[float]) -> None:
        table.add_row(
            name, *(f"{v:.3f}" for v in (min(values), statistics.median(values), max(values)))
        )

    row("jobs/s, bare workflow (the floor)", [floor for floor, _, _ in rounds])
    row("jobs/s, whole path with runner processes", [jobs for _, jobs, _ in rounds])
    row("ratio path ÷ floor", [jobs / floor for floor, jobs, _ in rounds])
    row("history events per job", [f.history_events_per_job or 0.0 for _, _, f in rounds])
    row("billable actions per job", [f.billable_actions_per_job or 0.0 for _, _, f in rounds])
    row("GitHub calls per job", [f.github_calls_per_job or 0.0 for _, _, f in rounds])
    row("webhook → launched p50, s (calm)", [c.p50 or 0.0 for c in calms])
    row("webhook → launched p95, s (calm)", [c.p95 or 0.0 for c in calms])
    launches = [f.delivery_to_launch_seconds for _, _, f in rounds]
    row("webhook → launched p50, s (in a burst)", [s.p50 or 0.0 for s in launches])
    row("webhook → launched p95, s (in a burst)", [s.p95 or 0.0 for s in launches])
    row(
        "release → next grant p95, s",
        [f.release_to_next_grant_seconds.p95 or 0.0 for _, _, f in rounds],
    )
    row("allocate, 10,000 repositories, ms", [1000 * allocate_seconds(10_000) for _ in range(3)])
    console.print(table)
    console.print(await promises(console))


async def promises(console: Console) -> Table:
    """What was promised of fairness and growth, beside what is measured; one run of each."""
    table = Table(title="promises")
    for column in ("figure", "measured", "promised"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    console.print("one elephant beside twenty mice", highlight=False)
    seen = await on_fresh_server(fairness.herd)
    slot = fairness.SLOT_SECONDS
    table.add_row("mice: wait p50, s", f"{seen.mice.p50:.2f}", "")
    table.add_row(
        f"mice: wait p95, s ({seen.mice.samples} jobs)",
        f"{seen.mice.p95:.2f}",
        f"≤ {slot + 2:.0f}",
    )
    table.add_row(
        "elephant: most permits at once", f"{seen.elephant_most}", f"≤ {seen.elephant_cap}"
    )
    table.add_row("longest idle permit beside a waiter, s", f"{seen.idle_seconds:.2f}", "≤ 1")
    cost = seen.figures
    table.add_row("history events per job, loaded", f"{cost.history_events_per_job:.1f}", "≤ 50")
    table.add_row(
        "billable actions per job, loaded", f"{cost.billable_actions_per_job:.1f}", "≤ 9"
    )
    table.add_row("laws broken", f"{len(seen.violations)}", "0")
    console.print("six equals on four permits; then the Fleet is terminated", highlight=False)
    fair = await on_fresh_server(fairness.equals)
    table.add_row("equals: Jain's index of permit-seconds", f"{fair.jain:.3f}", "≥ 0.95")
    table.add_row(
        "Fleet terminated: longest time without a grant, s", f"{fair.gap_seconds:.1f}", "≤ 10"
    )
    table.add_row(
        "Fleet terminated: until all have answered, s", f"{fair.rebuilt_seconds:.1f}", ""
    )
    table.add_row("laws broken", f"{len(fair.violations)}", "0")
    for violation in (*seen.violations, *fair.violations):
        console.print(f"broken: {violation}", highlight=False)
    for where, repo in (("elsewhere", "beta/c"), ("beside it", starvation.BUSY[0])):
        waited, bound = starvation.longest_wait(repo, 2)
        table.add_row(
            f"low job, endless critical work {where}, s", f"{waited:.0f}", f"≤ {bound:.0f}"
        )
    console.print("ten thousand waiters", highlight=False)
    filling, then = await on_fresh_server(scale.task_seconds)
    table.add_row(
        "10,000 waiters: workflow task p95, ms", f"{1000 * (then.p95 or 0):.0f}", "< 200"
    )
    table.add_row(
        "10,000 waiters: longest workflow task, ms", f"{1000 * (then.max or 0):.0f}", "< 200"
    )
    table.add_row("while it fills: workflow task p95, ms", f"{1000 * (filling.p95 or 0):.0f}", "")
    size = scale.fleet_bytes(2000) / 1024
    table.add_row("Fleet of 2,000 repositories, carried, KiB", f"{size:.0f}", "< 512")
    await asked_of_github(console, table)
    return table


async def asked_of_github(console: Console, table: Table) -> None:
    """GitHub's own record: how often it was called, and how often it had to refuse."""
    console.print("GitHub: seven simulated days; a thousand jobs at once", highlight=False)
    week = await on_fresh_server(functools.partial(github.days, number=7.0))
    table.add_row(
        "7 days at 20 jobs/h·repo: GitHub calls per job", f"{week.calls_per_job:.3f}", "≤ 0.15"
    )
    table.add_row(
        "7 days: 403 and 429, calls too early", f"{week.limited}, {week.too_early}", "0, 0"
    )
    burst = await on_fresh_server(github.at_once)
    allowed = 10 + burst.seconds / 6
    table.add_row("1,000 jobs of one org: token calls", f"{burst.token_calls}", f"≤ {allowed:.0f}")
    table.add_row(
        "1,000 jobs: 403 and 429, calls too early", f"{burst.limited}, {burst.too_early}", "0, 0"
    )
    table.add_row("1,000 jobs: GitHub calls per job", f"{burst.calls_per_job:.3f}", "")
    console.print("GitHub refuses one organization for a minute", highlight=False)
    seen = await on_fresh_server(github.throttled)
    table.add_row("other org's wait p95 ÷ before", f"{seen.during / seen.before:.3f}", "≤ 1.1")
    table.add_row("permits of the refused org meanwhile", f"{seen.most_held}", "0")


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
