"""A signed question to STS: passed on only if it is that question, ours, and young."""

import base64
import json
from datetime import UTC, datetime

import pytest

from policy import iam
from policy.iam import BODY, Caller, IamRules, Refused, SignedRequest, StsAnswer, Unavailable

NOW = 1_800_000_000.0
DATE = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ")
HOST = "sts.eu-central-1.amazonaws.com"
RULES = IamRules(
    HOST,
    "penstock.example.org",
    operate=("arn:aws:iam::123456789012:role/ops*",),
    read=("arn:aws:iam::123456789012:*",),
)
SIGNED = "content-type;host;x-amz-date;x-amz-security-token;x-penstock-server-id"


def signature(signed: str = SIGNED, service: str = "sts") -> str:
    """The look of a SigV4 signature."""
    credential = f"AKIAIOSFODNN7EXAMPLE/20270115/eu-central-1/{service}/aws4_request"
    return (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={'0a' * 32}"
    )


GOOD = {
    "Authorization": signature(),
    "Host": HOST,
    "X-Amz-Date": DATE,
    "X-Amz-Security-Token": "token",
    "X-Penstock-Server-Id": "penstock.example.org",
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
}


def verdict(headers: dict[str, str | None], now: float = NOW) -> str:
    """Why a request with these headers changed is refused; empty if it is not."""
    told = {name: value for name, value in {**GOOD, **headers}.items() if value is not None}
    found = iam.read(iam.write(told))
    if isinstance(found, SignedRequest):
        found = iam.check(found, RULES, now)
    return found.why if found else ""


def test_a_good_request_is_passed_on_as_it_was_signed() -> None:
    """Names of headers in lower case, values untouched."""
    request = iam.read(iam.write(GOOD))
    assert isinstance(request, SignedRequest)
    assert request.headers == {name.lower(): value for name, value in GOOD.items()}
    assert request.body == BODY
    assert iam.check(request, RULES, NOW) is None


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "another host": ({"Host": "evil.example.org"}, "sign it for sts.eu-central-1"),
    "another port": ({"Host": f"{HOST}:8443"}, "sign it for sts.eu-central-1"),
    "no host": ({"Host": None}, "header host is missing"),
    "another server": ({"X-Penstock-Server-Id": "other"}, "names another server"),
    "no server": ({"X-Penstock-Server-Id": None}, "x-penstock-server-id is missing"),
    "server not signed": ({"Authorization": signature("host;x-amz-date")}, "is not signed"),
    "no date": ({"X-Amz-Date": None}, "x-amz-date is missing"),
    "a strange date": ({"X-Amz-Date": "yesterday"}, "no date of the form"),
    "an old date": ({"X-Amz-Date": "20260101T000000Z"}, "15 minutes"),
    "no signature": ({"Authorization": None}, "authorization is missing"),
    "another scheme": ({"Authorization": "Bearer x"}, "no AWS4-HMAC-SHA256"),
    "another service": ({"Authorization": signature(service="iam")}, "signature for sts"),
    "a target": ({"X-Amz-Target": "x"}, "does not belong"),
    "a length": ({"Content-Length": "99"}, "does not belong"),
    "twice": ({"host": HOST}, "host is there twice"),
    "two lines": ({"X-Amz-Security-Token": "a\r\nHost: evil"}, "no line of ASCII"),
    "not ASCII": ({"X-Amz-Security-Token": "é"}, "no line of ASCII"),
    "empty": ({"Content-Type": ""}, "no line of ASCII"),
}


@pytest.mark.parametrize(("headers", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_passed_on(headers: dict[str, str | None], why: str) -> None:
    """Each with its reason."""
    assert why in verdict(headers)


@pytest.mark.parametrize(
    ("off", "good"), [(0, True), (899, True), (901, False), (-899, True), (-901, False)]
)
def test_a_request_is_young_on_either_clock(off: float, good: bool) -> None:
    """Fifteen minutes, as AWS has it."""
    assert (verdict({}, NOW + off) == "") == good


@pytest.mark.parametrize(
    "told",
    [
        b"no JSON",
        b"[]",
        b'"x"',
        json.dumps({"headers": GOOD, "body": BODY}).encode(),
        json.dumps({"method": "POST", "headers": GOOD, "body": BODY, "url": "x"}).encode(),
        json.dumps({"method": "GET", "headers": GOOD, "body": BODY}).encode(),
        json.dumps({"method": "POST", "headers": GOOD, "body": BODY + "&x=1"}).encode(),
        json.dumps({"method": "POST", "headers": GOOD, "body": "Action=AssumeRole"}).encode(),
        json.dumps({"method": "POST", "headers": [], "body": BODY}).encode(),
        json.dumps({"method": "POST", "headers": {"Host": 7}, "body": BODY}).encode(),
        b"[" * 9000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_such_request(told: bytes) -> None:
    """Another method, another question, another shape."""
    assert isinstance(iam.read(base64.b64encode(told).decode()), Refused)


def test_a_credential_is_bounded_and_base64() -> None:
    """Before it is decoded."""
    assert isinstance(iam.read("A" * (iam.LARGEST + 1)), Refused)
    assert isinstance(iam.read("not base64!"), Refused)


def answer(arn: str) -> str:
    """As STS writes it."""
    return (
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>{arn}</Arn><UserId>A</UserId><Account>1</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def error(code: str) -> str:
    """As STS writes it."""
    return f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (StsAnswer(200, answer("arn:aws:iam::1:user/a&amp;b")), Caller("arn:aws:iam::1:user/a&b")),
        (StsAnswer(200, "<html>"), Unavailable),
        (StsAnswer(200, answer("a") + answer("b")), Unavailable),
        (StsAnswer(403, error("SignatureDoesNotMatch")), Refused),
        (StsAnswer(400, error("ExpiredToken")), Refused),
        (StsAnswer(401, ""), Refused),
        (StsAnswer(400, error("Throttling")), Unavailable),
        (StsAnswer(302, ""), Unavailable),
        (StsAnswer(500, error("InternalFailure")), Unavailable),
        (StsAnswer(0, "ConnectError"), Unavailable),
    ],
)
def test_what_sts_says(said: StsAnswer, meaning: object) -> None:
    """A name, a no, or nothing to go by."""
    found = iam.heard(said)
    assert found == meaning or type(found) is meaning


@pytest.mark.parametrize(
    ("arn", "scope"),
    [
        ("arn:aws:iam::123456789012:role/ops", "operate"),
        ("arn:aws:iam::123456789012:role/ops-eu", "operate"),
        ("arn:aws:sts::123456789012:assumed-role/ops/ann", "operate"),
        ("arn:aws:sts::123456789012:assumed-role/dev/ops", "read"),
        ("arn:aws:iam::123456789012:user/ann", "read"),
        ("arn:aws:sts::999999999999:assumed-role/ops/ann", None),
        ("arn:aws:iam::999999999999:role/ops", None),
        ("arn:aws-cn:sts::123456789012:assumed-role/ops/ann", None),
        ("arn:aws:sts::123456789012:federated-user/ops", None),
    ],
)
def test_an_identity_has_the_scope_of_the_pattern_that_fits(arn: str, scope: str | None) -> None:
    """A session has its role's, in its own account and partition alone."""
    assert iam.scope_of(arn, RULES) == scope


def test_every_refusal_says_why() -> None:
    """A text that somebody can act on, and the limits where they are."""
    good = {"method": "POST", "headers": GOOD, "body": BODY}
    for told, why in (
        ("x" * (iam.LARGEST + 1), "longer than 16384"),
        ("x" * iam.LARGEST, "not base64 of JSON"),
        ("!" + _credential(good), "not base64 of JSON"),
        (_credential([]), "method, headers and body"),
        (_credential({**good, "method": "GET"}), "must be POST"),
        (_credential({**good, "body": "x"}), f"must be {BODY}"),
        (_credential({**good, "headers": []}), "must be an object"),
        (_credential({**good, "headers": {"y" * 50: "x"}}), f"{'y' * 40!r} does not"),
    ):
        found = iam.read(told)
        assert isinstance(found, Refused)
        assert why in found.why


def _credential(told: object) -> str:
    return base64.b64encode(json.dumps(told).encode()).decode()


def test_a_credential_is_written_without_a_space() -> None:
    """It is a header, and short."""
    assert b" " not in base64.b64decode(iam.write({"Host": HOST, "X-Amz-Date": DATE}))


def test_a_request_may_be_just_fifteen_minutes_old() -> None:
    """And one for a long host is quoted in part."""
    assert verdict({}, NOW + 900) == ""
    assert verdict({"Host": "h" * 100}).startswith(f"it is signed for {'h' * 80!r};")


@pytest.mark.parametrize(
    ("status", "text", "kind", "why"),
    [
        (200, "", Unavailable, "STS names nobody"),
        (403, "<Code>Expired</Code>", Refused, "STS refuses the signature (Expired)"),
        (403, "", Refused, "STS refuses the signature (403)"),
        (0, "no route", Unavailable, "STS does not answer: no route"),
        (1, "", Unavailable, "STS answers 1"),
        (500, "<Code>Oh</Code>", Unavailable, "STS answers 500 Oh"),
        (503, "", Unavailable, "STS answers 503"),
    ],
)
def test_what_sts_says_is_passed_on(status: int, text: str, kind: type, why: str) -> None:
    """Its code if it has one, else its status."""
    found = iam.heard(StsAnswer(status, text))
    assert isinstance(found, kind)
    assert found.why.startswith(why)
    assert status == 200 or found.why == why
