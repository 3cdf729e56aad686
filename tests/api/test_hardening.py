"""Caps, headers and proxies on the real gateway, for every route."""

import gzip
import json
import re
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI, Request

from api.hardening import hardened
from api.problems import on_problem
from api.request_caps import SMALL_BYTES
from api.security_headers import ALWAYS
from api.signature import sign
from embedded import ports
from embedded.http_server import serving
from tests.api.gate import SECRET, Gate
from tests.embedded.wire import request, wire_to
from tests.support import ADMIN_KEY, PATIENCE, job_payload, until

MIB = 1024 * 1024
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
ROUTES = [
    ("POST", "/webhooks/github"),
    ("PUT", "/admin/draining"),
    ("PATCH", "/admin/limits"),
    ("POST", "/admin/dead-letters/x/replay"),
    ("GET", "/livez"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("POST", "/nowhere"),
]


@pytest.fixture(scope="module")
async def gate(tmp_path_factory):
    """A gateway that believes its proxies on loopback."""
    folder = tmp_path_factory.mktemp("gate")
    async with Gate.open(folder, gateway={"trusted_proxies": ["127.0.0.0/8"]}) as made:
        yield made


def cap_of(path: str) -> int:
    """The largest body of a route."""
    return MIB if path.startswith("/webhooks") else SMALL_BYTES


async def chunks(size: int):
    """A body of undeclared length."""
    for _ in range(size // 1024):
        yield b"x" * 1024
    yield b"x" * (size % 1024)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_takes_a_body_over_its_cap(gate, method, path):
    """Declared or chunked, 413 at once; up to the cap the route itself answers."""
    cap = cap_of(path)
    for content in (b"x" * (cap + 1), chunks(cap + 1)):
        answer = await gate.http.request(method, gate.url + path, content=content, headers=KEY)
        assert (answer.status_code, answer.json()["title"]) == (413, "Body too large")
    answer = await gate.http.request(method, gate.url + path, content=b"x" * cap, headers=KEY)
    assert answer.status_code != 413


async def test_a_declared_length_is_believed_only_as_far_as_it_is_kept(gate):
    """Too large: refused before a byte of it comes. Too small: what is over is no request."""
    path = "POST /webhooks/github HTTP/1.1"
    async with wire_to(gate.url) as wire:
        wire.send(request(path, b"", f"Content-Length: {MIB + 1}"))
        assert (await wire.answer()).status == 413
    async with wire_to(gate.url) as wire:
        wire.send(request(path, b"", "Content-Length: 3") + b"abc" + b"d" * 100 + b"\r\n\r\n")
        assert [(await wire.answer()).status for _ in range(2)] == [401, 400]
        assert await wire.ended() == b""
    for length in ("-1", "1e3", "0x10", "3, 4", "9" * 400):
        async with wire_to(gate.url) as wire:
            wire.send(request(path, b"", f"Content-Length: {length}"))
            assert (await wire.answer()).status in (400, 413)


async def test_two_lengths_are_one_too_many(gate):
    """A proxy and we could read two different bodies."""
    both = ("Content-Length: 5", "Transfer-Encoding: chunked")
    async with wire_to(gate.url) as wire:
        wire.send(request("POST /webhooks/github HTTP/1.1", b"", *both) + b"0\r\n\r\n")
        assert (await wire.answer()).status == 400


async def test_there_is_no_tunnel(gate):
    """CONNECT and an address of another host in the target are nothing that is known here."""
    async with wire_to(gate.url) as wire:
        for head in ("CONNECT 127.0.0.1:1 HTTP/1.1", "GET http://127.0.0.1:1/x HTTP/1.1"):
            assert (await wire.ask(head)).status in (404, 405)
        assert (await wire.ask("GET /livez HTTP/1.1")).status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
@pytest.mark.parametrize(("method", "path"), ROUTES[:3])
async def test_a_coded_body_is_refused(gate, coding, method, path):
    """415: nothing is ever unpacked, so there is no bomb; signed or not."""
    bomb = gzip.compress(b"0" * 10 * MIB)
    headers = {"Content-Encoding": coding, "X-Hub-Signature-256": sign(SECRET, bomb), **KEY}
    answer = await gate.http.request(method, gate.url + path, content=bomb, headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert await gate.started() == 0


async def test_a_body_that_says_it_is_as_it_is_is_taken(gate):
    """Content-Encoding: identity says nothing."""
    answer = await gate(job_payload("queued", 7101), Content_Encoding="identity")
    assert answer.json()["status"] == "accepted"


@pytest.mark.parametrize(
    "head",
    [
        ["GET /livez HTTP/1.1", *(f"X-{n}: y" for n in range(101))],
        ["GET /livez HTTP/1.1", "X-Long: " + "y" * 17_000],
        ["GET /livez?" + "y" * 17_000 + " HTTP/1.1"],
    ],
    ids=["many", "long", "long target"],
)
async def test_large_headers_are_refused(gate, head):
    """431, whether they came whole or not; more would fit, but nobody needs it."""
    whole = "\r\n".join([*head, "Host: here", "", ""]).encode()
    for sent in (whole, whole[:-2]):
        if sent is whole or len(whole) > 16 * 1024:
            async with wire_to(gate.url) as wire:
                wire.send(sent)
                assert (await wire.answer()).status == 431


ANSWERS = [
    ("GET", "/livez", {}, 200),
    ("GET", "/readyz", {}, 200),
    ("GET", "/metrics", {}, 200),
    ("GET", "/openapi.json", {}, 200),
    ("POST", "/webhooks/github", {}, 401),
    ("GET", "/admin/status", {}, 401),
    ("GET", "/admin/dead-letters", KEY, 200),
    ("GET", "/admin/dead-letters?limit=x", KEY, 422),
    ("GET", "/nowhere", {}, 404),
    ("GET", "/webhooks/github", {}, 405),
    ("GET", "/livez", {"Content-Encoding": "gzip"}, 415),
    ("GET", "/livez", {"X-Long": "y" * 17_000}, 431),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), ANSWERS)
async def test_every_answer_has_the_security_headers(gate, method, path, headers, status):
    """Refusals too; nothing names the server; nothing may be kept."""
    answer = await gate.http.request(method, gate.url + path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers


async def test_a_failure_of_its_own_has_them_too(gate):
    """A 500, which the framework answers outside of everything else."""
    broken = FastAPI()
    broken.add_exception_handler(Exception, on_problem)

    @broken.get("/")
    async def fail() -> None:
        raise ValueError("a fault")

    around = httpx.ASGITransport(
        hardened(broken, gate.settings.gateway, lambda _why: None), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=around, base_url="http://here") as http:
        answer = await http.get("/")
    assert answer.status_code == 500
    assert "fault" not in answer.text
    assert ALWAYS.items() <= {(name, answer.headers[name]) for name in ALWAYS}


async def test_the_client_has_its_own_address(gate):
    """For routes that count or log who asks: the client's, not the proxy's, not a stranger's."""
    asking = FastAPI()

    @asking.get("/")
    async def who(request: Request) -> str:
        return request.client.host

    told = {"X-Forwarded-For": "192.0.2.66, 198.51.100.7, 127.0.0.2"}
    for trusted, client in ((["127.0.0.0/8"], "198.51.100.7"), ([], "127.0.0.1")):
        table = gate.settings.gateway.model_copy(update={"trusted_proxies": trusted})
        app = hardened(asking, table, lambda _why: None)
        async with serving(app, ports.listening("127.0.0.1", 0)) as url:
            assert (await gate.http.get(url, headers=told)).json() == client


async def test_https_is_said_by_a_proxy_of_ours_alone(gate, tmp_path):
    """Strict-Transport-Security on a connection that was none would mean nothing."""
    by_https = {"X-Forwarded-Proto": "https"}
    answer = await gate.http.get(f"{gate.url}/livez", headers=by_https)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    async with Gate.open(tmp_path) as alone:
        answer = await alone.http.get(f"{alone.url}/livez", headers=by_https)
        assert "strict-transport-security" not in answer.headers


async def test_the_page_of_the_api_needs_no_other_host(gate):
    """/docs and all that it loads come from here, and its policy lets nothing else in."""
    page = await gate.http.get(f"{gate.url}/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    assert re.findall(r"<script(?![^>]*src=)", page.text) == [], "an inline script"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"docs/swagger-ui-bundle.js", "docs/start.js", "docs/swagger-ui.css"} <= set(loaded)
    for name in loaded:
        if not name.startswith("data:"):
            part = await gate.http.get(f"{gate.url}/{name}")
            assert part.status_code == 200
            assert part.content
            kind = part.headers["content-type"].partition(";")[0]
            assert kind == {"js": "text/javascript", "css": "text/css"}.get(
                name.rpartition(".")[2], "application/json"
            )
    assert (await gate.http.get(f"{gate.url}/docs/other.js")).status_code == 404
    assert (await gate.http.get(f"{gate.url}/docs/%2e%2e%2f__init__.py")).status_code == 404
    assert (await gate.http.get(f"{gate.url}/redoc")).status_code == 404


async def test_who_was_not_served_is_counted(gate):
    """By why, and the connections by what they do."""
    async with wire_to(gate.url) as wire, wire_to(gate.url) as half:
        assert (await wire.ask("HELLO")).status == 400
        coded = {"Content-Encoding": "gzip"}
        assert (await gate.http.get(f"{gate.url}/livez", headers=coded)).status_code == 415
        half.send(b"GET /liv")

        async def waits() -> str:
            text = (await gate.http.get(f"{gate.url}/metrics")).text
            return text if 'penstock_gateway_connections{state="waiting"} 1.0' in text else ""

        text = await until(waits)
    assert re.search(r'penstock_gateway_turned_away_total{why="malformed"} [1-9]', text)
    assert re.search(r'penstock_gateway_turned_away_total{why="coded"} [1-9]', text)
    assert re.search(r'penstock_gateway_connections{state="answering"} [1-9]', text)


async def test_deep_and_huge_json_is_a_bad_request_at_most(gate):
    """Signed, and absurd in every way that JSON allows: never a 5xx, never a start."""
    absurd = [
        b"[" * 500_000 + b"]" * 500_000,
        b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
        b'{"action":"queued","workflow_job":' + b'{"id":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"action": ' + b"9" * 900_000 + b"}",
        b'{"workflow_job": {"id": ' + b"9" * 4000 + b'}, "action": "queued"}',
        b'{"action": "queued", "workflow_job": {"id": 1e999999}}',
        b'{"action": "queued", "workflow_job": {"id": NaN, "labels": [Infinity]}}',
        b'{"action": "\\ud800", "workflow_job": {"id": -0}}',
        b'{"a": "' + b"\\u0000" * 150_000 + b'"}',
        b'{"action": "queued", "action": ["queued"], "workflow_job": {"id": 7, "id": {}}}',
        b"\xef\xbb\xbf{}",
        '{"action": "queued"}'.encode("utf-16"),
        b"[" + b"{}," * 300_000 + b"{}]",
        json.dumps({str(n): n for n in range(60_000)}).encode(),
    ]
    for body in absurd:
        answer = await gate(body)
        assert answer.status_code in (200, 400), (answer.status_code, body[:40])
        if answer.status_code == 200:
            assert answer.json()["status"] == "ignored"
    assert await gate.started() == 0


async def test_the_client_hears_it_is_too_slow(tmp_path):
    """The configured deadlines are the listener's."""
    slow = {"header_timeout_seconds": 0.3, "body_timeout_seconds": 0.3, "max_connections": 50}
    async with Gate.open(tmp_path, gateway=slow) as gate:
        whole = request("POST /webhooks/github HTTP/1.1", b"x" * 10)
        for part in (whole[:30], whole[:-1]):
            async with wire_to(gate.url) as late:
                late.send(part)
                assert (await late.answer()).status == 408
        async with AsyncExitStack() as held:
            for _ in range(60):
                await held.enter_async_context(wire_to(gate.url))
            async with httpx.AsyncClient(timeout=PATIENCE) as http:
                assert (await http.get(f"{gate.url}/livez")).status_code == 200
