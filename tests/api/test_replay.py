"""Dead letters: kept once, brought back once, settled by a redelivery, forgotten on request."""

import asyncio

import pytest
from temporalio.client import Client

from api.fleet_client import FleetClient
from policy.fleet import ModeChange
from tests.api.gate import Gate
from tests.e2e.process import PENSTOCK, run
from tests.support import ADMIN_KEY, job_payload, until

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
    assert await letters(stack) == []


async def test_the_command_line_shows_replays_and_purges(refusing):
    """The same letters; exit 1 while one stays."""
    stack = refusing
    config = stack.settings.state_dir / "penstock.toml"
    config.write_text(f'state_dir = "{stack.settings.state_dir}"\n')
    address = stack.client.service_client.config.target_host

    async def penstock_(*words: str) -> tuple[int, str]:
        command = (*PENSTOCK, "dead-letters", *words, "--config", str(config))
        return await run(*command, TEMPORAL_ADDRESS=address)

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
    for job in (7005, 7006):

        async def refused(job=job):
            return (await stack.deliver(job_payload("queued", job))).status_code == 503

        await until(refused, 10)  # the gateway hears of the mode within a second
    code, said = await penstock_("purge", "--older-than", "1h")
    assert (code, said.strip()) == (0, "0 forgotten")
    every = [letter["id"] for letter in await letters(stack)]
    code, said = await penstock_("purge", every[0])
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
    assert "re-run the job at GitHub" in answer.json()["detail"]
    page = (await stack.admin("GET", "dead-letters?offset=1&limit=1")).json()
    assert (page["total"], len(page["dead_letters"])) == (3, 1)
    assert (await stack.admin("GET", f"dead-letters/{first['id']}")).json() == first
    assert (await stack.admin("DELETE", f"dead-letters/{first['id']}")).status_code == 204
    assert (await stack.admin("DELETE", f"dead-letters/{first['id']}")).status_code == 404
    assert (await stack.admin("GET", f"dead-letters/{first['id']}")).status_code == 404
    assert (await stack.admin("GET", "dead-letters?limit=0")).status_code == 422


async def test_temporal_down_is_a_letter_too(tmp_path):
    """And it can be replayed when it is back."""
    async with Gate.open(tmp_path) as gate:
        await gate.http.get(f"{gate.url}/livez")
        await gate.server.stop()
        assert (await gate(job_payload("queued"))).status_code == 503
        found = (await gate.http.get(f"{gate.url}/admin/dead-letters", headers=HEAD)).json()
        assert [letter["id"] for letter in found["dead_letters"]] == [ID]
