"""Order among jobs: four levels, and ageing so that none of them waits for ever."""

PRIORITIES = ("critical", "high", "normal", "low")
DEFAULT_PRIORITY = "normal"
AGE_STEP_SECONDS = 600.0


def level(priority: str) -> int:
    """The rank of a priority name, 0 first; an unknown name counts as normal."""
    return PRIORITIES.index(priority if priority in PRIORITIES else DEFAULT_PRIORITY)


def effective_level(priority: str, arrived_at: float, now: float) -> int:
    """The rank after ageing: one level up for each 10 minutes waited, never above critical.

    This bounds every wait: the lowest job is in the top level after three steps, and there the
    earlier arrival goes first.
    """
    steps = int(max(0.0, now - arrived_at) // AGE_STEP_SECONDS)
    return max(0, level(priority) - steps)
