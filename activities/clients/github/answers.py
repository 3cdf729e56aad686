"""What an HTTP answer of GitHub's means: an object, or one of our errors."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx

from activities.errors import (
    GitHubConflict,
    GitHubInvalid,
    GitHubNotFound,
    GitHubPermission,
    GitHubRefused,
    GitHubUnavailable,
)
from activities.redaction import redacted
from policy.gate import Budget
from policy.throttle import LONGEST_SAID_SECONDS, Refusal, refusal_of

_KINDS: dict[int, type[GitHubRefused]] = {
    401: GitHubPermission,
    403: GitHubPermission,
    404: GitHubNotFound,
    409: GitHubConflict,
    410: GitHubNotFound,
}


def limit_in(response: httpx.Response, now: float) -> Refusal | None:
    """The rate limit that the answer tells of. `now` is GitHub's time."""
    said = words(response)
    return refusal_of(
        response.status_code,
        response.headers,
        str(said.get("message", "")),
        str(said.get("documentation_url", "")),
        now,
    )


def error_of(response: httpx.Response) -> GitHubRefused | GitHubUnavailable:
    """The error that an answer is which is neither good nor a rate limit."""
    status, request = response.status_code, response.request
    message = str(words(response).get("message", ""))[:200]
    said = redacted(f"{request.method} {request.url.path}: {status} {message}".rstrip())
    trace = response.headers.get("x-github-request-id", "")
    if trace:
        said += f" (request {trace[:60]})"
    if status >= 500 or status < 400:
        return GitHubUnavailable(said)
    return _KINDS.get(status, GitHubInvalid)(said)


def words(response: httpx.Response) -> dict[str, Any]:
    """What a refusal says, if that is an object."""
    try:
        answer: object = response.json()
    except ValueError:
        return {}
    return cast(dict[str, Any], answer) if isinstance(answer, dict) else {}


def object_in(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a good answer; a proxy's page in its place is no word of GitHub's."""
    try:
        answer: object = response.json() if response.content else {}
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        request = response.request
        raise GitHubUnavailable(f"{request.method} {request.url.path}: an answer without sense")
    return cast(dict[str, Any], answer)


def list_in(response: httpx.Response) -> list[dict[str, Any]]:
    """The JSON list of a good answer."""
    try:
        answer: object = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, list):
        raise GitHubUnavailable(f"GET {response.request.url.path}: an answer without sense")
    return cast(list[dict[str, Any]], answer)


def said(answer: dict[str, Any], key: str) -> str:
    """A word that must be there."""
    if not (value := str(answer.get(key) or "")):
        raise GitHubUnavailable(f"GitHub's answer has no {key}")
    return value


def time_of(text: object) -> float | None:
    """Epoch seconds of an ISO 8601 time."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def date_of(response: httpx.Response) -> float | None:
    """GitHub's clock, from the Date header: whole seconds; not of an answer kept by a proxy."""
    if "age" in response.headers:
        return None
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None


def budget_in(response: httpx.Response, now: float) -> tuple[str, Budget] | None:
    """The primary limit that the answer counts against: its name, and what is left of it."""
    head = response.headers
    numbers = [head.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(number.isdecimal() and len(number) < 16 for number in numbers):
        return None  # a GitHub Enterprise Server counts nothing by default
    limit, remaining, reset = (int(number) for number in numbers)
    return head.get("x-ratelimit-resource", "core"), Budget(
        limit, remaining, min(reset, now + LONGEST_SAID_SECONDS)
    )
