"""GitHub's limits (docs:rate-limits): an hour, points a minute, at a time, registrations."""

import math
from collections import deque
from dataclasses import dataclass, field

from simulator.clock import Clock
from simulator.limits import Limits
from simulator.state.model import Json
from simulator.web import ApiError

CORE, REGISTRATION = "core", "actions_runner_registration"
LIMITS_DOCS = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
SECONDARY_DOCS = f"{LIMITS_DOCS}#about-secondary-rate-limits"
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID"
)
ANONYMOUS_PER_HOUR = 60


@dataclass(slots=True)
class Bucket:
    """The primary limit of one caller and resource; it opens again at `reset`."""

    reset: float
    used: int = 0


@dataclass(slots=True)
class Window:
    """What one caller spent on one endpoint lately."""

    spent: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    total: int = 0
    blocked_until: float = 0.0

    def forget(self, before: float) -> None:
        """Drop what lies too far back."""
        while self.spent and self.spent[0][0] <= before:
            self.total -= self.spent.popleft()[1]

    def spend(self, now: float, points: int) -> None:
        self.spent.append((now, points))
        self.total += points


class RateLimits:
    """All callers' use; `early`: calls made before the time that GitHub had named.

    Each by how many seconds after the refusal that named it: a call on its way then was too.
    """

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.limited = 0
        self.early: list[float] = []
        self._clock = clock
        self._limits = limits
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._windows: dict[tuple[str, str], Window] = {}
        self._registrations: dict[str, Window] = {}
        self._running: dict[str, int] = {}
        # When a caller may come again, and when it was told so.
        self._told: dict[tuple[str, str], tuple[float, float]] = {}

    def enter(self, caller: str) -> None:
        """A request has come: at most so many at a time; pair it with `leave`."""
        self._running[caller] = self._running.get(caller, 0) + 1
        if self._running[caller] > self._limits.concurrent:
            raise self.secondary(caller)

    def leave(self, caller: str) -> None:
        """The request is answered."""
        self._running[caller] -= 1

    def spend(self, caller: str, route: str, resource: str, points: int) -> None:
        """Count a request against its limits; ApiError 403 or 429 when one is used up."""
        now = self._clock.now()
        until, since = max(self._told.get((caller, name), (0.0, 0.0)) for name in (resource, "*"))
        if now < until:
            self.early.append(now - since)
        window = self._windows.setdefault((caller, route), Window())
        window.forget(now - self._limits.secondary_window_seconds)
        if now < window.blocked_until:
            raise self.secondary(caller, window.blocked_until - now)
        if window.total + points > self._limits.points_per_minute:
            window.blocked_until = now + self._limits.secondary_retry_after
            raise self.secondary(caller)
        bucket = self._bucket(caller, resource)
        if bucket.used >= self.limit_of(caller, resource):
            raise self.primary(caller, resource)
        bucket.used += 1
        window.spend(now, points)

    def give_back(self, caller: str, resource: str) -> None:
        """A request turned out to be free of the primary limit (docs: conditional requests)."""
        self._bucket(caller, resource).used -= 1

    def spend_registration(self, caller: str, scope: str) -> None:
        """Count a runner's registration: so many in 5 minutes per repository or organization."""
        now = self._clock.now()
        window = self._registrations.setdefault(scope, Window())
        window.forget(now - 300)
        if window.total >= self._limits.registrations_per_5_minutes:
            raise self.secondary(caller)
        window.spend(now, 1)

    def limit_of(self, caller: str, resource: str) -> int:
        """The primary limit per window."""
        if resource == REGISTRATION:
            return self._limits.registration_per_hour
        return ANONYMOUS_PER_HOUR if caller == "anonymous" else self._limits.core_per_hour

    def exhaust(self, caller: str, resource: str, seconds: float) -> ApiError:
        """Use a bucket up until `seconds` from now, as if others had called."""
        bucket = self._bucket(caller, resource)
        bucket.used = self.limit_of(caller, resource)
        bucket.reset = self._clock.now() + seconds
        return self.primary(caller, resource)

    def primary(self, caller: str, resource: str) -> ApiError:
        """The refusal of a used-up primary limit."""
        self.limited += 1
        self._told[caller, resource] = self._bucket(caller, resource).reset, self._clock.now()
        kind, _, number = caller.partition(":")
        whom = (
            f"installation ID {number}" if kind == "installation" else f"{kind} {number}".strip()
        )
        text = f"API rate limit exceeded for {whom}."
        return ApiError(self._limits.primary_status, text, LIMITS_DOCS)

    def secondary(
        self, caller: str, retry_after: float | None = -1.0, status: int | None = None
    ) -> ApiError:
        """The refusal of a secondary limit; `retry_after` None: no header, -1: the usual."""
        self.limited += 1
        if retry_after is not None and retry_after < 0:
            retry_after = self._limits.secondary_retry_after
        # Without the header a client has to wait a minute at least (docs:rate-limits).
        now = self._clock.now()
        self._told[caller, "*"] = now + (60 if retry_after is None else retry_after), now
        headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
        text = f"{SECONDARY}."
        return ApiError(status or self._limits.secondary_status, text, SECONDARY_DOCS, headers)

    def headers(self, caller: str, resource: str) -> dict[str, str]:
        """What every answer says of its bucket."""
        state = self.state(caller, resource)
        names = ("limit", "remaining", "used", "reset")
        return {f"X-RateLimit-{name.title()}": str(state[name]) for name in names} | {
            "X-RateLimit-Resource": resource
        }

    def state(self, caller: str, resource: str) -> Json:
        """A bucket as `GET /rate_limit` shows it."""
        bucket, limit = self._bucket(caller, resource), self.limit_of(caller, resource)
        used = min(bucket.used, limit)
        return {
            "limit": limit,
            "used": used,
            "remaining": limit - used,
            "reset": math.ceil(bucket.reset),
        }

    def _bucket(self, caller: str, resource: str) -> Bucket:
        now = self._clock.now()
        bucket = self._buckets.get((caller, resource))
        if bucket is None or bucket.reset <= now:
            bucket = Bucket(reset=now + self._limits.window_seconds)
            self._buckets[caller, resource] = bucket
        return bucket
