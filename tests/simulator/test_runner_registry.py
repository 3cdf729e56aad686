"""Runners in the API: tokens, JIT, list, delete."""

import pytest

from tests.simulator.helpers import Sim

RUNNERS = "/repos/acme/site/actions/runners"


async def test_a_registration_token_serves_many_runners_for_an_hour(sim: Sim) -> None:
    await sim.install(repositories=["site"])
    token = (await sim.api("POST", f"{RUNNERS}/registration-token")).json()["token"]
    body = {"url": f"{sim.url}/acme/site", "token": token, "labels": ["big"]}
    for name in ("a", "b"):
        answer = await sim.http.post("/_runner/register", json=body | {"name": name})
        assert answer.status_code == 201
    await sim.control("clock", advance_seconds=3601)
    assert (await sim.http.post("/_runner/register", json=body | {"name": "c"})).status_code == 401


async def test_a_wrong_token_or_scope_is_not_found(sim: Sim) -> None:
    await sim.install(repositories=["site", "shop"])
    token = (await sim.api("POST", f"{RUNNERS}/registration-token")).json()["token"]
    body = {"name": "a", "url": f"{sim.url}/acme/shop", "token": token}
    assert (await sim.http.post("/_runner/register", json=body)).status_code == 404
    body |= {"url": f"{sim.url}/acme/site", "token": "A"}
    assert (await sim.http.post("/_runner/register", json=body)).status_code == 404


async def test_a_taken_name_cannot_be_registered(sim: Sim) -> None:
    await sim.runner("a")
    with pytest.raises(AssertionError, match="same name"):
        await sim.runner("A")


async def test_jit_makes_an_offline_runner_at_once_and_refuses_its_name_again(sim: Sim) -> None:
    made = await sim.jit("one", "gpu,linux")
    assert made.status_code == 201
    runner = made.json()["runner"]
    assert (runner["status"], runner["busy"], runner["ephemeral"]) == ("offline", False, True)
    assert [label["name"] for label in runner["labels"]] == ["gpu", "linux"]
    again = await sim.jit("one")
    assert again.status_code == 409
    assert again.json()["message"].startswith("Already exists")
    assert (await sim.api("DELETE", f"{RUNNERS}/{runner['id']}")).status_code == 204
    assert (await sim.jit("one")).status_code == 201


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"runner_group_id": None}, 422),
        ({"runner_group_id": 77}, 404),
        ({"labels": []}, 422),
        ({"labels": ["x"] * 101}, 422),
        ({"name": ""}, 422),
        ({"name": "a:b"}, 400),
        ({"name": "n" * 65}, 400),
    ],
)
async def test_jit_validates(sim: Sim, change: dict[str, object], status: int) -> None:
    answer = await sim.jit(change=change)
    assert answer.status_code == status


async def test_an_unused_jit_runner_is_dropped_when_asked_for(sim: Sim) -> None:
    await sim.control("limits", jit_unused_seconds=0.05)
    await sim.jit()
    await sim.until("runners_gone")
    gone = (await sim.look("runners", all=1))["runners"][0]
    assert gone["removed_why"] == "never connected"


async def test_runners_are_listed_by_name_and_by_page(sim: Sim) -> None:
    for number in range(5):
        await sim.jit(f"r{number}")
    one = (await sim.api("GET", RUNNERS, params={"name": "r3"})).json()
    assert [runner["name"] for runner in one["runners"]] == ["r3"]
    path, names = f"{RUNNERS}?per_page=2", []
    while path:
        page = await sim.api("GET", path)
        assert page.json()["total_count"] == 5
        names += [runner["name"] for runner in page.json()["runners"]]
        path = page.links.get("next", {}).get("url", "")
    assert names == ["r0", "r1", "r2", "r3", "r4"]


async def test_an_idle_runner_can_be_deleted_and_is_told(sim: Sim) -> None:
    runner = await sim.runner("a")
    async with runner.polling():
        shown = (await sim.api("GET", f"{RUNNERS}/{runner.id}")).json()
        assert (shown["status"], shown["busy"]) == ("online", False)
        assert (await sim.api("DELETE", f"{RUNNERS}/{runner.id}")).status_code == 204
    assert (await sim.api("GET", f"{RUNNERS}/{runner.id}")).status_code == 404
    late = await runner.post("poll", wait=1)
    assert late.status_code == 404
    assert late.json()["message"] == "The runner no longer exists on the server"


async def test_a_busy_runner_cannot_be_deleted(sim: Sim) -> None:
    runner = await sim.runner("a")
    await sim.job()
    job_id = await runner.take()
    refused = await sim.api("DELETE", f"{RUNNERS}/{runner.id}")
    assert refused.status_code == 422
    assert "still running a job" in refused.json()["message"]
    await runner.post("finish", job_id=job_id)
    assert (await sim.api("DELETE", f"{RUNNERS}/{runner.id}")).status_code == 404


async def test_organizations_have_runners_and_groups_of_their_own(sim: Sim) -> None:
    runner = await sim.runner("a", at="acme")
    listed = (await sim.api("GET", "/orgs/acme/actions/runners")).json()["runners"]
    assert [one["id"] for one in listed] == [runner.id]
    await sim.install(repositories=["site"])
    assert (await sim.api("GET", RUNNERS)).json()["total_count"] == 0
    groups = (await sim.api("GET", "/orgs/acme/actions/runner-groups")).json()
    assert [group["id"] for group in groups["runner_groups"]] == [1]
