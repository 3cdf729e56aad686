"""GitHub's refusals: which answers are a rate limit, and until when to keep still.

Rule (GitHub's documentation, best practices for the REST API): `retry-after` says it; else, with
nothing remaining, the reset time; else at least 60 seconds.
"""

from collections.abc import Mapping

UNSAID_SECONDS = 60.0
SECONDARY_WORDS = ("secondary rate limit", "abuse detection")
SECONDARY_DOCS = ("secondary-rate-limits", "#abuse-rate-limits")


def limited_until(
    status: int, headers: Mapping[str, str], message: str, documentation: str, now: float
) -> float | None:
    """The time before which GitHub must not be called; None if this is no rate limit.

    `headers` have lower-case names. A 403 that is none of these is a missing permission.
    """
    if status not in (403, 429):
        return None
    retry_after = headers.get("retry-after", "")
    if retry_after.isdigit():
        return now + int(retry_after)
    if headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        return max(now + 1, float(reset)) if reset.isdigit() else now + UNSAID_SECONDS
    secondary = any(words in message.lower() for words in SECONDARY_WORDS)
    if status == 429 or secondary or documentation.endswith(SECONDARY_DOCS):
        return now + UNSAID_SECONDS
    return None
