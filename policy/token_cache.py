"""When a cached runner token still serves, and when it should be refreshed."""

from typing import Literal

SERVES_SECONDS = 50 * 60.0
REFRESH_SECONDS = 45 * 60.0

Freshness = Literal["fresh", "refresh", "stale"]


def freshness(minted_at: float, expires_at: float, now: float) -> Freshness:
    """`fresh` for 45 min, `refresh` while the old one still serves (to 50 min), then `stale`.

    GitHub's tokens live for an hour; one that was given a shorter life is stale a minute before
    its end, so that a runner can still register with it.
    """
    age = now - minted_at
    if age >= SERVES_SECONDS or now >= expires_at - 60:
        return "stale"
    return "refresh" if age >= REFRESH_SECONDS else "fresh"


def installation_freshness(expires_at: float, now: float) -> Freshness:
    """An installation's token: renewed in its last ten minutes, not begun with in its last five.

    An activity may run for a minute with the token it took (workflows/options.py).
    """
    if now >= expires_at - 300:
        return "stale"
    return "refresh" if now >= expires_at - 600 else "fresh"
