"""Failed deliveries on a real GitHub's paths: found, sent again, paid; in time and not before."""

from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities import redelivery
from activities.clients.github import GitHubClient
from activities.clients.github.deliveries import GitHubDeliveries
from activities.deliveries import HookFinder, Where
from activities.redelivery import Redelivered, RedeliveryActivities, RedeliveryOrder
from policy import names
from tests.activities.hub import PAT, Hub
from tests.simulator.conftest import receiver, receiver_server

__all__ = ["receiver", "receiver_server"]

REPO, OTHER = "acme/api", "acme/web"
NOWHERE = "http://127.0.0.1:9/webhooks/github"
ATTEMPTS = "POST /app/hook/deliveries/{id}/attempts 202"
LOG = "GET /app/hook/deliveries 200"


class Payer:
    """The activity, run by run: each gets what the last one left."""

    def __init__(self, hub: Hub, client: GitHubClient, temporal: Client | None, **where: Any):
        deliveries = GitHubDeliveries(client)
        finder = HookFinder(temporal, deliveries, Where(**where))  # pyright: ignore
        self._activity = RedeliveryActivities(deliveries, finder).redeliver
        self._hub = hub
        self.last = Redelivered()
        self.open_since = 0.0

    async def __call__(self, room: int = 100, points: int = 20) -> Redelivered:
        """One run; what it had sent again has come when this returns."""
        last = self.last
        self._hub.clock.catch_up()
        order = RedeliveryOrder(room, points, last.logs, last.after, self.open_since)
        self.last = await ActivityEnvironment().run(self._activity, order)
        await self._hub.site.wait("deliveries_idle")
        return self.last


@pytest.fixture
def pay(hub):
    """As the App."""
    return Payer(hub, hub.client(), None)


@pytest.fixture
async def down(hub):
    """Nobody answers the App's webhook."""
    await hub.call("POST", "webhook", url=NOWHERE)


@pytest.fixture(autouse=True)
async def silent(hub):
    """The next test's GitHub begins without a webhook: what it makes is told to nobody."""
    yield
    await hub.call("POST", "webhook", url="")


async def up(hub, receiver) -> None:
    """The receiver answers again."""
    await hub.call("POST", "webhook", url=receiver.url)


async def failed(hub, count: int = 1, repo: str = REPO, **how: Any) -> list[int]:
    """Jobs whose queued events came to nothing."""
    made = []
    for _ in range(count):
        made += await hub.site.jobs(repo, **how)
        await hub.site.wait("deliveries_idle")
    return made


def came(receiver) -> list[int]:
    """The jobs whose events have come, in order."""
    return [event.job["id"] for event in receiver.events]


async def test_what_failed_is_sent_again_once_oldest_first(pay, hub, down, receiver):
    """One id of each guid; paid when an attempt went well, whoever asked for it."""
    jobs = await failed(hub, 3)
    await up(hub, receiver)
    good = await failed(hub)
    await hub.calls()
    first = await pay(room=2)
    assert (first.sent, first.admitted, first.owed) == (2, 2, 3)
    assert await hub.calls() == [LOG, ATTEMPTS, ATTEMPTS]
    assert sorted(came(receiver)[1:]) == jobs[:2]
    second = await pay(room=2)
    assert (second.sent, second.owed) == (1, 1)
    third = await pay()
    assert (third.sent, third.owed, third.failures) == (0, 0, [])
    assert sorted(came(receiver)) == sorted(jobs + good)
    guids = {event.guid for event in receiver.events}
    assert len(guids) == 4


async def test_without_room_what_frees_capacity_is_sent_all_the_same(pay, hub, down, receiver):
    """In every mode: a job's beginning and end."""
    runner = await hub.client().registration_token(REPO)
    (job,) = await failed(hub, labels=["linux"], seconds=0.0)
    await hub.runner("penstock-1-1", runner.value)
    assert await hub.site.wait("job_completed", job_id=job)
    await hub.site.wait("deliveries_idle")
    await up(hub, receiver)
    done = await pay(room=0)
    assert (done.sent, done.admitted, done.owed) == (2, 0, 3)
    assert sorted(receiver.actions()) == ["completed", "in_progress"]
    done = await pay(room=0)
    assert (done.sent, done.owed) == (0, 1)
    done = await pay(room=1)
    assert (done.sent, done.admitted) == (1, 1)


async def test_a_timed_out_delivery_is_a_failed_one(pay, hub, receiver):
    """GitHub lists it with code 0, which no filter of its own finds; here it had even come."""
    await up(hub, receiver)
    await hub.break_("late")
    await failed(hub)
    assert (await pay()).sent == 1
    assert (await pay()).owed == 0
    assert len({event.guid for event in receiver.events}) == 1
    assert len(receiver.events) == 2


async def test_not_again_before_the_last_attempts_answer(pay, hub, down, receiver):
    """The receiver takes its time: asked once, however many runs there are."""
    await failed(hub)
    await up(hub, receiver)
    receiver.gate.clear()
    hub.clock.catch_up()
    order = RedeliveryOrder(100, 20)
    first = await ActivityEnvironment().run(pay._activity, order)
    assert first.sent == 1
    pay.last = await ActivityEnvironment().run(
        pay._activity, RedeliveryOrder(100, 20, first.logs, first.after)
    )
    assert (pay.last.sent, pay.last.owed) == (0, 1)
    receiver.gate.set()
    await hub.site.wait("deliveries_idle")
    assert (await pay()).owed == 0
    assert len(receiver.events) == 1


async def test_what_fails_again_waits_longer_each_time(pay, hub, down):
    """Two minutes after its answer, then four."""
    await failed(hub)
    assert (await pay()).sent == 1
    assert (await pay()).sent == 0
    await hub.pass_(110)
    assert (await pay()).sent == 0
    await hub.pass_(11)
    assert (await pay()).sent == 1
    await hub.pass_(121)
    assert (await pay()).sent == 0
    await hub.pass_(121)
    assert (await pay()).sent == 1
    (log,) = pay.last.logs
    assert [debt.tries for debt in log.debts] == [2]


async def test_not_before_the_time_that_the_receiver_named(pay, hub, receiver):
    """It stands in the log, and is looked up once; an old refusal's can matter no more."""
    await up(hub, receiver)
    receiver.status, receiver.retry_after = 429, "400"
    await failed(hub)
    receiver.status = 202
    await hub.calls()
    assert (await pay()).sent == 0
    assert await hub.calls() == [LOG, "GET /app/hook/deliveries/{id} 200"]
    assert (await pay()).sent == 0
    assert await hub.calls() == ["GET /app/hook/deliveries 304"]
    await hub.pass_(402)
    assert (await pay()).sent == 1
    receiver.status, receiver.retry_after = 503, "9999"
    await failed(hub)
    receiver.status = 202
    await hub.pass_(601)
    assert (await pay()).sent == 1
    assert len([c for c in await hub.calls() if "{id} 200" in c]) == 0


async def test_a_closed_gateways_time_is_void_once_it_is_open_again(pay, hub, receiver):
    """It said when to come while it drained; it has resumed since, and is not looked up."""
    await up(hub, receiver)
    receiver.status, receiver.retry_after = 503, "300"
    await failed(hub, 2)
    receiver.status = 202
    assert (await pay()).sent == 0
    hub.clock.catch_up()
    pay.open_since = hub.clock()
    await hub.calls()
    assert (await pay()).sent == 2
    assert not [call for call in await hub.calls() if "{id} 200" in call]


async def test_without_points_for_a_look_a_young_refusal_waits(pay, hub, receiver):
    """Nobody knows whether it may be sent yet."""
    await up(hub, receiver)
    receiver.status = 503
    await failed(hub)
    receiver.status = 202
    assert (await pay(points=1)).sent == 0
    done = await pay(points=2)
    assert (done.sent, done.points) == (1, 2)


async def test_other_events_are_not_sent_again(pay, hub, down):
    """A ping that failed is of no use."""
    await hub.call("POST", "webhook", ping=True)
    await hub.site.wait("deliveries_idle")
    done = await pay()
    assert (done.sent, done.owed) == (0, 0)


async def test_what_is_three_days_old_is_written_off(pay, hub, down):
    """GitHub does not know it any more: it is told, not tried."""
    await failed(hub, 2)
    assert (await pay(room=0)).owed == 2
    await hub.pass_(3 * 86400 + 1)
    done = await pay()
    assert (done.owed, done.written_off, done.failures) == (0, 2, [])


async def test_what_github_has_forgotten_before_us_is_written_off(pay, hub, down):
    """Its window is shorter than documented: a 404 is an answer, no failure."""
    await failed(hub, 2)
    assert (await pay(room=0)).owed == 2
    await hub.call("POST", "limits", delivery_window_seconds=5)
    await hub.pass_(6)
    done = await pay()
    assert (done.sent, done.owed, done.written_off, done.failures) == (0, 0, 2, [])


async def test_a_long_log_is_read_over_several_runs(pay, hub, down):
    """A point each page; nothing is forgotten."""
    jobs = await hub.site.jobs(REPO, count=250)
    await hub.site.wait("deliveries_idle")
    owed = []
    for _ in range(3):
        done = await pay(room=0, points=1)
        assert done.points == 1
        owed.append(done.owed)
    assert owed[0] == 100
    for _ in range(4):
        done = await pay(room=0, points=2)
    assert done.owed == len(jobs)


async def test_a_cursor_that_github_refuses_is_begun_anew(pay, hub, down):
    """The gap is read from the top again."""
    await hub.site.jobs(REPO, count=150)
    await hub.site.wait("deliveries_idle")
    assert (await pay(room=0, points=1)).owed == 100
    await hub.break_("status", status=422, route="/app/hook/deliveries", nth=2)
    await failed(hub)
    done = await pay(room=0, points=3)
    assert done.failures == []
    assert (await pay(room=0, points=5)).owed == 151


async def test_at_most_thirty_in_a_run(pay, hub, down):
    """As much as GitHub likes to have at once."""
    await hub.site.jobs(REPO, count=redelivery.MOST_AT_ONCE + 2)
    await hub.site.wait("deliveries_idle")
    assert (await pay()).sent == redelivery.MOST_AT_ONCE
    assert (await pay()).sent == 2


async def test_no_more_is_read_while_enough_is_owed(pay, hub, down, monkeypatch):
    """What a checkpoint carries is bounded."""
    monkeypatch.setattr(redelivery, "MOST_DEBTS", 100)
    await hub.site.jobs(REPO, count=150)
    await hub.site.wait("deliveries_idle")
    for _ in range(2):
        done = await pay(room=0)
        assert done.owed == 100
    assert done.points == 0


@pytest.mark.parametrize("kind", ["secondary_limit", "primary_limit"])
async def test_githubs_refusal_ends_the_part_and_keeps_what_was_done(
    pay, hub, down, receiver, kind
):
    """No call before its time; the next run goes on."""
    await failed(hub, 3)
    await up(hub, receiver)
    await hub.calls()
    await hub.break_(kind, route="/app/hook/deliveries/{id}/attempts", nth=2)
    done = await pay()
    assert (done.sent, done.owed) == (1, 3)
    (line,) = done.failures
    assert line.startswith("stopped: GitHub's ")
    assert (await pay()).sent == 0
    for _ in range(10):  # calls start again one by one
        await hub.pass_(120)
        done = await pay()
        if not done.owed:
            break
    summary = await hub.call("GET", "summary")
    assert summary["calls"]["too_early"] == 0
    assert len(receiver.events) == 3


async def test_an_outage_ends_the_part_too(pay, hub, down, receiver):
    """A 5xx: told, and nothing of what was read is lost."""
    await failed(hub, 2)
    await up(hub, receiver)
    await hub.break_("status", status=502, route="/app/hook/deliveries/{id}/attempts")
    done = await pay()
    assert (done.sent, done.owed) == (0, 2)
    assert "502" in done.failures[0]
    assert (await pay()).sent == 2


async def test_looking_leaves_the_last_of_githubs_budget_to_others(pay, hub, down):
    """Each of these calls is spare: it stops before the limit, and none is refused."""
    await hub.call("POST", "limits", core_per_hour=30)
    await hub.site.jobs(REPO, count=40)
    await hub.site.wait("deliveries_idle")
    done = await pay()
    assert 0 < done.sent < 16
    assert "nearly used up" in done.failures[0]
    assert not [call for call in await hub.calls() if call.endswith(("403", "429"))]


# Webhooks of repositories and organizations: for a personal token, or as configured.


async def hook(hub, url: str, **where: Any) -> int:
    """A webhook."""
    return (await hub.call("POST", "hooks", owner="acme", url=url, **where))["id"]


@pytest.fixture
async def no_app(hub):
    """The App has no webhook."""
    await hub.call("POST", "webhook", url="")


async def test_configured_webhooks_are_found_and_paid_with_a_personal_token(hub, no_app, receiver):
    """A repository's and an organization's; looked for once an hour."""
    numbers = [await hook(hub, NOWHERE, repo="api"), await hook(hub, NOWHERE)]
    await failed(hub, 1, REPO)
    await failed(hub, 1, OTHER)
    pay = Payer(hub, await hub.person(), None, hooks=("Acme/API", "acme"))
    for number in numbers:
        await hub.call("POST", f"hooks/{number}", url=receiver.url)
    await hub.calls()
    done = await pay()
    assert (done.sent, done.failures) == (3, [])
    assert sorted(await hub.calls())[:4] == [
        "GET /orgs/{org}/hooks 200",
        "GET /orgs/{org}/hooks/{hook}/deliveries 200",
        "GET /repos/{owner}/{repo}/hooks 200",
        "GET /repos/{owner}/{repo}/hooks/{hook}/deliveries 200",
    ]
    done = await pay()
    assert (done.sent, done.owed) == (0, 0)
    assert not [call for call in await hub.calls() if call.endswith("hooks 200")]
    assert len(receiver.events) == 3


async def test_webhooks_that_might_be_anothers_are_not_guessed_at(hub, no_app, receiver):
    """Two addresses that end alike: `webhook_url` must say which."""
    ours = await hook(hub, NOWHERE, repo="api")
    await hook(hub, "http://127.0.0.1:8/webhooks/github", repo="api")
    await hook(hub, "http://127.0.0.1:9/something/else", repo="api")
    await hook(hub, NOWHERE, repo="api", active=False)
    await hook(hub, NOWHERE, repo="api", events=["push"])
    await failed(hub)
    done = await Payer(hub, await hub.person(), None, hooks=(REPO,), url="http://else.test")()
    assert done.failures == [
        "acme/api: no active webhook for workflow jobs leads to http://else.test"
    ]
    done = await Payer(hub, await hub.person(), None, hooks=(REPO,))()
    assert "set recovery.webhook_url" in done.failures[0]
    pay = Payer(hub, await hub.person(), None, hooks=(REPO,), url=f"{NOWHERE}/")
    done = await pay()
    assert (done.sent, [log.hook for log in done.logs]) == (1, [f"repos/acme/api/hooks/{ours}"])


async def test_an_app_with_configured_webhooks_needs_none_of_its_own(hub, receiver):
    """Both logs are read, as the App and as its installation; a missing one is no failure."""
    number = await hook(hub, NOWHERE, repo="api")
    await failed(hub)
    await hub.call("POST", f"hooks/{number}", url=f"{receiver.url}")
    await hub.break_("status", status=404, route="/app/hook/deliveries", times=0)
    pay = Payer(hub, hub.client(), None, hooks=(REPO,), url=receiver.url)
    done = await pay()
    assert (done.sent, done.failures) == (1, [])
    done = await Payer(hub, hub.client(), None)()
    assert (done.sent, len(done.failures)) == (0, 1)


async def test_an_organizations_webhook_as_an_app(hub, no_app, receiver):
    """Its installation signs in by the organization."""
    await hook(hub, NOWHERE)
    await failed(hub)
    pay = Payer(hub, hub.client(), None, hooks=("acme",))
    assert (await pay()).sent == 1
    calls = await hub.calls()
    assert "GET /orgs/{org}/installation 200" in calls


async def test_what_we_may_not_see_is_told_and_the_others_are_paid(hub, no_app, receiver):
    """A refusal of one place ends nothing."""
    await hook(hub, NOWHERE, repo="web")
    await failed(hub, repo=OTHER)
    path = "/repos/acme/api/hooks"
    await hub.break_("status", status=403, path_prefix=path, message="Forbidden", times=0)
    pay = Payer(hub, await hub.person(), None, hooks=(REPO, OTHER))
    done = await pay()
    assert done.sent == 1
    (line,) = done.failures
    assert line.startswith("acme/api: GET /repos/acme/api/hooks: 403")


@pytest.mark.parametrize(("status", "calls"), [(403, 1), (422, 2)])
async def test_a_redelivery_that_github_refuses_is_not_asked_for_again_at_once(
    hub, pay, down, status, calls
):
    """403: no other one of that webhook either; 422: this one rests for an hour."""
    await failed(hub, 2)
    route = "/app/hook/deliveries/{id}/attempts"
    await hub.break_("status", status=status, route=route, times=0, message="no")
    await hub.calls()
    done = await pay()
    assert (done.sent, done.owed, len(done.failures)) == (0, 2, calls)
    assert len([call for call in await hub.calls() if call.startswith("POST")]) == calls


async def test_a_webhook_that_is_gone_is_looked_for_anew(hub, no_app, receiver):
    """Somebody made it again; what is owed for the old one is written off in time."""
    await hook(hub, NOWHERE, repo="api")
    await failed(hub)
    pay = Payer(hub, await hub.person(), None, hooks=(REPO,))
    await pay(room=0)
    await hub.call("POST", "reset")
    await hub.site.jobs(REPO, conclusion="skipped", deliver=False)
    await hub.call("POST", "pats", token=PAT)
    await hub.call("POST", "webhook", url="")
    for repo in ("web", "api"):
        await hook(hub, NOWHERE, repo=repo)  # another number than before
    await failed(hub)
    done = await pay(room=0)
    assert "404" in done.failures[0]
    done = await pay()
    assert (done.sent, done.written_off, done.owed, done.failures) == (1, 1, 1, [])


async def test_a_personal_token_tries_all_that_is_known(hub, no_app, receiver, client):
    """Without configuration: repositories with workflows, and their owners, in turns."""
    await hook(hub, NOWHERE, repo="api")
    await hook(hub, NOWHERE)
    await failed(hub, 1, REPO)
    await failed(hub, 1, OTHER)
    for repo in (REPO, OTHER, "gone/gone"):
        await client.start_workflow(
            names.REPO_SEMAPHORE, id=names.semaphore_id(repo), task_queue="nobody"
        )

    pay = Payer(hub, await hub.person(), client)
    sent = 0
    for _ in range(30):
        done = await pay(points=2)
        assert done.failures == []
        assert done.points <= 2
        sent += done.sent
        if sent == 3 and not done.owed:
            break
    assert (sent, done.owed) == (3, 3)


async def test_a_personal_token_that_finds_nothing_says_so(hub, no_app, client):
    """Its scope may be too narrow: silence would look like peace."""
    pay = Payer(hub, await hub.person(), client, repositories=(REPO,))
    (line,) = (await pay()).failures
    assert line.startswith("webhooks: none of ours is to be seen: name them by recovery.hooks")
    assert len((await pay()).failures) == 1
    await hook(hub, NOWHERE, repo="api")
    await hook(hub, "http://127.0.0.1:8/webhooks/github", repo="api")
    await hub.pass_(3601)
    assert "set recovery.webhook_url" in (await pay()).failures[0]


async def test_a_temporal_that_refuses_ends_the_part(hub, no_app, server):
    """Nobody knows what is known then."""
    nobody = await Client.connect(server.running.address, namespace="nowhere")
    done = await Payer(hub, await hub.person(), nobody)()
    assert done.failures[0].startswith("stopped: ")
