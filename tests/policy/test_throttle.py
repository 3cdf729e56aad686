"""GitHub's refusals, row by row of its documentation."""

import pytest

from policy.throttle import refusal_of

NOW = 1000.0
DOCS = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"


@pytest.mark.parametrize(
    ("status", "headers", "message", "documentation", "until"),
    [
        (200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1500"}, "", "", None),
        (500, {"retry-after": "30"}, "", "", None),
        (403, {"retry-after": "30"}, "", "", 1030.0),
        (429, {"retry-after": "0"}, "", "", 1000.0),
        (
            403,
            {"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1500"},
            "",
            "",
            1007.0,
        ),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1500"}, "", "", 1500.0),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900"}, "", "", 1001.0),
        (403, {"x-ratelimit-remaining": "0"}, "", "", 1060.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, "", "", 1060.0),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:30:00 GMT"}, "", "", 1800.0),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:30:00 -0000"}, "", "", 1800.0),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:10:00 GMT"}, "", "", 1000.0),
        (429, {"retry-after": "soon"}, "", "", 1060.0),
        (429, {"retry-after": "9" * 400}, "", "", 87_400.0),
        (429, {"retry-after": "\u00b2"}, "", "", 1060.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, "", "", 87_400.0),
        (403, {}, "You have exceeded a secondary rate limit. Please wait", "", 1060.0),
        (403, {}, "You have triggered an abuse detection mechanism", "", 1060.0),
        (403, {}, "Forbidden", f"{DOCS}#about-secondary-rate-limits", 1060.0),
        (403, {}, "Forbidden", "https://developer.github.com/v3/#abuse-rate-limits", 1060.0),
        (429, {"x-ratelimit-remaining": "12"}, "", "", 1060.0),
        (
            403,
            {"x-ratelimit-remaining": "12"},
            "Resource not accessible by integration",
            DOCS,
            None,
        ),
        (401, {}, "Bad credentials", "", None),
    ],
)
def test_each_refusal_says_until_when_to_keep_still(
    status: int, headers: dict[str, str], message: str, documentation: str, until: float | None
) -> None:
    """GitHub's own time if it says one, a minute if not, and no pause for a missing permission."""
    found = refusal_of(status, headers, message, documentation, NOW)
    assert (found.until if found else None) == until
    if found:
        assert (found.kind == "primary") is (headers.get("x-ratelimit-remaining") == "0")
        assert found.said is (until != NOW + 60)
