"""Webhooks of repositories and organizations: who hears of what, and each one's own log."""

from typing import Any

import pytest

from tests.simulator.helpers import SECRET, Event, Receiver, Sim
from tests.simulator.test_deliveries import signed

SITE, ACME = "/repos/acme/site/hooks", "/orgs/acme/hooks"


@pytest.fixture
async def alone(sim: Sim) -> Sim:
    """A GitHub whose App has no webhook."""
    await sim.control("webhook", url="")
    return sim


async def add(sim: Sim, receiver: Receiver, **where: Any) -> int:
    """A webhook to the receiver."""
    wanted = {"url": receiver.url, "secret": SECRET, "owner": "acme"} | where
    return (await sim.control("hooks", **wanted))["id"]


async def happened(sim: Sim, **where: Any) -> None:
    """A job's queued event has come wherever it goes."""
    await sim.job(**where)
    await sim.until("deliveries_idle")


def kind_of(event: Event) -> str:
    return event.headers["x-github-hook-installation-target-type"]


async def test_a_repositorys_hook_hears_of_its_repository_alone(
    alone: Sim, receiver: Receiver
) -> None:
    number = await add(alone, receiver, repo="site")
    await happened(alone)
    await happened(alone, repo="shop")
    (event,) = receiver.events
    assert signed(event)
    assert event.body["repository"]["name"] == "site"
    assert "installation" not in event.body
    assert event.headers["x-github-hook-id"] == str(number)
    assert kind_of(event) == "repository"
    (listed,) = (await alone.api("GET", SITE)).json()
    assert (listed["id"], listed["config"]["url"]) == (number, receiver.url)
    assert listed["last_response"]["code"] == 202


async def test_an_organizations_hook_hears_of_all_its_repositories(
    alone: Sim, receiver: Receiver
) -> None:
    await add(alone, receiver)
    for where in ({}, {"repo": "shop"}, {"owner": "other"}):
        await happened(alone, **where)
    assert [event.body["repository"]["name"] for event in receiver.events] == ["site", "shop"]
    assert {kind_of(event) for event in receiver.events} == {"organization"}


async def test_one_event_has_one_guid_at_every_hook(sim: Sim, receiver: Receiver) -> None:
    await add(sim, receiver, repo="site")
    await add(sim, receiver)
    await happened(sim)
    assert sorted(map(kind_of, receiver.events)) == ["integration", "organization", "repository"]
    assert len({event.guid for event in receiver.events}) == 1
    made = (await sim.look("deliveries"))["deliveries"]
    assert len({one["id"] for one in made}) == len({one["hook_id"] for one in made}) == 3


async def test_each_hook_has_a_log_and_redeliveries_of_its_own(
    sim: Sim, receiver: Receiver
) -> None:
    number, broken = await add(sim, receiver, repo="site"), "http://127.0.0.1:9/"
    await sim.control(f"hooks/{number}", url=broken)
    await happened(sim)
    log = f"{SITE}/{number}/deliveries"
    (failed,) = (await sim.api("GET", log)).json()
    assert failed["status_code"] == 502
    (good,) = (await sim.app("GET", "/app/hook/deliveries")).json()
    assert (good["guid"], good["status"]) == (failed["guid"], "OK")
    assert (await sim.api("GET", f"{log}/{good['id']}")).status_code == 404
    await sim.control(f"hooks/{number}", url=receiver.url)
    assert (await sim.api("POST", f"{log}/{failed['id']}/attempts")).status_code == 202
    await sim.until("deliveries_idle")
    assert [one["status"] for one in (await sim.api("GET", log)).json()] == [
        "OK",
        "failed to connect to host",
    ]
    assert len((await sim.app("GET", "/app/hook/deliveries")).json()) == 1
    assert (await sim.control("redeliver"))["redelivered"] == []


async def test_an_answers_retry_after_stands_in_the_log(alone: Sim, receiver: Receiver) -> None:
    number = await add(alone, receiver, repo="site")
    receiver.status, receiver.retry_after = 503, "17"
    await happened(alone)
    log = f"{SITE}/{number}/deliveries"
    (entry,) = (await alone.api("GET", log)).json()
    response = (await alone.api("GET", f"{log}/{entry['id']}")).json()["response"]
    assert response["headers"]["retry-after"] == "17"


async def test_a_hook_hears_what_it_is_set_to(alone: Sim, receiver: Receiver) -> None:
    number = await add(alone, receiver, repo="site", events=["push"])
    await happened(alone)
    await alone.control(f"hooks/{number}", events=["*"], active=False)
    await happened(alone)
    assert receiver.events == []
    await alone.control(f"hooks/{number}", active=True)
    await happened(alone)
    assert receiver.actions() == ["queued"]


async def test_who_may_not_see_a_hook_finds_none(sim: Sim, receiver: Receiver) -> None:
    number = await add(sim, receiver, repo="site")
    await add(sim, receiver)
    await sim.job(repo="shop")
    await sim.install("other")
    for path in (f"/repos/acme/shop/hooks/{number}", f"{ACME}/{number}", f"{SITE}/x"):
        assert (await sim.api("GET", path)).status_code == 404
    assert (await sim.api("GET", ACME, "other")).status_code == 404
    narrow = await sim.token(permissions={"actions": "read"})
    assert (await sim.bearer(narrow, "GET", SITE)).status_code == 403
    assert (await sim.app("GET", SITE)).status_code == 401
    pat = (await sim.control("pats"))["token"]
    assert len((await sim.bearer(pat, "GET", ACME)).json()) == 1


async def test_control_wants_sense(sim: Sim) -> None:
    assert (await sim.http.post("/_control/hooks", json={"owner": "acme"})).status_code == 400
    assert (await sim.http.post("/_control/hooks/7", json={})).status_code == 404
