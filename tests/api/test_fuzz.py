"""The webhook under fire: whatever comes is answered below 500, and unsigned starts nothing."""

import asyncio
import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.signature import sign
from tests.api.gate import SECRET, Gate
from tests.support import count, job_payload, until

JOBS = "WorkflowType='RunnerJob'"
FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=500,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
async def gate(tmp_path_factory):
    """A gateway without a worker: what it starts stays, and can be counted."""
    async with Gate.open(tmp_path_factory.mktemp("gate")) as made:
        yield made


async def started(gate: Gate, marker: int) -> int:
    """How many jobs were started, once Temporal's list knows one that was started last."""
    assert (await gate(job_payload("queued", marker))).json()["status"] == "accepted"

    async def listed():
        return await count(gate.client, f"WorkflowId='runner-job/acme/api/{marker}'")

    await until(listed)
    return await count(gate.client, JOBS)


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)  # half characters included
    | st.sampled_from(["queued", "completed", "self-hosted", "../..", "a/b", "\x00", "acme"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
ACTIONS = st.sampled_from(["queued", "in_progress", "completed", "waiting"])


def places(value, path=()):
    """Every path into a payload."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    return found


@st.composite
def mutated(draw) -> dict:
    """A valid payload of which up to three parts are gone, or anything else."""
    payload = job_payload(draw(ACTIONS), draw(st.integers(7100, 7999)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(payload) or [("action",)]))
        table = payload
        for key in way:
            table = table[key]
        if draw(st.booleans()):
            table.pop(last, None)
        else:
            table[last] = copy.deepcopy(draw(ANY_JSON))
    return payload


@st.composite
def broken(draw, body: bytes) -> bytes:
    """The bytes of a body with some changed, cut off or put in."""
    at = draw(st.integers(0, len(body) - 1))
    change = draw(st.sampled_from(["flip", "cut", "insert", "double"]))
    if change == "flip":
        return body[:at] + bytes([body[at] ^ draw(st.integers(1, 255))]) + body[at + 1 :]
    if change == "cut":
        return body[:at]
    if change == "insert":
        return body[:at] + draw(st.binary(min_size=1, max_size=8)) + body[at:]
    return body + body


VALID = json.dumps(job_payload("queued", 7001)).encode()
SIGNATURES = st.one_of(
    st.just(""),
    st.from_regex(r"sha256=[0-9a-f]{64}", fullmatch=True),
    st.from_regex(r"sha(1|256|512)=[0-9a-fA-F]{0,70}", fullmatch=True),
    st.binary(max_size=90).filter(lambda raw: not set(raw) & set(b"\0\r\n")),
    st.just(sign("another", VALID)),
    st.just(sign(SECRET, VALID).upper()),
    st.just(sign(SECRET, VALID)[:-1]),
    st.just(sign(SECRET, VALID) + "0"),
)


async def post(gate: Gate, body: bytes, *headers: tuple[str, str | bytes]) -> int:
    """A delivery by hand, so that no library mends it: the status; 0 if there is no answer."""
    host, port = gate.url.removeprefix("http://").split(":")
    head = [("Host", host), ("Connection", "close"), ("Content-Length", str(len(body))), *headers]
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"POST /webhooks/github HTTP/1.1\r\n")
        for name, value in head:
            raw = value if isinstance(value, bytes) else value.encode()
            writer.write(name.encode() + b": " + raw + b"\r\n")
        writer.write(b"\r\n" + body)
        first = await reader.readline()
        await reader.read()
    except ConnectionError:
        return 0
    finally:
        writer.close()
    return int(first.split()[1]) if first else 0


async def test_what_is_not_signed_starts_nothing(gate):
    """Random bodies and valid ones, random signatures and nearly right ones: 401, or 400."""
    before = await started(gate, 6001)
    bodies = st.binary(max_size=2000) | st.just(VALID) | mutated().map(_dumps)

    @FUZZ
    @given(body=bodies, signature=SIGNATURES)
    async def fuzz(body, signature):
        event = ("X-GitHub-Event", "workflow_job")
        status = await post(gate, body, event, ("X-Hub-Signature-256", signature))
        assert status in (400, 401)  # 400: bytes that no header may hold

    await _run(fuzz)
    assert await started(gate, 6002) == before + 1


async def test_a_payload_changed_after_it_was_signed_starts_nothing(gate):
    """One byte is enough."""
    before = await started(gate, 6003)

    @FUZZ
    @given(body=broken(VALID).filter(lambda body: body != VALID))
    async def fuzz(body):
        event = ("X-GitHub-Event", "workflow_job")
        status = await post(gate, body, event, ("X-Hub-Signature-256", sign(SECRET, VALID)))
        assert status == 401

    await _run(fuzz)
    assert await started(gate, 6004) == before + 1


async def test_whatever_is_signed_is_answered_below_500(gate):
    """By GitHub, or by whoever has the secret: parts missing, of another kind, or no JSON."""

    @FUZZ
    @given(
        body=mutated().map(_dumps) | broken(VALID) | st.binary(max_size=500) | ANY_JSON.map(_dumps)
    )
    async def fuzz(body):
        event = ("X-GitHub-Event", "workflow_job")
        status = await post(gate, body, event, ("X-Hub-Signature-256", sign(SECRET, body)))
        assert status in (200, 400, 429)

    await _run(fuzz)
    foreign = await count(gate.client, f"{JOBS} AND PenstockOrg != 'acme'")
    assert foreign == 0


NAMES = st.sampled_from(
    [
        *("X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature"),
        *("Content-Type", "Content-Encoding", "Accept", "Cookie", "Authorization", "Forwarded"),
        *("X-Forwarded-For", "X-Forwarded-Host", "Origin", "Range", "If-Match", "Upgrade"),
    ]
)
VALUES = st.one_of(
    st.binary(max_size=60).filter(lambda raw: not set(raw) & set(b"\r\n")),
    st.text(max_size=40)
    .map(lambda text: text.encode("utf-8", "replace"))
    .filter(lambda raw: not set(raw) & set(b"\r\n")),
    st.sampled_from([b"workflow_job", b"gzip", b"application/json", b"x" * 4000, b""]),
)


async def test_odd_headers_do_no_harm(gate):
    """Doubled, without end, not ASCII: an answer below 500, and without a signature no start."""
    before = await started(gate, 6005)

    @FUZZ
    @given(headers=st.lists(st.tuples(NAMES, VALUES), max_size=12), good=st.booleans())
    async def fuzz(headers, good):
        # Signed or not: the payload is one that starts nothing.
        body = _dumps(job_payload("waiting", 7002)) if good else VALID
        if good:
            headers = [*headers, ("X-Hub-Signature-256", sign(SECRET, body).encode())]
        assert await post(gate, body, *headers) < 500

    await _run(fuzz)
    assert await started(gate, 6006) == before + 1


def _dumps(value) -> bytes:
    return json.dumps(value).encode()


async def _run(fuzz) -> None:
    """Hypothesis calls plain functions: examples run on this loop, called from a thread."""
    loop = asyncio.get_running_loop()
    inner = fuzz.hypothesis.inner_test

    def plain(**drawn):
        asyncio.run_coroutine_threadsafe(inner(**drawn), loop).result(60)

    fuzz.hypothesis.inner_test = plain
    await asyncio.to_thread(fuzz)
