"""The gate of runner tokens: minted once, in time, and never faster than allowed."""

import asyncio

import pytest

from activities import tokens as module
from activities.errors import Deferred, GitHubNotFound, GitHubUnavailable, RateLimited
from activities.github import RunnerToken
from activities.meter import Budget
from activities.token_store import Change, MemoryStore
from activities.tokens import Tokens
from policy.token_bucket import Rate
from tests.activities.hub import WIDE
from tests.support import PATIENCE

REPO = "acme/api"
MINT = "POST /repos/{owner}/{repo}/actions/runners/registration-token 201"
JIT = "POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig 201"
MINUTE = 60.0


async def mints(hub) -> int:
    """How many registration tokens GitHub made since the last time."""
    return (await hub.calls()).count(MINT)


async def test_a_hundred_callers_one_mint(hub):
    """All get the same token."""
    tokens = hub.tokens(WIDE)
    found = await asyncio.gather(*(tokens.registration(REPO) for _ in range(100)))
    assert len({token.value for token in found}) == 1
    assert await mints(hub) == 1


async def test_a_caller_that_gives_up_takes_nobody_along(hub):
    """The one whose flight it was is cancelled: another one brings the token."""
    tokens = hub.tokens(WIDE)
    await hub.break_("slow", seconds=0.3, path_prefix="/repos")
    callers = [asyncio.create_task(tokens.registration(REPO)) for _ in range(5)]
    await asyncio.sleep(0)
    callers[0].cancel()
    ends = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(ends[0], asyncio.CancelledError)
    assert len({token.value for token in ends[1:]}) == 1


async def test_each_repository_has_its_own_token(hub):
    """A registration token of one repository is none for another."""
    tokens = hub.tokens(WIDE)
    repos = (REPO, "acme/web", "other/api")
    values = [(await tokens.registration(repo)).value for repo in repos]
    assert len(set(values)) == 3
    assert [(await tokens.registration(repo)).value for repo in repos] == values
    assert await mints(hub) == 3


async def test_no_owners_name_reaches_another_kind_of_secret(hub):
    """An owner may be called `installation`: its runners get a token of its own all the same."""
    await hub.site.jobs("installation/acme", conclusion="skipped", deliver=False)
    side = hub.side()
    tokens = Tokens(side.client, side.cache)
    await tokens.registration(REPO)
    runners = await tokens.registration("installation/acme")
    assert runners.value not in {
        await side.client.identity.token(repo) for repo in (REPO, "installation/acme")
    }
    assert await tokens.at_hand("installation/acme", "penstock-1-1", ["linux"]) == runners
    calls = await hub.calls()
    assert calls.count(MINT) == 2


async def test_a_fresh_token_serves_without_github(hub):
    """For 45 minutes not one call is made."""
    tokens = hub.tokens(WIDE)
    first = await tokens.registration(REPO)
    await hub.pass_(44.9 * MINUTE)
    await hub.calls()
    assert await tokens.registration(REPO) == first
    assert await hub.calls() == []


async def test_an_old_token_serves_while_a_new_one_comes(hub):
    """After 45 minutes: many callers are served at once, one flight goes behind them."""
    tokens = hub.tokens(WIDE)
    old = await tokens.registration(REPO)
    await hub.pass_(45.1 * MINUTE)
    await mints(hub)
    await hub.break_("slow", seconds=0.2)
    served = await asyncio.gather(*(tokens.registration(REPO) for _ in range(50)))
    assert {token.value for token in served} == {old.value}
    async with asyncio.timeout(PATIENCE):
        while (token := await tokens.registration(REPO)).value == old.value:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert token.minted_at == hub.clock()
    assert await mints(hub) == 1


async def test_a_stale_token_serves_nobody(hub):
    """After 50 minutes everybody waits for the new one."""
    tokens = hub.tokens(WIDE)
    old = await tokens.registration(REPO)
    await hub.pass_(50 * MINUTE)
    await mints(hub)
    served = await asyncio.gather(*(tokens.registration(REPO) for _ in range(20)))
    assert old.value not in {token.value for token in served}
    assert await mints(hub) == 1


async def test_a_refresh_in_vain_costs_nobody_anything(hub, caplog):
    """The old token serves on, twice a minute one tries; stale, the failure is everybody's."""
    side = hub.side(WIDE)
    tokens = Tokens(side.client, side.cache)
    old = await tokens.registration(REPO)
    await hub.break_("status", status=502, times=0)
    await hub.pass_(46 * MINUTE)
    await hub.calls()
    for tries in (1, 2):
        for _ in range(5):
            assert await tokens.registration(REPO) == old
            await asyncio.gather(*side.cache._renewing, return_exceptions=True)
        assert len(await hub.calls()) == 1
        assert caplog.text.count("could not be renewed") == tries
        await hub.pass_(31)
    await hub.pass_(3 * MINUTE)
    with pytest.raises(GitHubUnavailable):
        await tokens.registration(REPO)


async def test_an_organizations_budget_is_exact(hub):
    """Three calls to sign in and mint, then one each 6 s: never early, never later."""
    tokens = hub.tokens(Budget(Rate(10, 60), Rate(1000, 60)), jit=True)
    made = 0
    with pytest.raises(Deferred) as caught:
        for made in range(100):
            await tokens.credential((REPO, "acme/web")[made % 2], f"penstock-{made}-1", ["linux"])
    assert made == 8, "the first costs three calls, seven more cost one each"
    assert len(await hub.calls()) == 10
    assert caught.value.until - hub.clock() == pytest.approx(6, abs=0.001)
    await hub.pass_(5.99)
    with pytest.raises(Deferred):
        await tokens.credential(REPO, "penstock-200-1", ["linux"])
    await tokens.credential("other/api", "penstock-201-1", ["linux"])
    await hub.pass_(0.01)
    await tokens.credential(REPO, "penstock-202-1", ["linux"])
    with pytest.raises(Deferred):
        await tokens.credential(REPO, "penstock-203-1", ["linux"])


async def test_a_repositorys_budget_is_exact(hub):
    """Five an hour, then one each 12 minutes; a refused try costs its organization nothing."""
    tokens = hub.tokens(Budget(Rate(10, 60), Rate(5, 3600)), jit=True)
    for number in range(5):
        await tokens.credential(REPO, f"penstock-{number}-1", ["linux"])
    for place in range(20):
        with pytest.raises(Deferred) as caught:
            await tokens.credential(REPO, "penstock-9-1", ["linux"])
        # A time for each who waits: told the same, all would come at once.
        assert caught.value.until - hub.clock() == pytest.approx(720 * (place + 1), abs=0.001)
    for number in range(3):
        await tokens.credential("acme/web", f"penstock-{number}-1", ["linux"])
    assert len(await hub.calls()) == 10
    with pytest.raises(Deferred) as caught:
        await tokens.credential("acme/web", "penstock-8-1", ["linux"])
    assert caught.value.until - hub.clock() == pytest.approx(6, abs=0.001)


async def test_a_flight_in_vain_is_in_vain_for_all_who_waited(hub):
    """A hundred callers and a GitHub that is down: one call, and whoever comes later makes one."""
    tokens = hub.tokens(WIDE)
    await hub.break_("status", status=502, times=0)
    for _ in range(2):
        callers = (tokens.registration(REPO) for _ in range(100))
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(end) for end in ends} == {GitHubUnavailable}
        assert len(await hub.calls()) == 1


async def test_what_one_repository_is_refused_another_one_asks_for_itself(hub):
    """The App does not see `acme/hidden`: that is no answer to those who waited beside it."""
    tokens = hub.tokens(WIDE)
    repos = ("acme/hidden", REPO, "acme/hidden", "acme/web", "acme/hidden")
    asked = (tokens.registration(repo) for repo in repos)
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends] == [
        *(GitHubNotFound, RunnerToken, GitHubNotFound, RunnerToken, GitHubNotFound)
    ]
    calls = await hub.calls()
    assert calls.count("GET /repos/{owner}/{repo}/installation 404") == 1
    assert calls.count(MINT) == 2


async def test_a_pause_holds_for_the_whole_organization(hub):
    """Nothing is asked before GitHub's own time, by any repository of that organization."""
    tight = Budget(Rate(10, 60), Rate(2, 3600))
    tokens = hub.tokens(tight)
    await hub.break_("secondary_limit", retry_after=50)
    began = hub.clock()
    await hub.calls()
    for repo in (REPO, REPO, REPO, "acme/web", "acme/web", "acme/web"):
        with pytest.raises(RateLimited) as caught:
            await tokens.registration(repo)
        assert caught.value.until == pytest.approx(began + 50, abs=1)
    assert len(await hub.calls()) == 1, "in a pause nothing is asked"
    await hub.pass_(51)
    spent = len(await hub.calls())
    for repo in (REPO, "acme/web"):
        token = None
        while token is None:  # calls start again slowly; in a pause nothing was spent
            try:
                token = await tokens.registration(repo)
            except Deferred as error:
                await hub.pass_(error.until - hub.clock() + 0.01)
    assert (spent, len(await hub.calls())) == (0, 4)
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0


async def test_a_pause_has_one_home(hub):
    """The gate in the store: whoever opens it there need not find out who else remembers."""
    store = MemoryStore(hub.clock)
    tokens = hub.tokens(WIDE, store=store)
    await tokens.registration("acme/web")
    await hub.break_("secondary_limit", retry_after=50)
    for _ in range(2):
        with pytest.raises(RateLimited):
            await tokens.registration(REPO)
    key = "gate:installation:acme"
    gate = (await store.read(key))[key]
    assert await store.write([Change(key, gate.version, {}, "", hub.clock())])
    assert (await tokens.registration(REPO)).value


async def test_a_pause_is_one_organizations_own(hub):
    """Others go on."""
    tokens = hub.tokens(WIDE)
    await tokens.registration("other/api")
    await tokens.registration("acme/web")
    await hub.break_("secondary_limit", retry_after=50, path_prefix="/repos/acme/")
    with pytest.raises(RateLimited):
        await tokens.registration(REPO)
    assert (await tokens.registration("other/api")).value
    assert (await tokens.registration("acme/web")).value, "a token at hand needs no call"


async def test_jit_mints_one_for_each_runner(hub):
    """Never cached; being ready means room in the budget, and costs nothing."""
    tokens = hub.tokens(Budget(Rate(4, 60), Rate(100, 60)), jit=True)
    for _ in range(20):
        assert await tokens.ready(REPO) is None
    made = [await tokens.credential(REPO, f"penstock-{n}-1", ["linux"]) for n in (1, 2)]
    assert all(token.jit for token in made)
    assert made[0].value != made[1].value
    calls = await hub.calls()
    assert (calls.count(JIT), len(calls)) == (2, 4)
    with pytest.raises(Deferred):
        await tokens.ready(REPO)


async def test_jit_pauses_as_well(hub):
    """A pause refuses the launch before it is tried."""
    tokens = hub.tokens(WIDE, jit=True)
    await hub.break_("primary_limit", seconds=40)
    with pytest.raises(RateLimited):
        await tokens.credential(REPO, "penstock-1-1", ["linux"])
    with pytest.raises(RateLimited) as caught:
        await tokens.ready("acme/web")
    assert caught.value.until == pytest.approx(hub.clock() + 40, abs=3)
    assert await tokens.at_hand("acme/web", "penstock-1-1", ["linux"]) is None


async def test_a_token_at_hand_costs_no_call(hub):
    """A cached one is given; one that is getting old too, and a new one comes behind it."""
    tokens = hub.tokens(WIDE)
    token = await tokens.registration(REPO)
    await hub.calls()
    assert await tokens.at_hand(REPO, "penstock-1-1", ["linux"]) == token
    assert await hub.calls() == []
    await hub.pass_(45.1 * MINUTE)
    await mints(hub)
    assert await tokens.at_hand(REPO, "penstock-1-1", ["linux"]) == token
    async with asyncio.timeout(PATIENCE):
        while await mints(hub) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_first_to_miss_a_token_is_sent_for_it_and_the_others_wait(hub):
    """Of ten launches at once, one needs the step that fetches a token."""
    tokens = hub.tokens(WIDE)
    launches = [
        asyncio.create_task(tokens.at_hand(REPO, f"penstock-{n}-1", ["linux"])) for n in range(10)
    ]
    assert await launches[0] is None
    assert await tokens.at_hand("acme/web", "penstock-11-1", ["linux"]) is None, "another's first"
    token = await tokens.ready(REPO)
    assert [await launch for launch in launches[1:]] == [token] * 9
    assert await mints(hub) == 1


async def test_a_token_fetched_in_vain_makes_nobody_wait(hub):
    """GitHub is down: those who waited go the long way as well."""
    tokens = hub.tokens(WIDE)
    await hub.break_("status", status=502, times=0)
    assert await tokens.at_hand(REPO, "penstock-1-1", ["linux"]) is None
    waits = asyncio.create_task(tokens.at_hand(REPO, "penstock-2-1", ["linux"]))
    with pytest.raises(GitHubUnavailable):
        await tokens.ready(REPO)
    assert await waits is None
    assert await tokens.at_hand(REPO, "penstock-3-1", ["linux"]) is None, "the first again"


async def test_a_token_that_nobody_fetches_is_not_waited_for_long(hub, monkeypatch):
    """The job that was sent for it may be gone; a token of later is found all the same."""
    monkeypatch.setattr(module, "SOUGHT_SECONDS", 0.1)
    tokens = hub.tokens(WIDE)
    assert await tokens.at_hand(REPO, "penstock-1-1", ["linux"]) is None
    assert await tokens.at_hand(REPO, "penstock-2-1", ["linux"]) is None
    token = await tokens.ready(REPO)
    assert await tokens.at_hand(REPO, "penstock-2-1", ["linux"]) == token


async def test_jit_is_at_hand_while_there_is_room(hub):
    """Minted at once within the budget; beyond it the caller hears so, and nothing is spent."""
    tokens = hub.tokens(Budget(Rate(4, 60), Rate(100, 60)), jit=True)
    for number in (1, 2):
        made = await tokens.at_hand(REPO, f"penstock-{number}-1", ["linux"])
        assert made is not None
        assert made.jit
    for _ in range(5):
        assert await tokens.at_hand(REPO, "penstock-3-1", ["linux"]) is None
    assert len(await hub.calls()) == 4
    await hub.pass_(15)
    assert await tokens.at_hand(REPO, "penstock-3-1", ["linux"])
