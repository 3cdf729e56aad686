"""An organization that GitHub keeps waiting: its jobs hold no permit, and others do not notice."""

import asyncio
import time

from activities import errors, meter
from checker import check
from demo.evidence import gather
from policy import names
from tests.support import SLOW, until
from tests.workflows.test_lives import all_laws

PAUSE = 30  # seconds: longer than a job waits with its permit, by far on a slow machine
WAITS_WITH_PERMIT = 10.0  # 30 by default


async def test_a_throttled_organization_waits_without_permits_while_another_works(
    penstock, monkeypatch
):
    """The Fleet cools it down and says so; nothing is asked before GitHub's time; all complete."""
    monkeypatch.setattr(errors, "LONGEST_RETRY_SECONDS", WAITS_WITH_PERMIT)
    monkeypatch.setattr(meter, "COOLS_SECONDS", WAITS_WITH_PERMIT)
    stack = await penstock(limits={"max_runners": 4, "default": 2, "max_repo_share": 0.5})
    site = stack.site
    rule = {"kind": "primary_limit", "path_prefix": "/repos/acme", "seconds": PAUSE}
    # The sign-in of `acme` goes well: it is its installation that is refused, and no other.
    await site.jobs("beta/b0", seconds=0.1)
    await site.jobs("acme/warm", seconds=0.1)
    await site.wait("all_completed")
    await stack.settled()
    await site.call("POST", "faults", rules=[rule])
    began = time.time()
    throttled = [
        job for repo in ("acme/a", "acme/b") for job in await site.jobs(repo, count=3, seconds=0.1)
    ]

    async def cooling():
        status = await stack.fleet()
        return status if "acme" in status["cooling"] else None

    status = await until(cooling)
    known = time.time()
    assert status["cooling"]["acme"] >= began + PAUSE - 2

    async def given_back():
        # Asked of the semaphores: the Fleet hears of waiters roughly.
        states = [
            await stack.client.get_workflow_handle(names.semaphore_id(repo)).query("state")
            for repo in ("acme/a", "acme/b")
        ]
        return all((s["in_use"], s["waiting"]) == (0, 3) for s in states)

    await until(given_back)
    assert time.time() < began + PAUSE, "no permit came back before GitHub's time"
    explained = await stack.explain("acme/a", throttled[0])
    assert explained["permit"] == "waiting"
    # Meanwhile the other one has the whole fleet for its limits.
    for _ in range(5):  # or fewer, on a slow machine
        jobs = await site.jobs("beta/b0", count=2, seconds=0.1)
        await asyncio.gather(*(stack.result("beta/b0", job) for job in jobs))
        still = await given_back()
        if time.time() > began + PAUSE - 1:
            break
        assert still, "a throttled job took a permit"
    calls = (await site.call("GET", "calls"))["calls"]
    assert [c for c in calls if "acme" in c["path"] and c["time"] > known] == [
        c for c in calls if "acme" in c["path"] and c["time"] > began + PAUSE
    ]
    await all_laws(stack)
    assert check(await gather(stack.client, site, bounds=SLOW)) == []
    summary = await site.call("GET", "summary")
    assert summary["calls"]["too_early"] == 0
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    assert (await fleet.query("status"))["cooling"] == {}
