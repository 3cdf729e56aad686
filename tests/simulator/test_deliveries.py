"""Webhook deliveries: signature, one attempt, the log, redelivery, and faults on the way."""

import hashlib
import hmac
import uuid
from typing import Any

import pytest

from tests.simulator.helpers import SECRET, Event, Receiver, Sim

LOG = "/app/hook/deliveries"


def signed(event: Event) -> bool:
    digest = hmac.new(SECRET.encode(), event.raw, hashlib.sha256).hexdigest()
    return event.headers["x-hub-signature-256"] == f"sha256={digest}"


async def listed(sim: Sim, **query: Any) -> list[dict[str, Any]]:
    answer = await sim.app("GET", LOG, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_delivery_is_signed_and_has_githubs_headers(sim: Sim, receiver: Receiver) -> None:
    await sim.job()
    await sim.until("deliveries_idle")
    event = receiver.events[0]
    assert signed(event)
    assert event.headers["x-github-event"] == "workflow_job"
    assert str(uuid.UUID(event.guid)) == event.guid
    assert event.headers["user-agent"].startswith("GitHub-Hookshot/")
    assert event.headers["x-github-hook-id"].isdecimal()
    assert event.headers["x-github-hook-installation-target-id"] == "4242"
    assert event.headers["x-github-hook-installation-target-type"] == "integration"
    assert event.headers["content-type"] == "application/json"
    assert event.headers["x-hub-signature"].startswith("sha1=")


async def test_without_a_secret_nothing_is_signed(sim: Sim, receiver: Receiver) -> None:
    await sim.control("webhook", secret="")
    await sim.job()
    await sim.until("deliveries_idle")
    assert "x-hub-signature-256" not in receiver.events[0].headers


async def test_a_ping_is_sent_on_request(sim: Sim, receiver: Receiver) -> None:
    await sim.control("webhook", ping=True)
    await sim.until("deliveries_idle")
    assert receiver.events[0].headers["x-github-event"] == "ping"
    assert set(receiver.events[0].body) == {"zen", "hook_id", "hook"}


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_a_failed_delivery_is_logged_and_never_retried(
    sim: Sim, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    await sim.job()
    await sim.until("deliveries_idle")
    (entry,) = await listed(sim)
    assert (entry["status_code"], entry["action"]) == (status, "queued")
    assert entry["status"] != "OK"
    await sim.control("clock", advance_seconds=3600)
    assert len(receiver.events) == 1


async def test_a_receiver_that_takes_too_long_timed_out(sim: Sim, receiver: Receiver) -> None:
    await sim.control("limits", delivery_timeout=0.1)
    receiver.gate.clear()
    await sim.job()
    await sim.until("deliveries_idle")
    (entry,) = await listed(sim)
    assert (entry["status"], entry["status_code"]) == ("timed out", 0)
    assert 0.1 <= entry["duration"] < 5
    assert await listed(sim, status="failure") == await listed(sim, status="success") == []


async def test_a_receiver_that_is_down_is_logged(sim: Sim) -> None:
    await sim.control("webhook", url="http://127.0.0.1:9/")
    await sim.job()
    await sim.until("deliveries_idle")
    (entry,) = await listed(sim, status="failure")
    assert entry["status"] == "failed to connect to host"


async def test_the_log_tells_request_and_response(sim: Sim, receiver: Receiver) -> None:
    await sim.job()
    await sim.until("deliveries_idle")
    (entry,) = await listed(sim)
    detail = (await sim.app("GET", f"{LOG}/{entry['id']}")).json()
    assert detail["request"]["payload"] == receiver.events[0].body
    assert detail["request"]["headers"]["X-GitHub-Delivery"] == entry["guid"]
    assert detail["response"]["payload"] == "noted"


async def test_the_log_is_paged_by_cursor_newest_first(sim: Sim) -> None:
    await sim.jobs(count=7)
    await sim.until("deliveries_idle")
    path, found = f"{LOG}?per_page=3", []
    while path:
        page = await sim.app("GET", path)
        found.append([one["id"] for one in page.json()])
        path = page.links.get("next", {}).get("url", "")
    assert [len(page) for page in found] == [3, 3, 1]
    flat = [one for page in found for one in page]
    assert len(set(flat)) == 7
    own = (await sim.look("deliveries"))["deliveries"]
    assert flat == [one["id"] for one in own][::-1]


async def test_the_log_is_filtered_by_status(sim: Sim, receiver: Receiver) -> None:
    await sim.job()
    await sim.until("deliveries_idle")
    receiver.status = 500
    await sim.job()
    await sim.until("deliveries_idle")
    assert [one["status_code"] for one in await listed(sim, status="failure")] == [500]
    assert [one["status"] for one in await listed(sim, status="success")] == ["OK"]


async def test_redelivery_keeps_the_guid_and_takes_a_new_id(sim: Sim, receiver: Receiver) -> None:
    receiver.status = 503
    await sim.job()
    await sim.until("deliveries_idle")
    (first,) = await listed(sim)
    receiver.status = 202
    assert (await sim.app("POST", f"{LOG}/{first['id']}/attempts")).status_code == 202
    await sim.until("deliveries_idle")
    second, _ = await listed(sim)
    assert (second["guid"], second["redelivery"]) == (first["guid"], True)
    assert second["id"] != first["id"]
    assert receiver.events[0].raw == receiver.events[1].raw
    assert signed(receiver.events[1])


async def test_after_three_days_a_delivery_is_gone(sim: Sim) -> None:
    await sim.job()
    await sim.until("deliveries_idle")
    (entry,) = await listed(sim)
    await sim.control("clock", advance_seconds=3 * 86400 + 1)
    assert await listed(sim) == []
    assert (await sim.app("POST", f"{LOG}/{entry['id']}/attempts")).status_code == 404


async def test_everything_unpaid_can_be_sent_again_at_once(sim: Sim, receiver: Receiver) -> None:
    receiver.status = 500
    jobs = await sim.jobs(count=3)
    await sim.until("deliveries_idle")
    receiver.status = 202
    sent = (await sim.control("redeliver"))["redelivered"]
    assert sorted(one["job_id"] for one in sent) == jobs
    await sim.until("deliveries_idle")
    assert (await sim.control("redeliver", dry_run=True))["redelivered"] == []


async def test_an_event_not_asked_to_be_delivered_is_not_listed(sim: Sim) -> None:
    await sim.job(deliver=False)
    assert await listed(sim) == []


async def test_lost_is_listed_and_can_be_mended(sim: Sim, receiver: Receiver) -> None:
    await sim.control("faults", kind="lose", match={"action": "queued"})
    await sim.job()
    await sim.until("deliveries_idle")
    assert receiver.events == []
    assert [one["status_code"] for one in await listed(sim)] == [502]
    await sim.control("redeliver")
    await sim.until("deliveries_idle")
    assert receiver.actions() == ["queued"]


async def test_vanished_is_not_even_listed(sim: Sim, receiver: Receiver) -> None:
    await sim.control("faults", kind="vanish")
    await sim.job()
    await sim.until("deliveries_idle")
    assert receiver.events == await listed(sim) == []


async def test_late_reached_the_receiver_though_the_log_says_no(
    sim: Sim, receiver: Receiver
) -> None:
    await sim.control("faults", kind="late")
    await sim.job()
    await sim.until("deliveries_idle")
    assert receiver.actions() == ["queued"]
    assert [one["status"] for one in await listed(sim)] == ["timed out"]


@pytest.mark.parametrize("new_guid", [False, True])
async def test_duplicates_share_a_guid_or_not(
    sim: Sim, receiver: Receiver, new_guid: bool
) -> None:
    await sim.control("faults", kind="duplicate", new_guid=new_guid)
    await sim.job()
    await sim.until("deliveries_idle")
    assert len({event.guid for event in receiver.events}) == 1 + new_guid
    assert len({event.raw for event in receiver.events}) == 1
    assert len(receiver.events) == 2


async def test_delayed_comes_after_the_others(sim: Sim, receiver: Receiver) -> None:
    await sim.control("faults", kind="delay", seconds=0.1)
    first, second = await sim.job(), await sim.job()
    await sim.until("deliveries_idle")
    assert [event.job["id"] for event in receiver.events] == [second, first]


async def test_reordered_comes_after_the_next_of_its_job(sim: Sim, receiver: Receiver) -> None:
    await sim.control("faults", kind="reorder", match={"action": "queued"})
    job = await sim.job()
    await sim.control(f"jobs/{job}/cancel")
    await sim.until("all_completed")
    assert receiver.actions() == ["completed", "queued"]


async def test_a_bad_signature_is_one(sim: Sim, receiver: Receiver) -> None:
    await sim.control("faults", kind="bad_signature")
    await sim.job()
    await sim.until("deliveries_idle")
    assert not signed(receiver.events[0])


async def test_rules_strike_the_nth_match_of_their_repository(
    sim: Sim, receiver: Receiver
) -> None:
    await sim.control("faults", kind="lose", match={"repo": "shop", "nth": 2}, times=0)
    await sim.job(repo="site")
    shops = [await sim.job(repo="shop") for _ in range(3)]
    await sim.until("deliveries_idle")
    came = {event.job["id"] for event in receiver.events}
    assert shops[1] not in came
    assert len(came) == 3
    rules = (await sim.look("faults"))["rules"]
    assert [rule["used"] for rule in rules] == [1]
    assert (await sim.http.delete("/_control/faults")).json() == {"deleted": 1}


async def test_many_are_sent_at_once_but_bounded(sim: Sim, receiver: Receiver) -> None:
    await sim.control("limits", delivery_concurrency=3)
    receiver.gate.clear()
    await sim.jobs(count=10)
    await sim.control("wait", condition="deliveries_idle", timeout=0.3)
    assert len(receiver.events) == 3
    receiver.gate.set()
    await sim.until("deliveries_idle")
    assert len(receiver.events) == 10
