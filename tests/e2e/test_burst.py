"""300 jobs of 30 repositories at once on 12 runners, judged by the histories alone."""

import asyncio

from checker import Evidence, check, summary
from checker.export import export
from demo.evidence import gather
from tests.support import SLOW, replay

REPOS = [f"org{i % 10}/repo{i}" for i in range(30)]


async def test_a_burst_keeps_every_limit_and_loses_nothing(penstock):
    """All complete; no limit is passed, one workflow a job, every permit comes back."""
    stack = await penstock(limits={"max_runners": 12, "orgs": {"org1": 3}})
    site = stack.site
    await asyncio.gather(*(site.jobs(repo, count=10, seconds=0.1) for repo in REPOS))
    assert await site.wait("all_completed", timeout=190)
    await stack.settled()
    made = (await site.call("GET", "jobs"))["jobs"]
    assert len(made) == 300
    assert all(job["times_run"] == 1 and job["conclusion"] == "success" for job in made)
    histories = await export(stack.client)
    assert check(Evidence(histories, bounds=SLOW)) == [], "by the histories alone"
    evidence = await gather(stack.client, site, bounds=SLOW)
    assert check(evidence) == []
    print(summary(evidence))


async def test_histories_of_a_busy_fleet_replay(penstock):
    """What ran with continue-as-new on both sides replays on today's code."""
    stack = await penstock(limits={"max_runners": 4})
    await asyncio.gather(*(stack.site.jobs(f"acme/r{i}", count=4, seconds=0.1) for i in range(3)))
    assert await stack.site.wait("all_completed")
    await stack.settled()
    assert await replay(stack.client) >= 16
