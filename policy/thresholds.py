"""From where on the fleet counts as overloaded, and what the gateway does then."""

from dataclasses import dataclass, replace

STRATEGIES = ("queue", "reject")


@dataclass
class Thresholds:
    """As operators set them; policy/pressure.py says what each does under which strategy.

    `queue`: work waits in Penstock. `reject`: GitHub is the queue, and recovery brings refused
    work back when there is room. `max_queue_depth` is a number of waiting jobs,
    `max_concurrency_percent` a part of `max_runners` (percent), `max_error_rate` a part of
    launches.
    """

    strategy: str = "queue"
    max_queue_depth: int = 100
    max_concurrency_percent: float = 80.0
    max_error_rate: float = 0.05


@dataclass
class ThresholdsChange:
    """A change of some; what is None stays."""

    strategy: str | None = None
    max_queue_depth: int | None = None
    max_concurrency_percent: float | None = None
    max_error_rate: float | None = None

    def upon(self, old: Thresholds) -> Thresholds:
        """The thresholds after the change."""
        return replace(
            old, **{key: value for key, value in vars(self).items() if value is not None}
        )
