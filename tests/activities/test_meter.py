"""The meter when its store fails, and what it tells the Fleet."""

import asyncio
import logging

import pytest
from prometheus_client import generate_latest

from activities.clients.github import Credentials
from activities.errors import Deferred, GitHubUnavailable, RateLimited
from activities.launches import LaunchLog
from activities.meter import Budget, Call
from activities.metrics import WorkerMetrics
from activities.token_store import Change, MemoryStore, StoreUnavailable
from policy import figures
from policy.throttle import Refusal
from policy.token_bucket import Rate
from tests.activities.hub import PAT, WIDE
from tests.activities.scripted import scripted
from wiring_metrics import own_of

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
    """GitHub's time is kept by this worker, and by all as soon as the store is back."""
    store = Failing(hub.clock)
    other = hub.side(WIDE, store=store)
    await other.client.registration_token(REPO)  # signed in, in the store
    side = losing(hub, store)
    await hub.calls()
    await hub.break_("secondary_limit", retry_after=50)
    with pytest.raises(RateLimited), caplog.at_level(logging.WARNING):
        await side.client.job(REPO, "1")
    assert "is known here only" in caplog.text
    store.down = False
    for one in (side, other):
        with pytest.raises(RateLimited):
            await one.client.job(REPO, "1")
    assert len(await hub.calls()) == 1
    await hub.pass_(51)
    assert (await side.client.job(REPO, "1")).status == "missing"
    store.down = False
    with pytest.raises(Deferred, match="slowly"):
        await other.client.job(REPO, "2")
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0


class Slow(MemoryStore):
    """A store whose writes of a key wait for a word."""

    def __init__(self, clock, key) -> None:
        super().__init__(clock)
        self.key, self.begun, self.go_on = key, asyncio.Event(), asyncio.Event()
        self.slow = False

    async def write(self, changes):
        """As the store does, after the word."""
        if self.slow and self.key in {change.key for change in changes}:
            self.begun.set()
            await self.go_on.wait()
        return await super().write(changes)


async def test_a_refusal_is_written_though_whoever_called_is_cancelled(hub):
    """Its activity timed out while the store was slow: nobody else calls before GitHub's time."""
    store = Slow(hub.clock, "gate:installation:acme")
    side, other = hub.side(WIDE, store=store), hub.side(WIDE, store=store)
    await side.client.registration_token(REPO)
    await hub.break_("secondary_limit", retry_after=50)

    async def slow_from_now(_response):
        store.slow = True

    side.client.http._client.event_hooks["response"].append(slow_from_now)
    calling = asyncio.create_task(side.client.job(REPO, "1"))
    await store.begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    store.slow = False
    store.go_on.set()
    await asyncio.sleep(0)
    await hub.calls()
    with pytest.raises(RateLimited):
        await other.client.job(REPO, "1")
    assert await hub.calls() == []


async def test_two_refusals_at_once_count_both(hub):
    """The longer one is not lost for the shorter one that came while it was being written."""
    store = MemoryStore(hub.clock)
    meter = hub.side(WIDE, store=store).meter
    ticket = await meter.admit(Call("installation:acme", REPO, "GET"))
    await asyncio.gather(
        *(
            meter.refused(ticket, Refusal("secondary", hub.clock() + seconds, said=True))
            for seconds in (90, 20, 30)
        )
    )
    (record,) = (await store.read("gate:installation:acme")).values()
    assert record.value["paused_until"] == hub.clock() + 90


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


class Fleet:
    """Hears which organizations are to cool down, and for how long; it may be away."""

    def __init__(self, hub) -> None:
        self.heard: list[tuple[str, int]] = []
        self.away = False
        self._hub = hub

    async def throttled(self, org: str, until: float) -> bool:
        """Whether it listened."""
        self.heard.append((org, round(until - self._hub.clock())))
        return not self.away


async def test_the_fleet_hears_of_budgets_only_where_each_launch_needs_a_call(hub):
    """Two configurations; then a promise each 15 s, of which those beyond 30 s cool it down."""
    for jit in (False, True):
        fleet = Fleet(hub)
        side = hub.side(Budget(Rate(4, 60), None), throttled=fleet.throttled, jit=jit)
        for number in range(8):
            try:
                await side.client.jit_config(REPO, f"penstock-{int(jit)}{number}-1", ["linux"])
            except Deferred:
                continue
        assert fleet.heard == ([("acme", n) for n in (15, 30, 45, 60)] if jit else [])


async def test_the_fleet_hears_of_githubs_pause_until_it_has_heard(hub):
    """At once and once; again at the next call that must wait, if it was away."""
    fleet = Fleet(hub)
    side = hub.side(WIDE, throttled=fleet.throttled)
    await side.client.registration_token(REPO)
    await hub.break_("secondary_limit", retry_after=90)
    fleet.away = True
    for number in (1, 2, 3, 3, 3):
        with pytest.raises(RateLimited) as caught:
            await side.client.registration_token(REPO)
        assert caught.value.kind == "secondary"
        assert len(fleet.heard) == number
        fleet.away = number < 2
    assert {org for org, _ in fleet.heard} == {"acme"}
    assert all(88 <= seconds <= 91 for _, seconds in fleet.heard)


async def test_looking_that_must_wait_holds_up_no_runner(hub):
    """In the last tenth of the hour's calls look-ups wait; the organization gets its permits."""
    fleet = Fleet(hub)
    reset = str(int(hub.clock() + 1800))
    left = {"X-RateLimit-Limit": "5000", "X-RateLimit-Reset": reset}
    few, none = ({**left, "X-RateLimit-Remaining": n} for n in ("400", "15"))
    job, token = {"status": "queued"}, {"token": "AABBCC"}
    async with scripted((200, few, job), (201, few, token), (201, none, token)) as github:
        side = hub.side(
            credentials=Credentials(token=PAT), url=github.url, throttled=fleet.throttled
        )
        await side.client.job(REPO, "1")
        with pytest.raises(RateLimited, match="nearly used up") as caught:
            await side.client.job(REPO, "1")
        assert caught.value.kind == "primary"
        await side.client.registration_token(REPO)
        assert fleet.heard == []
        await side.client.registration_token(REPO)
        assert [org for org, _ in fleet.heard] == ["acme"], "the next token waits for the reset"
        with pytest.raises(RateLimited, match="nearly used up"):
            await side.client.registration_token(REPO)
        assert len(fleet.heard) == 1


async def test_slow_answers_to_one_organization_are_not_anothers_to_wait_for(hub):
    """Ten reads of each may be under way; the eleventh waits, other identities do not."""
    side = hub.side(WIDE)
    for repo in (REPO, "other/api"):
        await side.client.registration_token(repo)
    await hub.break_("slow", seconds=1.5, path_prefix="/repos/acme", times=0)
    slow = [asyncio.create_task(side.client.job(REPO, str(n))) for n in range(12)]
    assert (await side.client.job("other/api", "1")).status == "missing"
    assert not any(task.done() for task in slow)
    assert {one.status for one in await asyncio.gather(*slow)} == {"missing"}


async def test_writes_wait_for_each_other_so_that_none_comes_after_a_refusal(hub):
    """Ten tokens wanted at once, the first is refused: the other nine are not asked for."""
    side = hub.side(WIDE)
    await side.client.registration_token(REPO)
    await hub.calls()
    await hub.break_("secondary_limit", retry_after=50)
    wanted = (side.client.registration_token(REPO) for _ in range(10))
    ends = await asyncio.gather(*wanted, return_exceptions=True)
    assert {type(end) for end in ends} == {RateLimited}
    assert len(await hub.calls()) == 1
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0


async def test_a_gate_of_another_version_is_read(hub):
    """Fields that this worker does not know, and none of those it has grown since."""
    store = MemoryStore(hub.clock)
    side = hub.side(WIDE, store=store)
    value = {"paused_until": hub.clock() + 60, "of_tomorrow": [1]}
    assert await store.write([Change("gate:installation:acme", 0, value, "", hub.clock() + 99)])
    with pytest.raises(RateLimited) as caught:
        await side.client.job(REPO, "1")
    assert caught.value.until == hub.clock() + 60


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
    log = LaunchLog("one", hub.clock)

    def read():
        return figures.of_worker(own_of(side, log), hub.clock())

    text = generate_latest(WorkerMetrics.registry(read)).decode()
    where = '{identity="installation:acme",resource="actions_runner_registration"}'
    assert f"penstock_github_rate_limit_remaining{where} 9999.0" in text
    assert f"penstock_github_rate_limit{where} 10000.0" in text
    for result, number in (("answered", 3), ("limited", 1), ("unavailable", 1)):
        assert f'penstock_github_calls_total{{result="{result}"}} {number}.0' in text
    assert 'penstock_github_budget_percent{identity="installation:acme"} 9' in text
    assert 'penstock_token_lookups_total{kind="installation",result="miss"} 1.0' in text
    assert "penstock_github_points_total 13.0" in text  # two reads more, two writes, one read
    spent = sum(c["points"] for c in (await hub.call("GET", "calls"))["calls"] if not c["fault"])
    assert spent == 11
