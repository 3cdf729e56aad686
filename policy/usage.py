"""Recent use: permit-seconds that fade, so that who had much of the fleet lately goes behind.

With half-life h and r permits held since t₀, the use at t is u₀·2^(−(t−t₀)/h) + r·(h/ln 2)·(1 −
2^(−(t−t₀)/h)): the integral of r over time under exponential decay.
"""

import math
from dataclasses import dataclass

HALF_LIFE_SECONDS = 600.0
_CEILING = HALF_LIFE_SECONDS / math.log(2)  # what one permit held for ever comes to


@dataclass
class Usage:
    """Permit-seconds at the time `at` (epoch seconds), and the permits held since then."""

    amount: float = 0.0
    at: float = 0.0
    held: int = 0


def used(usage: Usage, now: float) -> float:
    """The decayed permit-seconds at `now`; a clock that went back counts as no time at all."""
    if not usage.amount and not usage.held:
        return 0.0
    left = 0.5 ** (max(0.0, now - usage.at) / HALF_LIFE_SECONDS)
    return usage.amount * left + usage.held * _CEILING * (1 - left)


def hold(usage: Usage, held: int, now: float) -> None:
    """From now on so many permits are held."""
    if held != usage.held:
        usage.amount = round(used(usage, now), 3)
        usage.at = now
        usage.held = held
