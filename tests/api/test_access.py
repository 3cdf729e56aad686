"""Who is let in at /admin: every scope at every endpoint with every state of a key."""

import logging

import httpx
import pytest

from api import keys
from tests.api.gate import Gate
from tests.support import job_payload

READ, READ_HASH = keys.create()
OPERATE, OPERATE_HASH = keys.create()
OLD, OLD_HASH = keys.create()
EXPIRED, EXPIRED_HASH = keys.create()
LASTING, LASTING_HASH = keys.create()
KEYS = [
    {"name": "ann", "hash": READ_HASH, "scope": "read"},
    {"name": "bob", "hash": OPERATE_HASH, "scope": "operate"},
    {"name": "eve", "hash": EXPIRED_HASH, "scope": "operate", "not_after": "2026-01-31"},
    {"name": "sue", "hash": LASTING_HASH, "scope": "operate", "not_after": "2999-12-31"},
]
JOB = "jobs/acme/api/7001"
LETTER = "dead-letters/delivery-acme-api-7002-queued"
# Each with the body that is sent, and what the answer is for whoever may ask.
ENDPOINTS = {
    ("GET", "draining"): (None, 200),
    ("PUT", "draining"): ({"mode": "draining", "reason": "matrix"}, 200),
    ("GET", "limits"): (None, 200),
    ("PATCH", "limits"): ({"max_runners": 7}, 200),
    ("GET", "status"): (None, 200),
    ("GET", "repos"): (None, 200),
    ("GET", "jobs"): (None, 200),
    ("GET", JOB): (None, 200),
    ("GET", "audit"): (None, 200),
    ("GET", "dead-letters"): (None, 200),
    ("GET", LETTER): (None, 200),
    ("POST", f"{LETTER}/replay"): (None, 503),  # draining: it is heard, and stays
    ("DELETE", "dead-letters/none"): (None, 404),
    ("GET", "nowhere"): (None, 404),
    ("POST", "nowhere"): (None, 404),
    ("DELETE", "limits"): (None, 405),
}
NOBODY = {
    "none": [],
    "empty": [("Authorization", "")],
    "another scheme": [("Authorization", f"Basic {OPERATE}")],
    "no key": [("Authorization", "Bearer")],
    "wrong": [("Authorization", f"Bearer {OPERATE[:-1]}")],
    "its hash": [("Authorization", f"Bearer {OPERATE_HASH}")],
    "not ASCII": [("Authorization", b"Bearer \xe9\xff")],
    "twice": [("Authorization", f"Bearer {OPERATE}"), ("Authorization", f"Bearer {OPERATE}")],
    "expired": [("Authorization", f"Bearer {EXPIRED}")],
    "no such scheme here": [("Authorization", "Penstock-IAM e30=")],
}

SOMEBODY = {"read": READ, "operate": OPERATE, "old": OLD, "lasting": LASTING}


async def ask(stack, method, path, headers, body=None):
    """One request."""
    url = f"{stack.url}/admin/{path}"
    return await stack.http.request(method, url, json=body, headers=headers)


def bearer(key: str) -> list[tuple[str, str]]:
    """The header of a key."""
    return [("Authorization", f"Bearer {key}")]


async def test_every_scope_at_every_endpoint_with_every_state_of_a_key(penstock):
    """401 without a good key, 403 for too small a scope, else the endpoint's own answer."""
    gateway = {
        "admin_keys": KEYS,
        "admin_key_hashes": [OLD_HASH],
        "admin_failures_per_minute": 10_000,
    }
    stack = await penstock(gateway=gateway, limits={"default": 0})
    await stack.deliver(job_payload("queued", 7001))
    await ask(stack, "PUT", "draining", bearer(OPERATE), {"mode": "draining"})
    assert (await stack.deliver(job_payload("queued", 7002))).status_code == 503
    found, expected = {}, {}
    for (method, path), (body, good) in ENDPOINTS.items():
        for state, headers in NOBODY.items():
            answer = await ask(stack, method, path, headers, body)
            found[method, path, state] = answer.status_code
            expected[method, path, state] = 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "Bearer"
        for state, key in SOMEBODY.items():
            answer = await ask(stack, method, path, bearer(key), body)
            found[method, path, state] = answer.status_code
            small = state == "read" and method != "GET"
            expected[method, path, state] = 403 if small else good
    wrong = {case: status for case, status in found.items() if status != expected[case]}
    assert wrong == {}
    assert len(found) == len(ENDPOINTS) * 14
    await ask(stack, "PATCH", "limits", bearer(OLD), {"max_runners": 8})
    entries = (await ask(stack, "GET", "audit", bearer(READ))).json()["audit"]
    actors = {entry["actor"] for entry in entries}
    assert {"key bob", f"key {OLD_HASH[:8]}"} <= actors
    assert "key ann" not in actors


async def test_without_any_key_nobody_is_let_in(tmp_path):
    """Refused, not open: what looks like a key helps nothing."""
    async with Gate.open(tmp_path, gateway={"admin_key_hashes": []}) as gate:
        for method, path in ENDPOINTS:
            answer = await ask(gate, method, path, bearer(OPERATE))
            assert answer.status_code == 403
            assert "penstock admin-key create" in answer.json()["detail"]


async def test_a_key_is_asked_for_before_anything_is_understood(tmp_path):
    """A body that is no JSON, of somebody unknown: 401. One out of bounds is 413 to anybody."""
    async with Gate.open(tmp_path) as gate:
        for content in (b"{", b"[" * 60_000, b"\xff"):
            answer = await gate.http.patch(f"{gate.url}/admin/limits", content=content)
            assert answer.status_code == 401
        answer = await gate.http.patch(f"{gate.url}/admin/limits", content=b"x" * 100_000)
        assert answer.status_code == 413


async def test_who_guesses_is_soon_refused_unheard(tmp_path, caplog):
    """Ten failures; then 429 with Retry-After, a right key included; another address is heard."""
    caplog.set_level(logging.INFO, "penstock.audit")
    gateway = {"admin_keys": KEYS}
    async with Gate.open(tmp_path, gateway=gateway) as gate:
        for _ in range(30):
            assert (await ask(gate, "GET", "jobs", bearer(READ))).status_code == 200
        for attempt in range(10):
            answer = await ask(gate, "GET", "jobs", bearer(f"pen_{attempt}"))
            assert answer.status_code == 401
        for headers in (bearer("pen_x"), bearer(READ), []):
            answer = await ask(gate, "GET", "jobs", headers)
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 6
            assert answer.json()["retry_after_s"] == int(answer.headers["retry-after"])
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(transport=elsewhere) as http:
            head = {"Authorization": f"Bearer {READ}"}
            assert (await http.get(f"{gate.url}/admin/jobs", headers=head)).status_code == 200
        webhook = await gate(job_payload("queued", 7001))
        assert webhook.status_code == 200, "webhooks are none of this"
    lines = [record.getMessage() for record in caplog.records if record.name == "penstock.audit"]
    assert len([line for line in lines if "client=127.0.0.1" in line and "401" in line]) == 10
    assert "pen_" not in "".join(lines)


async def test_too_small_a_scope_is_no_failed_attempt(tmp_path):
    """The key is right: nothing was guessed."""
    async with Gate.open(tmp_path, gateway={"admin_keys": KEYS}) as gate:
        for _ in range(15):
            answer = await ask(gate, "PUT", "draining", bearer(READ), {"mode": "draining"})
            assert answer.status_code == 403
        assert "key ann has scope read; PUT takes operate" in answer.json()["detail"]
        assert (await ask(gate, "GET", "jobs", bearer(READ))).status_code == 200


@pytest.mark.parametrize("path", ["/admin", "/admin/", "//admin/status", "/Admin/status"])
async def test_no_other_spelling_leads_in(tmp_path, path):
    """Neither by a slash more, nor by upper case: 401 or 404, never an answer."""
    async with Gate.open(tmp_path) as gate:
        assert (await gate.http.get(f"{gate.url}{path}")).status_code in (401, 404)
