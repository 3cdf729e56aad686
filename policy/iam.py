"""A caller's AWS identity: what a signed request must be, and what STS's answer to it means.

Nobody but AWS can verify a SigV4 signature. So the client signs a request that asks STS who it is,
and hands it to us; we pass it to STS, whose answer names the client. The pattern is that of
HashiCorp Vault's and aws-iam-authenticator's sign-in. For it to be safe the request must be that
question and no other, be meant for our STS endpoint and for this very Penstock (a signed header),
and be young. All of that is decided here, before anything is sent.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, cast
from xml.sax.saxutils import unescape

from policy.access import Scope

SCHEME = "Penstock-IAM"
SERVER_HEADER = "x-penstock-server-id"
BODY = "Action=GetCallerIdentity&Version=2011-06-15"
LARGEST = 16 * 1024  # of the credential, in characters: a session token has up to about 4 KiB
LARGEST_ANSWER = 64 * 1024
YOUNGEST_SECONDS = 15 * 60.0  # what AWS itself allows between its clock and the request's date
# What STS needs, and nothing else: no header of a client's choosing is passed on.
REQUIRED = ("authorization", "host", "x-amz-date", SERVER_HEADER)
ALLOWED = (*REQUIRED, "content-type", "x-amz-security-token", "x-amz-content-sha256")

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[\w/+=.-]{1,256}/\d{8}/[a-z0-9-]{1,40}/sts/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]{1,512}), ?Signature=[0-9a-f]{64}"
)
_VALUE = re.compile(r"[\x20-\x7e]{1,8192}")
_ARN = re.compile(r"<Arn>([^<>]{1,2048})</Arn>")
_CODE = re.compile(r"<Code>([\w.]{1,100})</Code>")
_SESSION = re.compile(
    r"arn:(?P<partition>[\w-]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/.+"
)
PATTERN = re.compile(
    r"arn:aws[a-z-]*:(iam|sts)::\d+:[^\[\]\s]+"
)  # its account is never a wildcard


@dataclass(frozen=True)
class IamRules:
    """Who is let in: patterns of ARNs (`*`, `?`), and what a signed request must name."""

    host: str  # of the STS endpoint, with its port unless that is the scheme's own
    server_id: str
    operate: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


@dataclass(frozen=True)
class SignedRequest:
    """A question to STS, signed by the client. Names of headers are lower case."""

    headers: dict[str, str]
    body: str = BODY


@dataclass(frozen=True)
class StsAnswer:
    """What STS said; status 0 if it said nothing, and why is in `text`."""

    status: int
    text: str


@dataclass(frozen=True)
class Refused:
    """The request is not one to be passed on, or STS does not know its signature."""

    why: str


@dataclass(frozen=True)
class Unavailable:
    """STS cannot be asked now."""

    why: str


@dataclass(frozen=True)
class Caller:
    """Who signed, as STS says."""

    arn: str


def write(headers: dict[str, str]) -> str:
    """The credential for a signed request: what follows the scheme in `Authorization`."""
    told = {"method": "POST", "headers": headers, "body": BODY}
    return base64.b64encode(json.dumps(told, separators=(",", ":")).encode()).decode()


def read(credential: str) -> SignedRequest | Refused:
    """The request in a credential, if it is one."""
    if len(credential) > LARGEST:
        return Refused(f"the credential is longer than {LARGEST} characters")
    try:
        told: object = json.loads(base64.b64decode(credential, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return Refused("the credential is not base64 of JSON")
    if not isinstance(told, dict) or set(cast(dict[str, Any], told)) != {
        "method",
        "headers",
        "body",
    }:
        return Refused("the credential must hold method, headers and body, and nothing else")
    asked = cast(dict[str, Any], told)
    headers = _headers(asked["headers"])
    if isinstance(headers, Refused):
        return headers
    if asked["method"] != "POST":
        return Refused("the method must be POST")
    if asked["body"] != BODY:
        return Refused(f"the body must be {BODY}")
    return SignedRequest(headers)


def _headers(told: object) -> dict[str, str] | Refused:
    if not isinstance(told, dict):
        return Refused("headers must be an object")
    headers: dict[str, str] = {}
    for name, value in cast(dict[str, object], told).items():
        key = name.lower()
        if key not in ALLOWED:
            return Refused(f"the header {name[:40]!r} does not belong into this request")
        if key in headers:
            return Refused(f"the header {key} is there twice")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            return Refused(f"the header {key} is no line of ASCII")
        headers[key] = value
    return headers


def check(request: SignedRequest, rules: IamRules, now: float) -> Refused | None:
    """Why the request may not be passed on; None if it may. Times are epoch seconds."""
    headers = request.headers
    for name in REQUIRED:
        if name not in headers:
            return Refused(f"the header {name} is missing")
    found = _AUTHORIZATION.fullmatch(headers["authorization"])
    if found is None:
        return Refused("authorization is no AWS4-HMAC-SHA256 signature for sts")
    signed = found["signed"].split(";")
    # What is not signed could be anybody's: only what is signed is passed on or believed.
    for name in headers:
        if name != "authorization" and name not in signed:
            return Refused(f"the header {name} is not signed")
    if headers["host"].lower() != rules.host:
        return Refused(f"it is signed for {headers['host'][:80]!r}; sign it for {rules.host}")
    if headers[SERVER_HEADER] != rules.server_id:
        return Refused(f"{SERVER_HEADER} names another server; this one is {rules.server_id!r}")
    try:
        date = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return Refused("x-amz-date is no date of the form 20260131T235959Z")
    if abs(now - date.timestamp()) > YOUNGEST_SECONDS:
        return Refused("it was signed more than 15 minutes ago, or by a clock that is wrong")
    return None


def heard(answer: StsAnswer) -> Caller | Refused | Unavailable:
    """What STS's answer means."""
    code = found[1] if (found := _CODE.search(answer.text)) else ""
    if answer.status == 200:
        arns = _ARN.findall(answer.text)
        if len(arns) != 1:
            return Unavailable("STS names nobody in its answer: is gateway.iam.sts_url right?")
        return Caller(unescape(arns[0]))
    if answer.status in (400, 401, 403) and "Throttl" not in code:
        return Refused(f"STS refuses the signature ({code or answer.status})")
    if answer.status == 0:
        return Unavailable(f"STS does not answer: {answer.text}")
    return Unavailable(f"STS answers {answer.status} {code}".rstrip())


def scope_of(arn: str, rules: IamRules) -> Scope | None:
    """What this identity may; None if no pattern is for it.

    A session of a role is let in by a pattern for itself or for its role. STS does not say the
    role's path, so that a pattern with a path fits no session.
    """
    names = [arn]
    if found := _SESSION.fullmatch(arn):
        names.append(f"arn:{found['partition']}:iam::{found['account']}:role/{found['role']}")
    scopes: tuple[tuple[Scope, tuple[str, ...]], ...] = (
        ("operate", rules.operate),
        ("read", rules.read),
    )
    for scope, patterns in scopes:
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
            return scope
    return None
