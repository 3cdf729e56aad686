"""A token bucket as GCRA (generic cell rate algorithm): one number a key, no burst at the edges.

Source of the rule: ITU-T I.371; as a rate limiter: T = 1/rate, τ = T × burst, and a call passes
if max(now, TAT) + T − τ ≤ now, TAT being the theoretical arrival time.
"""

from dataclasses import dataclass

# Clocks of workers differ by a few seconds, however well they are kept.
AHEAD_SECONDS = 30.0


@dataclass(frozen=True)
class Rate:
    """`burst` calls at once, refilled evenly over `per_seconds`."""

    burst: int
    per_seconds: float

    @property
    def interval(self) -> float:
        """Seconds in which one call is refilled."""
        return self.per_seconds / self.burst


@dataclass(frozen=True)
class Taken:
    """The call may go; `arrival` is the bucket's new state."""

    arrival: float


@dataclass(frozen=True)
class Deferred:
    """The call may go after this many seconds."""

    retry_after: float


def take(arrival: float, rate: Rate, now: float, calls: int = 1) -> Taken | Deferred:
    """Take calls from a bucket whose state is `arrival` (0 for a new one), all or none.

    More calls than the burst would never pass; they count as a full burst. No bucket is emptier
    than empty: a state far beyond that was written by a clock that was ahead and has been set
    right since. It says nothing, and counts as none.
    """
    full = rate.interval * rate.burst
    if arrival > now + full + AHEAD_SECONDS:
        arrival = 0.0
    following = max(now, arrival) + rate.interval * min(calls, rate.burst)
    wait = following - full - now
    if wait > 1e-6:  # floats of epoch seconds carry about 2e-7; no call is early by more
        return Deferred(wait)
    return Taken(following)
