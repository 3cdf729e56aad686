"""Fewer permits while launches fail: halved at once, then one more for each healthy minute.

Halving and slow recovery are the additive-increase, multiplicative-decrease rule of congestion
control (Chiu & Jain, "Analysis of the increase and decrease algorithms", 1989). The capacity never
falls under one: a fleet that launches nothing would never learn that it is well again.
"""

from dataclasses import dataclass, replace

from policy.launches import MIN_SAMPLES, WINDOW_SECONDS, Span, Tally, tally

MINUTE = 60.0


@dataclass
class Slowdown:
    """`capacity` None: full speed. Launches before `counted_from` have had their effect."""

    capacity: int | None = None
    counted_from: float = 0.0  # of the last halving, or of the return to full speed
    looked_at: float = 0.0  # when the last minute was judged
    cause: str = ""


def step(slow: Slowdown, spans: list[Span], full: int, rate: float, now: float) -> Slowdown:
    """The slow-down after a look at the launches. `full` is max_runners, `rate` what is borne."""
    since = max(now - WINDOW_SECONDS, slow.counted_from)
    seen = tally(spans, since)
    bad = seen.samples >= MIN_SAMPLES and seen.over(rate)
    if slow.capacity is None:
        return _halved(full, seen, now) if bad and full > 1 else slow
    if now < slow.looked_at + MINUTE:
        return slow
    if bad and slow.capacity > 1:
        return _halved(slow.capacity, seen, now)
    if tally(spans, now - MINUTE).over(rate):
        return replace(slow, looked_at=now)
    if slow.capacity + 1 >= full:
        return Slowdown(counted_from=now)
    return replace(slow, capacity=slow.capacity + 1, looked_at=now)


def next_look(slow: Slowdown) -> float | None:
    """When time alone may change it; None at full speed."""
    return None if slow.capacity is None else slow.looked_at + MINUTE


def _halved(capacity: int, seen: Tally, now: float) -> Slowdown:
    percent = 100 * seen.failed / seen.samples
    cause = f"{seen.failed} of {seen.samples} launches failed ({percent:.0f} %)"
    return Slowdown(max(1, capacity // 2), now, now, cause)
