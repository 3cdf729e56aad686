"""The part of the configuration that says what Penstock keeps at AWS for others (settings.py)."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

# What CloudWatch Logs takes (its API reference, PutRetentionPolicy).
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ConcurrencyTable(_Table):
    """`[concurrency]`: the DynamoDB table that shows what runs (docs/aws.md)."""

    enabled: bool = False
    table: str = Field(default="self-runners-concurrency", pattern=r"^[a-zA-Z0-9_.-]{3,255}$")
    every_seconds: float = Field(default=5.0, ge=0.1, le=3600)


class LogsTable(_Table):
    """`[logs]`: the CloudWatch log group that penstock setup makes for what runs in containers."""

    group: str = Field(default="", pattern=r"^[a-zA-Z0-9_./#-]{0,512}$")  # empty: none
    retention_days: int = 30

    @field_validator("retention_days")
    @classmethod
    def _known(cls, value: int) -> int:
        if value not in RETENTION_DAYS:
            raise ValueError(f"CloudWatch takes one of {', '.join(map(str, RETENTION_DAYS))}")
        return value
