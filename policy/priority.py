"""Order among jobs: four levels, and ageing so that none of them waits for ever."""

PRIORITIES: tuple[str, ...] = ("critical", "high", "normal", "low")
DEFAULT_PRIORITY = "normal"
AGE_STEP_SECONDS = 600.0
_LEVELS = {name: rank for rank, name in enumerate(PRIORITIES)}
_DEFAULT_LEVEL = _LEVELS[DEFAULT_PRIORITY]


def level(priority: str) -> int:
    """The rank of a priority name, 0 first; an unknown name counts as normal."""
    return _LEVELS.get(priority, _DEFAULT_LEVEL)


def effective_level(priority: str, arrived_at: float, now: float) -> int:
    """The rank after ageing: one level up for each 10 minutes waited, never above critical.

    This bounds every wait: the lowest job is in the top level after three steps, and there the
    earlier arrival goes first.
    """
    rank = _LEVELS.get(priority, _DEFAULT_LEVEL)
    if rank and now > arrived_at:
        steps = int((now - arrived_at) // AGE_STEP_SECONDS)
        return rank - steps if steps < rank else 0
    return rank
