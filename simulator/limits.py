"""Every figure of GitHub's that a test may want smaller; the defaults are GitHub's own."""

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(slots=True)
class Limits:
    """Counts and seconds; changed by `POST /_control/limits`. Sources: README."""

    core_per_hour: int = 5000
    registration_per_hour: int = 10000
    window_seconds: float = 3600
    concurrent: int = 100
    points_per_minute: int = 900
    secondary_window_seconds: float = 60
    primary_status: int = 403
    secondary_status: int = 403
    secondary_retry_after: float = 60
    registrations_per_5_minutes: int = 1500
    installation_token_seconds: float = 3600
    registration_token_seconds: float = 3600
    delivery_window_seconds: float = 3 * 86400
    delivery_timeout: float = 10
    delivery_concurrency: int = 32
    runner_lost_seconds: float = 600
    runner_pickup_seconds: float = 60
    runner_offline_seconds: float = 0
    jit_unused_seconds: float = 0
    job_queue_seconds: float = 86400

    def change(self, wanted: dict[str, Any]) -> None:
        """Set the named fields; ValueError names an unknown field or a value that is no number."""
        names = {field.name for field in fields(self)}
        for name, value in wanted.items():
            if name not in names:
                raise ValueError(f"no such limit: {name}")
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{name} must be a number, 0 or more")
        for name, value in wanted.items():
            setattr(self, name, value)

    def view(self) -> dict[str, float]:
        """All of them, by name."""
        return asdict(self)
