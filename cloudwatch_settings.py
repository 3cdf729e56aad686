"""The part of the configuration that says what CloudWatch is told (settings.py)."""

from pydantic import BaseModel, ConfigDict, Field, field_validator


class CloudWatchTable(BaseModel):
    """`[cloudwatch]`: metrics, and what `penstock setup` makes of them (docs/metrics.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    enabled: bool = False
    namespace: str = Field(default="Penstock", pattern=r"^[A-Za-z0-9._/-]{1,255}$")
    period_seconds: int = Field(default=60, ge=10, le=3600)
    repositories: int = Field(default=50, ge=0, le=500)  # told one by one; the rest as "other"
    alarm_topic_arn: str = Field(
        default="", pattern=r"^(arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256})?$"
    )
    alarm_prefix: str = Field(default="penstock-", pattern=r"^[A-Za-z0-9_.-]{0,100}$")
    dashboard: str = Field(default="Penstock", pattern=r"^[A-Za-z0-9_-]{1,255}$")

    @field_validator("namespace")
    @classmethod
    def _ours(cls, value: str) -> str:
        if value.startswith("AWS/"):
            raise ValueError("AWS/… is for AWS's own metrics: choose another, as Penstock")
        return value
