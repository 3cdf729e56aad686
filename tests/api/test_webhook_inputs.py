"""Bad input at the gate: the designed answer, never a 5xx, nothing started."""

import asyncio
import json

import pytest

from api.signature import sign
from embedded import stack
from tests.api.gate import SECRET, Gate
from tests.support import deliver, job_payload, until


@pytest.fixture(scope="module")
async def gate(tmp_path_factory):
    """A gateway alone, for all tests here: no worker, so that what it starts stays countable."""
    folder = tmp_path_factory.mktemp("gate")
    async with Gate.open(folder) as made:
        yield made


BODY = b'{"action":"queued"}'

UNSIGNED = {
    "no signature": {"X_Hub_Signature_256": ""},
    "wrong signature": {"X_Hub_Signature_256": "sha256=" + "0" * 64},
    "cut short": {"X_Hub_Signature_256": sign(SECRET, BODY)[:-1]},
    "upper case": {"X_Hub_Signature_256": sign(SECRET, BODY).upper()},
    "sha1 only": {"X_Hub_Signature_256": "", "X_Hub_Signature": "sha1=" + "0" * 40},
    "other secret": {"X_Hub_Signature_256": sign("another", BODY)},
    "not ascii": {"X_Hub_Signature_256": "sha256=é"},
}


@pytest.mark.parametrize("headers", UNSIGNED.values(), ids=UNSIGNED)
async def test_unsigned_is_refused(gate, headers):
    """401 with a problem document, whatever is wrong with the signature."""
    given = {key.replace("_", "-"): value.encode() for key, value in headers.items()}
    answer = await gate.http.post(
        f"{gate.url}/webhooks/github",
        content=BODY,
        headers={"X-GitHub-Event": "workflow_job", **given},
    )
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert await gate.started() == 0


async def test_a_signature_given_twice_is_refused(gate):
    """Two headers could mean two things to two readers."""
    good = sign(SECRET, BODY)
    answer = await gate.http.post(
        f"{gate.url}/webhooks/github",
        content=BODY,
        headers=[("X-Hub-Signature-256", good), ("X-Hub-Signature-256", good)],
    )
    assert answer.status_code == 401


async def test_githubs_published_signature_verifies():
    """The example of GitHub's documentation."""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign("It's a Secret to Everybody", b"Hello, World!") == f"sha256={digest}"


async def test_oversized_is_refused_before_it_is_read(gate):
    """413, whether the length is declared or not."""
    large = b"x" * (1024 * 1024 + 1)
    assert (await gate(large)).status_code == 413

    async def chunks():
        for _ in range(18):
            yield b"x" * 64 * 1024

    answer = await gate.http.post(f"{gate.url}/webhooks/github", content=chunks())
    assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"[" * 100_000])
async def test_what_is_no_json_object_is_a_bad_request(gate, body):
    """400: signed, but nothing that GitHub sends."""
    assert (await gate(body)).status_code == 400
    assert await gate.started() == 0


def _without(*path):
    payload = job_payload("queued")
    table = payload
    for key in path[:-1]:
        table = table[key]
    del table[path[-1]]
    return payload


UNUSABLE = {
    "workflow_job null": {**job_payload("queued"), "workflow_job": None},
    "workflow_job a list": {**job_payload("queued"), "workflow_job": []},
    "no workflow_job": _without("workflow_job"),
    "no repository": _without("repository"),
    "no owner": _without("repository", "owner"),
    "no name": _without("repository", "name"),
    "no id": _without("workflow_job", "id"),
    "no labels": _without("workflow_job", "labels"),
    "no action": _without("action"),
    "unknown action": job_payload("exploded"),
    "action a list": {**job_payload("queued"), "action": ["queued"]},
    "id 2^63": job_payload("queued", 2**63),
    "id 10^400": job_payload("queued", 10**400),
    "id negative": job_payload("queued", -1),
    "id zero": job_payload("queued", 0),
    "id a fraction": job_payload("queued", 1.5),
    "id infinite": job_payload("queued", float("inf")),
    "id no number": job_payload("queued", float("nan")),
    "id true": job_payload("queued", True),
    "id text": job_payload("queued", "7001"),
    "labels text": job_payload("queued", labels="self-hosted"),
    "labels numbers": job_payload("queued", labels=[1]),
    "labels emoji": job_payload("queued", labels=["self-hosted", "🚀"]),
    "labels foreign": job_payload("queued", labels=["ubuntu-latest"]),
    "labels empty": job_payload("queued", labels=[]),
    "foreign owner": job_payload("queued", repo="mallory/api"),
    "path in name": job_payload("queued", repo="acme/.."),
    "newline in name": job_payload("queued", repo="acme/api\r\nX: y"),
    "shell in owner": job_payload("queued", repo="$(id)/api"),
    "waiting for approval": job_payload("queued", status="waiting"),
    "waiting": job_payload("waiting"),
    "completed, foreign labels": job_payload("completed", labels=["ubuntu-latest"]),
}


@pytest.mark.parametrize("payload", UNUSABLE.values(), ids=UNUSABLE)
async def test_unusable_events_are_ignored_with_a_reason(gate, payload):
    """200: GitHub did its part; a 5xx would only be redelivered for ever."""
    answer = await gate(payload)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["status"] == "ignored"
    assert told["reason"]
    assert await gate.started() == 0


@pytest.mark.parametrize("event", ["ping", "push", "workflow_run", "", "x" * 5000])
async def test_other_events_are_ignored(gate, event):
    """A ping is answered, everything else is none of our business."""
    answer = await gate(job_payload("queued"), X_GitHub_Event=event)
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert await gate.started() == 0


async def test_absurd_but_usable_fields_do_no_harm(gate):
    """A time before the flood and names of megabytes are cut down to size."""
    payload = job_payload(
        "queued",
        7002,
        created_at="-9999",
        name="n" * 200_000,
        html_url=7,
        runner_name=[],
        status=None,
    )
    answer = await gate(payload)
    assert answer.json()["status"] == "accepted"
    assert await gate.started("7002") == 1


async def test_a_thousand_identical_deliveries_are_one_workflow(gate):
    """All at once, on a thousand connections: one is accepted, none is refused."""
    payload = json.dumps(job_payload("queued", 7003)).encode()
    answers = await asyncio.gather(*(gate.raw(payload) for _ in range(1000)))
    assert [status for status, _ in answers] == [200] * 1000
    told = [body["status"] for _, body in answers]
    assert told.count("accepted") == 1
    assert told.count("duplicate") == 999
    assert await gate.started("7003") == 1


async def test_a_redelivery_to_another_gateway_is_a_duplicate(gate):
    """What one gateway accepted, another knows: Temporal remembers, not the process."""
    assert (await gate(job_payload("queued", 7004))).json()["status"] == "accepted"
    async with stack.gateway(gate.client, gate.settings, eager=False) as other:
        answer = await deliver(gate.http, other, SECRET, job_payload("queued", 7004))
    assert answer.json()["status"] == "duplicate"
    assert await gate.started("7004") == 1


async def test_without_temporal_a_job_is_refused_and_written_down(tmp_path):
    """503 with Retry-After and a dead letter; alive still, but not ready."""
    async with Gate.open(tmp_path, gateway={"temporal_timeout_seconds": 2}) as gate:
        await gate.server.stop()
        answer = await gate(job_payload("queued"))
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert len(list((tmp_path / "dead-letters").glob("*.json"))) == 1
        assert (await gate.http.get(f"{gate.url}/livez")).status_code == 200

        async def unready():
            return (await gate.http.get(f"{gate.url}/readyz")).status_code == 503

        await until(unready)
