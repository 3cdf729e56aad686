"""Many jobs at once, and many days, against a GitHub with its real limits: none is ever hit."""

import asyncio
import heapq

import pytest

from activities.errors import Waits
from activities.meter import Budget
from activities.tokens import Tokens
from policy.token_bucket import Rate

PER_ORG = Rate(10, 60.0)  # github_api_calls_per_minute
PER_REPO = Rate(5, 3600.0)  # tokens_per_repository_per_hour
JOBS, REPOS = 1000, 40
LIMITED = (403, 429)
DAYS = 2


async def log_of(hub) -> list[dict]:
    """All calls, as GitHub saw them."""
    return (await hub.call("GET", "calls"))["calls"]


def within(times: list[float], rate: Rate, slack: float = 0.2) -> bool:
    """Whether no stretch has more calls than a full bucket and its refill; `slack` seconds."""
    times = sorted(times)
    return all(
        number + 1 <= rate.burst + (times[first + number] - times[first] + slack) / rate.interval
        for first in range(len(times))
        for number in range(len(times) - first)
    )


async def everybody(hub, tokens: Tokens, jit: bool) -> int:
    """A thousand jobs of one organization ask at once; each comes back when it was told to.

    Gives how often one asked in vain.
    """
    due = [(hub.clock(), n) for n in range(JOBS)]
    heapq.heapify(due)
    in_vain = 0

    async def ask(number: int) -> None:
        nonlocal in_vain
        try:
            name = f"penstock-{number}-1"
            await tokens.credential(f"acme/r{number % REPOS}", name, ["linux"])
        except Waits as wait:
            in_vain += 1
            heapq.heappush(due, (wait.until, number))

    while due:
        if due[0][0] > hub.clock():
            await hub.pass_(due[0][0] - hub.clock() + 0.01)
        now = hub.clock()
        batch = []
        while due and due[0][0] <= now:
            batch.append(heapq.heappop(due)[1])
        await asyncio.gather(*(ask(number) for number in batch))
    return in_vain


@pytest.mark.parametrize("mode", ["registration", "jit"])
async def test_a_thousand_jobs_at_once_stay_within_the_budget(hub, mode):
    """As many token calls as the buckets allow, none refused, and each job has its token."""
    jit = mode == "jit"
    for number in range(REPOS):
        await hub.site.jobs(f"acme/r{number}", conclusion="skipped", deliver=False)
    tokens = hub.tokens(Budget(PER_ORG, None if jit else PER_REPO), jit=jit)
    began = hub.clock()
    in_vain = await everybody(hub, tokens, jit)
    calls = [call for call in await log_of(hub) if call["method"] == "POST" or call["route"]]
    assert [call for call in calls if call["status"] in LIMITED] == []
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0
    minutes = (hub.clock() - began) / 60
    assert len(calls) <= PER_ORG.burst + minutes * 10 + 1
    assert within([call["time"] for call in calls], PER_ORG)
    minted = [call for call in calls if "/actions/runners/" in call["path"]]
    assert len(minted) == (JOBS if jit else REPOS)
    # Told each a time of its own, nobody asks in vain for long.
    assert in_vain <= 3 * JOBS
    print(f"{mode}: {len(calls)} calls in {minutes:.1f} min, {in_vain} times in vain")


async def test_days_at_plan_load_hit_no_limit(hub):
    """Ten repositories of two organizations, 20 jobs an hour each: the figure of the design.

    Two days; `python -m benchmarks github` plays seven.
    """
    repos = [f"{org}/r{n}" for org in ("acme", "other") for n in range(5)]
    for repo in repos:
        await hub.site.jobs(repo, conclusion="skipped", deliver=False)
    side = hub.side(Budget(PER_ORG, PER_REPO))
    tokens = Tokens(side.client, side.cache)
    jobs = waits = 0
    for _ in range(DAYS * 24 * 20):  # a job of each repository every three minutes
        await hub.pass_(180.0)
        for repo in repos:
            jobs += 1
            try:
                await tokens.registration(repo)
            except Waits:
                waits += 1  # the very first ones, before there is a token
            if jobs % 100 == 0:  # and one of a hundred runners is not picked up
                await side.client.deregister(repo, f"penstock-{jobs}-1")
        await asyncio.gather(*side.cache._renewing, return_exceptions=True)
    calls = await log_of(hub)
    assert [call for call in calls if call["status"] in LIMITED] == []
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0
    assert waits <= 10
    assert len(calls) / jobs <= 0.15
    print(f"{DAYS} days: {jobs} jobs, {len(calls)} calls, {len(calls) / jobs:.3f} a job")
