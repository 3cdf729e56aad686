"""GitHub's refusals: which answers are a rate limit, and until when to keep still.

Rule (GitHub's documentation, best practices for the REST API): `retry-after` says it; else, with
nothing remaining, the reset time; else at least 60 seconds, and more each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

UNSAID_SECONDS = 60.0
SECONDARY_WORDS = ("secondary rate limit", "abuse detection")
SECONDARY_DOCS = ("secondary-rate-limits", "#abuse-rate-limits")


@dataclass(frozen=True)
class Refusal:
    """A limit that was hit: GitHub must not be called before `until` (epoch seconds).

    `said`: GitHub named the time itself.
    """

    kind: Literal["primary", "secondary"]
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
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    retry_after = headers.get("retry-after", "")
    if retry_after.isdigit():
        return Refusal(kind, now + int(retry_after), said=True)
    if primary:
        reset = headers.get("x-ratelimit-reset", "")
        if reset.isdigit():
            return Refusal(kind, max(now + 1, float(reset)), said=True)
        return Refusal(kind, now + UNSAID_SECONDS, said=False)
    secondary = any(words in message.lower() for words in SECONDARY_WORDS)
    if status == 429 or secondary or documentation.endswith(SECONDARY_DOCS):
        return Refusal(kind, now + UNSAID_SECONDS, said=False)
    return None
