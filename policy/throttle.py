"""GitHub's refusals: which answers are a rate limit, and until when to keep still.

Rule (GitHub's documentation, best practices for the REST API): `retry-after` says it; else, with
nothing remaining, the reset time; else at least 60 seconds, and more each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

Kind = Literal["primary", "secondary"]

UNSAID_SECONDS = 60.0
# GitHub's limits are of minutes and of an hour. What is told beyond a day is no time of GitHub's,
# and would stop an organization for good.
LONGEST_SAID_SECONDS = 86_400.0
SECONDARY_WORDS = ("secondary rate limit", "abuse detection")
SECONDARY_DOCS = ("secondary-rate-limits", "#abuse-rate-limits")


@dataclass(frozen=True)
class Refusal:
    """A limit that was hit: GitHub must not be called before `until` (epoch seconds).

    `said`: GitHub named the time itself.
    """

    kind: Kind
    until: float
    said: bool


def refusal_of(
    status: int, headers: Mapping[str, str], message: str, documentation: str, now: float
) -> Refusal | None:
    """What an answer says of a rate limit; None if it is none.

    `headers` have lower-case names, `now` is by the clock that the answer's reset time is told by.
    A 403 that is none of these is a missing permission.
    """
    if status not in (403, 429):
        return None
    primary = headers.get("x-ratelimit-remaining") == "0"
    kind: Kind = "primary" if primary else "secondary"
    latest = now + LONGEST_SAID_SECONDS
    until = _time_in(headers.get("retry-after", ""), now)
    if until is not None:
        return Refusal(kind, min(until, latest), said=True)
    if primary:
        reset = headers.get("x-ratelimit-reset", "")
        if reset.isdecimal():
            return Refusal(kind, min(max(now + 1, float(reset)), latest), said=True)
        return Refusal(kind, now + UNSAID_SECONDS, said=False)
    secondary = any(words in message.lower() for words in SECONDARY_WORDS)
    if status == 429 or secondary or documentation.endswith(SECONDARY_DOCS):
        return Refusal(kind, now + UNSAID_SECONDS, said=False)
    return None


def _time_in(retry_after: str, now: float) -> float | None:
    """Seconds, as GitHub says them, or a date, as RFC 9110 allows (a proxy's); None if neither."""
    if retry_after.isdecimal():
        return now + float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(now, date.replace(tzinfo=date.tzinfo or UTC).timestamp())
