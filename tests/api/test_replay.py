"""Dead letters: kept once, brought back once, settled by a redelivery, forgotten on request."""

import asyncio
import json

import pytest
from temporalio.client import Client

from activities.dead_letters import DeadLetter
from api import events
from api.fleet_client import FleetClient
from api.starter import Starter
from policy.fleet import ModeChange
from tests.api.gate import Gate
from tests.e2e.process import PENSTOCK, run
from tests.support import ADMIN_KEY, job_payload, until
from wiring import letters_of

HEAD = {"Authorization": f"Bearer {ADMIN_KEY}"}
ID = "delivery-acme-api-7001-queued"


@pytest.fixture
async def refusing(penstock):
    """A draining Penstock that has refused job 7001."""
    stack = await penstock(limits={"default": 0})
    await stack.admin("PUT", "draining", mode="draining")
    answer = await stack.deliver(job_payload("queued"))
    assert answer.status_code == 503
    return stack


async def letters(stack) -> list[dict]:
    """Those that there are."""
    answer = (await stack.admin("GET", "dead-letters")).json()
    assert answer["total"] == len(answer["dead_letters"])
    return answer["dead_letters"]


async def none_left(stack) -> bool:
    """Whether no letter is there: those of accepted events go beside the answers."""
    return not await letters(stack)


async def started(client: Client) -> bool:
    """Whether the refused job has a workflow."""
    return (await client.count_workflows("WorkflowId='runner-job/acme/api/7001'")).count == 1


async def test_a_refused_event_is_replayed_once_there_is_room(refusing):
    """By the admin interface; until then it stays, and twice does no harm."""
    stack = refusing
    await stack.deliver(job_payload("queued"))
    (letter,) = await letters(stack)
    assert (letter["id"], letter["kind"]) == (ID, "delivery")
    assert letter["reason"] == "the system is draining"
    assert letter["payload"]["event"]["job_id"] == "7001"
    assert (letter["times"], letter["cause"]) == (2, "draining")
    assert letter["first_at"] < letter["at"] < letter["retry_at"]
    answer = await stack.admin("POST", f"dead-letters/{ID}/replay")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert len(await letters(stack)) == 1
    await stack.admin("PUT", "draining", mode="normal")
    one, other = await asyncio.gather(
        *(stack.admin("POST", f"dead-letters/{ID}/replay") for _ in range(2))
    )
    statuses = {answer.json().get("status") for answer in (one, other)}
    assert "accepted" in statuses
    assert statuses <= {"accepted", "duplicate", 404}
    assert await letters(stack) == []
    assert await started(stack.client)
    assert (await stack.admin("POST", f"dead-letters/{ID}/replay")).status_code == 404


async def test_a_redelivery_settles_the_letter(refusing):
    """GitHub sent it again, and it was taken."""
    stack = refusing
    await stack.admin("PUT", "draining", mode="normal")
    assert (await stack.deliver(job_payload("queued"))).json()["status"] == "accepted"
    await until(lambda: none_left(stack))


async def test_a_replay_beside_githubs_redelivery_starts_one_workflow(refusing):
    """Both at once, several times each: one start, no letter, no failure."""
    stack = refusing
    await stack.admin("PUT", "draining", mode="normal")
    replays = [stack.admin("POST", f"dead-letters/{ID}/replay") for _ in range(3)]
    redeliveries = [stack.deliver(job_payload("queued")) for _ in range(3)]
    answers = await asyncio.gather(*replays, *redeliveries)
    assert [answer.status_code for answer in answers[3:]] == [200] * 3
    assert {answer.status_code for answer in answers[:3]} <= {200, 404}
    said = [answer.json()["status"] for answer in answers if answer.status_code == 200]
    assert sorted(set(said)) == ["accepted", "duplicate"]
    assert said.count("accepted") == 1
    assert await started(stack.client)
    await until(lambda: none_left(stack))


async def test_the_deliverys_number_is_kept_for_people_and_means_nothing(refusing):
    """The last one's, if it looks like one; the letter is known by the signed content alone."""
    stack = refusing
    number = "12345678-90ab-4cde-8f01-234567890abc"
    await stack.deliver(job_payload("queued"), X_GitHub_Delivery=number)
    (letter,) = await letters(stack)
    assert (letter["guid"], letter["times"]) == (number, 2)
    await stack.deliver(job_payload("queued"), X_GitHub_Delivery="[/red]../../etc")
    (letter,) = await letters(stack)
    assert (letter["guid"], letter["times"]) == ("", 3)


async def test_a_fault_of_our_own_is_a_letter_too(penstock, monkeypatch, caplog):
    """503 and a trace, never a loss: the event can be replayed once it is mended."""
    stack = await penstock(limits={"default": 0})
    with monkeypatch.context() as broken:
        broken.setattr(Starter, "classify", lambda *_: 1 / 0)
        answer = await stack.deliver(job_payload("queued"))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "fault"
        assert "ZeroDivisionError" in caplog.text
        (letter,) = await letters(stack)
        assert (letter["id"], letter["kind"], letter["cause"]) == (ID, "delivery", "fault")
        assert "ZeroDivisionError; the gateway's log has it" in letter["reason"]
        assert letter["payload"]["event"]["job_id"] == "7001"
        broken.setattr(events, "parse", lambda _: {}["the parser too"])
        assert (await stack.deliver(job_payload("completed"))).status_code == 503
    (whole,) = (letter for letter in await letters(stack) if letter["id"] != ID)
    assert '"completed"' in whole["payload"]["body"]
    for found in (whole["id"], ID):
        answer = await stack.admin("POST", f"dead-letters/{found}/replay")
        assert answer.status_code == 200, answer.text
    assert await letters(stack) == []
    metrics = (await stack.http.get(f"{stack.url}/metrics")).text
    assert 'penstock_gateway_refusals_total{cause="fault"} 2.0' in metrics


async def test_a_store_that_does_not_take_it_is_no_reason_for_a_500(penstock, caplog):
    """503 all the same, counted; the admin interface names the cause."""
    stack = await penstock(limits={"default": 0})
    (stack.settings.state_dir / "dead-letters").write_text("in the way")
    await stack.admin("PUT", "draining", mode="draining")
    assert (await stack.deliver(job_payload("queued"))).status_code == 503
    assert "could not be kept" in caplog.text
    metrics = (await stack.http.get(f"{stack.url}/metrics")).text
    assert "penstock_gateway_dead_letters_unkept_total 1.0" in metrics
    await stack.admin("PUT", "draining", mode="normal")
    assert (await stack.deliver(job_payload("queued"))).status_code == 200
    answer = await stack.admin("DELETE", f"dead-letters/{ID}")
    assert answer.status_code == 503
    assert "mend the folder" in answer.json()["detail"]


async def test_what_github_has_dropped_is_not_started(refusing):
    """A job that waited for a day is gone there: no runner for nobody. Its end is told still."""
    stack = refusing
    store = letters_of(stack.settings)
    for id_ in (ID, "delivery-acme-api-7001-completed"):
        event = {**(await store.get(ID)).payload["event"]}
        event |= {"action": "completed", "status": "completed"} if id_ != ID else {}
        await store.put(DeadLetter(id_, "delivery", "r", 1000.0, payload={"event": event}))
    await stack.admin("PUT", "draining", mode="normal")
    answer = await stack.admin("POST", f"dead-letters/{ID}/replay")
    assert answer.status_code == 409
    assert "GitHub has dropped the job" in answer.json()["detail"]
    answer = await stack.admin("POST", "dead-letters/delivery-acme-api-7001-completed/replay")
    assert answer.status_code == 200
    assert [letter["id"] for letter in await letters(stack)] == [ID]


async def test_all_that_are_older_are_forgotten(refusing):
    """By the time of the last refusal; a wrong age is refused."""
    stack = refusing
    store = letters_of(stack.settings)
    for n in range(3):
        await store.put(DeadLetter(f"delivery-{n}", "delivery", "r", 1000.0 + n))
    for wrong in ("", "?older_than_seconds=-1", "?older_than_seconds=inf"):
        assert (await stack.admin("DELETE", f"dead-letters{wrong}")).status_code == 422
    answer = await stack.admin("DELETE", "dead-letters?older_than_seconds=3600")
    assert answer.json() == {"purged": ["delivery-0", "delivery-1", "delivery-2"]}
    assert [letter["id"] for letter in await letters(stack)] == [ID]


async def test_the_command_line_shows_replays_and_purges(refusing):
    """The same letters; exit 1 while one stays."""
    stack = refusing
    config = stack.settings.state_dir / "penstock.toml"
    config.write_text(f'state_dir = "{stack.settings.state_dir}"\n')
    address = stack.client.service_client.config.target_host

    async def penstock_(*words: str) -> tuple[int, str]:
        command = (*PENSTOCK, "dead-letters", *words, "--config", str(config))
        return await run(*command, TEMPORAL_ADDRESS=address)

    code, said = await penstock_()
    assert (code, ID in said, "draining" in said) == (0, True, True)
    code, said = await penstock_("list", "-o", "json")
    assert [letter["id"] for letter in json.loads(said)] == [ID]
    code, said = await penstock_("replay", "none")
    assert (code, "there is no such letter" in said) == (1, True)
    code, said = await penstock_("show", ID)
    assert code == 0
    assert '"job_id": "7001"' in said
    assert (await penstock_("show", "none"))[0] == 1
    code, said = await penstock_("replay", "--all")
    assert (code, "kept" in said, "draining" in said) == (1, True, True)
    assert (await penstock_("replay"))[0] == 2
    await FleetClient(stack.client).set_mode("normal", ModeChange("a test"))
    code, said = await penstock_("replay", "--all")
    assert (code, "accepted" in said) == (0, True)
    assert await letters(stack) == []
    await FleetClient(stack.client).set_mode("draining", ModeChange("a test"))

    async def refuses():
        return (await stack.deliver(job_payload("queued", 7009))).status_code == 503

    await until(refuses)  # the gateway hears of the mode within a second
    for job in (7005, 7006):
        assert (await stack.deliver(job_payload("queued", job))).status_code == 503
    code, said = await penstock_("purge", "--older-than", "1h")
    assert (code, said.strip()) == (0, "0 forgotten")
    code, said = await penstock_("purge", ID.replace("7001", "7005"))
    assert (code, said.strip()) == (0, "1 forgotten")
    code, said = await penstock_("purge", "--older-than", "0s")
    assert (code, await letters(stack)) == (0, [])


async def test_a_letter_that_holds_no_event_says_what_to_do(penstock):
    """A failed job is re-run at GitHub; what is not there is 404; lists are paged."""
    stack = await penstock(runner={"command": ["/nonexistent"], "relaunch_seconds": 0.05})
    jobs = await stack.site.jobs("acme/api", count=3)
    for job in jobs:
        assert (await stack.result("acme/api", job))["outcome"] == "failed"
    (first, *_) = await letters(stack)
    answer = await stack.admin("POST", f"dead-letters/{first['id']}/replay")
    assert answer.status_code == 409
    assert "its id is taken for good: mend the cause, then re-run" in answer.json()["detail"]
    assert (first["kind"], first["cause"], first["times"]) == ("job", "failed", 1)
    page = (await stack.admin("GET", "dead-letters?limit=2")).json()
    assert (page["total"], len(page["dead_letters"])) == (3, 2)
    page = (await stack.admin("GET", page["next"].removeprefix("/admin/"))).json()
    assert (page["total"], len(page["dead_letters"]), page["next"]) == (3, 1, None)
    assert (await stack.admin("GET", f"dead-letters/{first['id']}")).json() == first
    assert (await stack.admin("DELETE", f"dead-letters/{first['id']}")).status_code == 204
    assert (await stack.admin("DELETE", f"dead-letters/{first['id']}")).status_code == 404
    assert (await stack.admin("GET", f"dead-letters/{first['id']}")).status_code == 404
    assert (await stack.admin("GET", "dead-letters?limit=0")).status_code == 422


async def test_temporal_down_is_a_letter_too(tmp_path):
    """And it can be replayed when it is back."""
    async with Gate.open(tmp_path, gateway={"temporal_timeout_seconds": 2}) as gate:
        await gate.http.get(f"{gate.url}/livez")
        await gate.server.stop()
        assert (await gate(job_payload("queued"))).status_code == 503
        found = (await gate.http.get(f"{gate.url}/admin/dead-letters", headers=HEAD)).json()
        assert [letter["id"] for letter in found["dead_letters"]] == [ID]
