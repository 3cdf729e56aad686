"""GitHub's limits, made tiny, and the faults of its API."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.simulator.helpers import Sim

RUNNERS = "/orgs/acme/actions/runners"
SECONDARY = "You have exceeded a secondary rate limit"


def left(answer: httpx.Response) -> tuple[int, int, int, str]:
    names = ("limit", "remaining", "used")
    limit, remaining, used = (int(answer.headers[f"x-ratelimit-{name}"]) for name in names)
    return limit, remaining, used, answer.headers["x-ratelimit-resource"]


async def test_every_answer_tells_its_bucket(sim: Sim) -> None:
    answer = await sim.api("GET", RUNNERS)
    assert left(answer) == (5000, 4999, 1, "core")
    assert 3500 < int(answer.headers["x-ratelimit-reset"]) - time.time() <= 3601
    assert answer.headers["x-github-request-id"]
    missing = await sim.api("GET", "/orgs/acme/nothing")
    assert missing.status_code == 404
    assert missing.headers["x-ratelimit-limit"]


async def test_registration_has_a_bucket_of_its_own(sim: Sim) -> None:
    answer = await sim.api("POST", f"{RUNNERS}/registration-token")
    assert left(answer) == (10000, 9999, 1, "actions_runner_registration")
    assert left(await sim.jit())[2:] == (2, "actions_runner_registration")
    resources = (await sim.api("GET", "/rate_limit")).json()["resources"]
    assert resources["actions_runner_registration"]["used"] == 2
    assert resources["core"]["used"] == 0


@pytest.mark.parametrize("status", [403, 429])
async def test_a_used_up_primary_limit_refuses_until_its_reset(sim: Sim, status: int) -> None:
    await sim.control("limits", core_per_hour=2, primary_status=status)
    for _ in range(2):
        assert (await sim.api("GET", RUNNERS)).status_code == 200
    refused = await sim.api("GET", RUNNERS)
    assert refused.status_code == status
    assert refused.json()["message"].startswith("API rate limit exceeded for installation ID ")
    assert left(refused) == (2, 0, 2, "core")
    assert "retry-after" not in refused.headers
    assert (await sim.api("GET", "/rate_limit")).status_code == 200
    assert (await sim.api("POST", f"{RUNNERS}/registration-token")).status_code == 201
    await sim.api("GET", RUNNERS)
    calls = (await sim.look("summary"))["calls"]
    assert calls["too_early"] == len(calls["early"]) == 1
    assert calls["early"][0] >= 0
    await sim.control("limits", installation_token_seconds=9999)
    await sim.control("clock", advance_seconds=3601)
    token = await sim.token()
    assert (await sim.bearer(token, "GET", RUNNERS)).status_code == 200


async def test_the_registration_limit_refuses(sim: Sim) -> None:
    await sim.control("limits", registration_per_hour=1)
    assert (await sim.api("POST", f"{RUNNERS}/registration-token")).status_code == 201
    refused = await sim.api("POST", f"{RUNNERS}/registration-token")
    assert (refused.status_code, left(refused)[1]) == (403, 0)
    assert (await sim.api("GET", RUNNERS)).status_code == 200


async def test_limits_are_kept_per_installation(sim: Sim) -> None:
    acme, other = await sim.token("acme"), await sim.token("other")
    await sim.control("limits", core_per_hour=1)
    await sim.bearer(acme, "GET", RUNNERS)
    assert (await sim.bearer(acme, "GET", RUNNERS)).status_code == 403
    assert (await sim.bearer(other, "GET", "/orgs/other/actions/runners")).status_code == 200


@pytest.mark.parametrize("status", [403, 429])
async def test_writes_cost_five_points_a_minute_per_endpoint(sim: Sim, status: int) -> None:
    await sim.control("limits", points_per_minute=10, secondary_status=status)
    path = f"{RUNNERS}/registration-token"
    for _ in range(2):
        assert (await sim.api("POST", path)).status_code == 201
    refused = await sim.api("POST", path)
    assert refused.status_code == status
    assert refused.headers["retry-after"] == "60"
    assert SECONDARY in refused.json()["message"]
    assert refused.json()["documentation_url"].endswith("secondary-rate-limits")
    assert left(refused)[1] > 0
    assert (await sim.api("GET", RUNNERS)).status_code == 200
    await sim.control("clock", advance_seconds=61)
    assert (await sim.api("POST", path)).status_code == 201


async def test_reads_cost_one_point(sim: Sim) -> None:
    await sim.api("GET", "/rate_limit")
    await sim.control("limits", points_per_minute=3)
    statuses = [(await sim.api("GET", RUNNERS)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 403]


async def test_so_many_at_a_time(sim: Sim) -> None:
    await sim.control("limits", concurrent=2)
    await sim.api("GET", RUNNERS)
    await sim.control("faults", kind="slow", seconds=0.2, times=0)
    answers = await asyncio.gather(*(sim.api("GET", RUNNERS) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 200, 403, 403]
    assert (await sim.api("GET", RUNNERS)).status_code == 200


async def test_registrations_are_limited_per_five_minutes(sim: Sim) -> None:
    await sim.control("limits", registrations_per_5_minutes=1)
    assert (await sim.jit("a")).status_code == 201
    assert (await sim.jit("b")).status_code == 403
    await sim.control("clock", advance_seconds=301)
    assert (await sim.jit("b")).status_code == 201


async def test_calls_are_recorded_with_their_cost(sim: Sim) -> None:
    await sim.api("GET", RUNNERS)
    await sim.api("POST", f"{RUNNERS}/registration-token")
    calls = (await sim.look("calls", path_prefix="/orgs"))["calls"]
    assert [(one["method"], one["points"], one["status"]) for one in calls] == [
        ("GET", 1, 200),
        ("POST", 5, 201),
    ]
    assert calls[0]["route"] == "/orgs/{org}/actions/runners"
    assert calls[0]["installation"] == await sim.install()


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        ({"kind": "status", "status": 502}, 502, None),
        ({"kind": "status", "status": 503, "retry_after": 7}, 503, "7"),
        ({"kind": "secondary_limit", "retry_after": 3}, 403, "3"),
        ({"kind": "secondary_limit", "retry_after": None, "status": 429}, 429, None),
        ({"kind": "primary_limit", "seconds": 30}, 403, None),
    ],
)
async def test_api_faults_strike_once(
    sim: Sim, fault: dict[str, Any], status: int, header: str | None
) -> None:
    await sim.api("GET", RUNNERS)
    await sim.control("faults", path_prefix="/orgs", **fault)
    struck = await sim.api("GET", RUNNERS)
    assert struck.status_code == status
    assert struck.headers.get("retry-after") == header
    if fault["kind"] == "primary_limit":
        assert left(struck)[1] == 0
        assert 0 < int(struck.headers["x-ratelimit-reset"]) - time.time() <= 31
        assert (await sim.api("GET", RUNNERS)).status_code == 403
    else:
        assert (await sim.api("GET", RUNNERS)).status_code == 200


async def test_a_lost_answer_has_done_its_work(sim: Sim) -> None:
    await sim.api("GET", RUNNERS)
    await sim.control("faults", kind="lost_answer", method="POST")
    assert (await sim.jit("a")).status_code == 502
    assert (await sim.jit("a")).status_code == 409


async def test_faults_can_hit_the_nth_call_of_a_method(sim: Sim) -> None:
    await sim.api("GET", RUNNERS)
    await sim.control("faults", kind="status", method="GET", nth=2)
    statuses = [(await sim.api("GET", RUNNERS)).status_code for _ in range(3)]
    assert statuses == [200, 500, 200]


async def test_an_unknown_api_version_is_refused(sim: Sim) -> None:
    for version, status in (("2022-11-28", 200), ("2026-03-10", 200), ("1999-01-01", 400)):
        headers = {
            "Authorization": f"Bearer {sim.jwt()}",
            "X-GitHub-Api-Version": version,
        }
        assert (await sim.http.get("/app", headers=headers)).status_code == status
