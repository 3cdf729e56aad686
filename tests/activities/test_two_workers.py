"""Workers that share a store: they mint as one, and none spends what another has spent."""

import asyncio
import uuid
from itertools import pairwise

import pytest

from activities.clients import dynamodb_table
from activities.clients.dynamodb_store import DynamoDBStore
from activities.clients.github import GitHubClock
from activities.clients.sealing import Sealer, new_key
from activities.errors import Deferred, GitHubUnavailable, RateLimited, Waits
from activities.meter import Budget
from activities.secret_cache import FLIGHT_SECONDS
from activities.token_store import MemoryStore, Record
from activities.tokens import REGISTRATION, Tokens
from policy.token_bucket import Rate
from tests.activities.hub import WIDE

REPO = "acme/api"
MINT = "/actions/runners/registration-token"
MINUTE = 60.0


@pytest.fixture
async def stores(hub, aws):
    """Makes stores on one table, each with an AWS client of its own."""
    name, keys = f"tokens-{uuid.uuid4()}", {"k": new_key()}
    await dynamodb_table.make(aws.dynamodb(), name)

    def one(clock=hub.clock, heard=None):
        return DynamoDBStore(aws.dynamodb(), name, Sealer(keys), clock, heard)

    return one


async def test_five_hundred_jobs_of_ten_repositories(hub, stores):
    """An hour and forty minutes of two workers: one token a repository and 45 minutes."""
    repos = [f"acme/r{n}" for n in range(10)]
    for repo in repos:
        await hub.site.jobs(repo, conclusion="skipped", deliver=False)
    budget = Budget(Rate(10, 60.0), Rate(5, 3600.0))
    sides = [hub.side(budget, store=stores()) for _ in range(2)]
    workers = [Tokens(side.client, side.cache) for side in sides]

    async def job(number: int) -> None:
        while True:
            try:
                assert (await workers[number % 2].registration(repos[number // 2 % 10])).value
                return
            except Waits as wait:
                await hub.pass_(max(0.0, wait.until - hub.clock()) + 0.01)

    for first in range(0, 500, 10):
        # Ten at once: both workers want the same five repositories' tokens at the same time.
        await asyncio.gather(*(job(number) for number in range(first, first + 10)))
        for side in sides:
            await asyncio.gather(*side.cache._renewing)
        await hub.pass_(2 * MINUTE)
    calls = (await hub.call("GET", "calls"))["calls"]
    minted: dict[str, list[float]] = {}
    for call in calls:
        assert call["status"] not in (403, 429)
        if call["path"].endswith(MINT):
            minted.setdefault(call["path"], []).append(call["time"])
    assert len(minted) == 10
    for times in minted.values():
        assert len(times) == 3
        assert all(later - earlier >= 45 * MINUTE - 1 for earlier, later in pairwise(times))
    signed_in = [call for call in calls if call["path"].endswith("access_tokens")]
    assert 2 <= len(signed_in) <= 3, "at the start, and before each hour ends"


async def test_what_one_was_refused_the_other_does_not_ask(hub, stores):
    """GitHub's pause is in the store: the other worker keeps still without having been told."""
    first, second = (hub.side(store=stores()) for _ in range(2))
    await first.client.registration_token(REPO)
    await second.client.registration_token(REPO)
    await hub.break_("secondary_limit", retry_after=120)
    with pytest.raises(RateLimited):
        await first.client.registration_token(REPO)
    await hub.calls()
    for call in (
        lambda: second.client.registration_token("acme/web"),
        lambda: second.client.job(REPO, "1"),
    ):
        with pytest.raises(RateLimited):
            await call()
    assert (await second.client.registration_token("other/api")).value, "another installation"
    assert not any("acme" in call for call in await hub.calls())
    await hub.pass_(121)
    assert (await second.client.registration_token("acme/web")).value
    with pytest.raises(Deferred, match="slowly"):
        await first.client.registration_token(REPO)


async def test_a_worker_whose_clock_is_ahead_keeps_githubs_time_too(hub, stores):
    """By the `Date` of GitHub's answers; before the first of them by that of AWS."""
    ahead = [GitHubClock(lambda: hub.clock() + 300) for _ in range(2)]
    first = hub.side(store=stores())
    known, new = (hub.side(store=stores(clock, clock.hint), clock=clock) for clock in ahead)
    assert (await known.client.job(REPO, "1")).status == "missing"
    assert known.clock.skew == pytest.approx(-300, abs=5)
    await hub.break_("secondary_limit", retry_after=120)
    with pytest.raises(RateLimited):
        await first.client.job(REPO, "2")
    await hub.calls()
    for side in (known, new):
        with pytest.raises(RateLimited) as caught:
            await side.client.registration_token(REPO)
        assert caught.value.until == pytest.approx(hub.clock() + 120, abs=2)
        assert caught.value.until - side.clock() == pytest.approx(120, abs=7)
    assert await hub.calls() == []


def test_who_knows_the_time_best_sets_the_clock():
    """A hint until GitHub has spoken; what the network took and whole seconds do not count."""
    clock = GitHubClock(lambda: 1000.0)
    clock.heard(1003.0, 0.2)
    assert clock() == 1000.0
    clock = GitHubClock(lambda: 1000.0)
    clock.hint(1100.0, 0.0)
    assert clock() == 1100.5
    clock.heard(900.0, 1.0)
    assert clock() == 901.0
    clock.hint(1100.0, 0.0)
    assert clock() == 901.0
    clock.heard(1008.0, 9.0)
    assert clock.skew == 0.0, "it took so long that both may be right"


async def test_a_flight_of_a_dead_worker_is_taken_over(hub):
    """It took off and was killed: for half a minute the others wait, then another mints."""
    store = MemoryStore(hub.clock)
    dead, alive = hub.side(WIDE, store=store), hub.side(WIDE, store=store)
    await dead.cache._take_off(REGISTRATION, "acme#api")
    tokens = Tokens(alive.client, alive.cache)

    async def ask():
        return await tokens.registration(REPO)

    asking = asyncio.create_task(ask())
    with pytest.raises(Deferred, match="another worker"):
        await asking
    await hub.pass_(FLIGHT_SECONDS + 1)
    assert (await ask()).value


async def test_a_flight_of_ones_own_that_was_cut_short_is_no_other_workers(hub):
    """Its mark stands in the store, and nobody is at it: the same worker goes on at once."""
    side = hub.side(WIDE)
    assert isinstance(await side.cache._take_off(REGISTRATION, "acme#api"), Record)
    assert (await Tokens(side.client, side.cache).registration(REPO)).value


async def test_a_flight_in_vain_frees_the_way(hub):
    """The next worker need not wait it out."""
    store = MemoryStore(hub.clock)
    sides = [hub.side(store=store) for _ in range(2)]
    await hub.break_("status", status=502)
    with pytest.raises(GitHubUnavailable):
        await Tokens(sides[0].client, sides[0].cache).registration(REPO)
    assert (await Tokens(sides[1].client, sides[1].cache).registration(REPO)).value


async def test_an_installations_token_that_github_refuses_is_dropped_for_all(hub):
    """Who hears 401 first takes it out of the store: one sign-in serves both."""
    store = MemoryStore(hub.clock)
    sides = [hub.side(store=store) for _ in range(2)]
    for side in sides:
        await side.client.registration_token(REPO)
    await hub.call("POST", "clock", advance_seconds=3601)
    await hub.calls()
    for side in sides:
        assert (await side.client.registration_token(REPO)).value
    signed_in = [call for call in await hub.calls() if "access_tokens" in call]
    assert len(signed_in) == 1
