"""The meter when its store fails, and what it tells the Fleet."""

import logging

import pytest
from prometheus_client import generate_latest

from activities.errors import Deferred, GitHubUnavailable, RateLimited
from activities.meter import Budget
from activities.metrics import GitHubMetrics
from activities.token_store import MemoryStore, StoreUnavailable
from policy.token_bucket import Rate
from tests.activities.hub import WIDE

REPO = "acme/api"


class Failing(MemoryStore):
    """A store that a test takes away."""

    down = False

    async def read(self, *keys):
        """As the store does, or not at all."""
        if self.down:
            raise StoreUnavailable("the store is down")
        return await super().read(*keys)


def losing(hub, store):
    """A side whose store goes down while its first call is on the way to GitHub."""
    side = hub.side(WIDE, store=store)

    async def gone(_request):
        store.down = True

    side.client.http._client.event_hooks["request"].append(gone)
    return side


async def test_a_pause_that_cannot_be_written_holds_here_all_the_same(hub, caplog):
    """GitHub's time is kept by this worker, and written along with its next call."""
    store = Failing(hub.clock)
    await hub.side(WIDE, store=store).client.registration_token(REPO)  # signed in, in the store
    side = losing(hub, store)
    await hub.calls()
    await hub.break_("secondary_limit", retry_after=50)
    with pytest.raises(RateLimited), caplog.at_level(logging.WARNING):
        await side.client.job(REPO, "1")
    assert "is known here only" in caplog.text
    store.down = False
    with pytest.raises(RateLimited):
        await side.client.job(REPO, "1")
    assert len(await hub.calls()) == 1
    await hub.pass_(51)
    assert (await side.client.job(REPO, "1")).status == "missing"
    store.down = False
    with pytest.raises(Deferred, match="slowly"):
        await hub.side(WIDE, store=store).client.job(REPO, "2")
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0


async def test_what_github_gave_is_not_lost_for_a_store_that_fails(hub):
    """The answer counts; an outage stays an outage."""
    store = Failing(hub.clock)
    side = hub.side(WIDE, store=store)
    await side.client.registration_token(REPO)
    taken_away = losing(hub, store)
    assert (await taken_away.client.job(REPO, "1")).status == "missing"
    store.down = False
    await hub.break_("status", status=502)
    with pytest.raises(GitHubUnavailable):
        await taken_away.client.registration_token("acme/web")
    store.down = True
    with pytest.raises(StoreUnavailable):
        await side.client.job(REPO, "1")


async def test_a_token_that_serves_does_so_without_the_store(hub):
    """Fresh or old; a stale one does not."""
    store = Failing(hub.clock)
    tokens = hub.tokens(WIDE, store=store)
    token = await tokens.registration(REPO)
    store.down = True
    assert await tokens.registration(REPO) == token
    await hub.pass_(46 * 60)
    assert await tokens.at_hand(REPO, "penstock-1-1", ["linux"]) == token
    await hub.pass_(5 * 60)
    with pytest.raises(StoreUnavailable):
        await tokens.registration(REPO)


async def test_the_fleet_hears_of_long_waits_of_whole_organizations(hub):
    """GitHub's pause at once and once; our own budget only where each launch needs a call."""
    for jit in (False, True):
        heard = []

        async def throttled(org, until, heard=heard):
            heard.append((org, round(until - hub.clock())))

        side = hub.side(Budget(Rate(4, 60), None), throttled=throttled, jit=jit)
        for number in range(8):
            try:
                await side.client.jit_config(REPO, f"penstock-{int(jit)}{number}-1", ["linux"])
            except Deferred:
                continue
        # Two configurations; then a promise each 15 s, of which those beyond 30 s cool it down.
        assert heard == ([("acme", seconds) for seconds in (15, 30, 45, 60)] if jit else [])
    heard = []

    async def throttled(org, until):
        heard.append((org, round(until - hub.clock())))

    side = hub.side(WIDE, throttled=throttled)
    await side.client.registration_token(REPO)
    await hub.break_("secondary_limit", retry_after=90)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await side.client.registration_token(REPO)
    assert len(heard) == 1
    assert heard[0][0] == "acme"
    assert 88 <= heard[0][1] <= 91


async def test_metrics_are_what_the_meter_knows(hub):
    """GitHub's last word on each limit, calls by result, points."""
    side = hub.side(WIDE)
    await side.client.registration_token(REPO)
    await hub.break_("status", status=502)
    with pytest.raises(GitHubUnavailable):
        await side.client.job(REPO, "1")
    await hub.break_("secondary_limit", retry_after=5)
    with pytest.raises(RateLimited):
        await side.client.job(REPO, "1")
    text = generate_latest(GitHubMetrics.registry(side.meter)).decode()
    where = '{identity="installation:acme",resource="actions_runner_registration"}'
    assert f"penstock_github_rate_limit_remaining{where} 9999.0" in text
    assert f"penstock_github_rate_limit{where} 10000.0" in text
    for result, number in (("answered", 3), ("limited", 1), ("unavailable", 1)):
        assert f'penstock_github_calls_total{{result="{result}"}} {number}.0' in text
    assert "penstock_github_points_total 13.0" in text  # two reads more, two writes, one read
    spent = sum(c["points"] for c in (await hub.call("GET", "calls"))["calls"] if not c["fault"])
    assert spent == 11
