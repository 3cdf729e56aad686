"""GET and PUT /admin/draining."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.models.base import Answer, Body, Mode, Reason, Seconds, Time, example
from policy.fleet import LONGEST_DEADLINE_SECONDS

NoDeadline = Annotated[float, Field(ge=0, le=0, description="Goes with mode draining.")]
NoStop = Annotated[
    bool,
    Field(description="Goes with mode maintenance.", json_schema_extra={"const": False}),
]
# What `contradiction` says of on_deadline, in the words of JSON Schema.
STOP_WANTS_A_DEADLINE = {
    "if": {"properties": {"on_deadline": {"const": "stop"}}, "required": ["on_deadline"]},
    "then": {
        "properties": {"deadline_seconds": {"exclusiveMinimum": 0}},
        "required": ["deadline_seconds"],
    },
}


class _ModeBody(Body):
    """What all modes have in common; contradictions are explained before anything else."""

    reason: Reason = ""

    @model_validator(mode="before")
    @classmethod
    def _contradictions(cls, told: Any) -> Any:
        if isinstance(told, dict) and (why := contradiction(told)):  # pyright: ignore[reportUnknownArgumentType]
            raise ValueError(why)
        return told  # pyright: ignore[reportUnknownVariableType]


class NormalBody(_ModeBody):
    """Take all work."""

    model_config = example({"mode": "normal", "reason": "the new kernel is in"})
    mode: Literal["normal"]
    deadline_seconds: NoDeadline = 0.0
    on_deadline: Literal["leave"] = "leave"
    stop_running: NoStop = False


class DrainingBody(_ModeBody):
    """Take no new work, finish what is queued and running."""

    model_config = example(
        {"mode": "draining", "reason": "kernel update"},
        {"mode": "draining", "reason": "reboot", "deadline_seconds": 1800, "on_deadline": "stop"},
        more=STOP_WANTS_A_DEADLINE,
    )
    mode: Literal["draining"]
    deadline_seconds: float = Field(
        default=0.0,
        ge=0,
        le=LONGEST_DEADLINE_SECONDS,
        description="By when it should be empty, from now on, in seconds; 0 is none.",
    )
    on_deadline: Literal["leave", "stop"] = Field(
        default="leave",
        description="What becomes of the rest then: leave it to end by itself, or stop it"
        " (maintenance; its jobs fail).",
    )
    stop_running: NoStop = False


class MaintenanceBody(_ModeBody):
    """Take no new work and start none; what is queued is kept."""

    model_config = example(
        {"mode": "maintenance", "reason": "moving the fleet"},
        {"mode": "maintenance", "reason": "fire", "stop_running": True},
    )
    mode: Literal["maintenance"]
    deadline_seconds: NoDeadline = 0.0
    on_deadline: Literal["leave"] = "leave"
    stop_running: bool = Field(
        default=False, description="Stop every runner at once too; their jobs fail."
    )


ModeBody = Annotated[NormalBody | DrainingBody | MaintenanceBody, Field(discriminator="mode")]


def contradiction(told: dict[str, Any]) -> str:
    """What cannot be meant, with what to say instead; empty if there is nothing.

    >>> contradiction({"mode": "draining", "stop_running": True})[:30]
    'stop_running goes with mode ma'
    """
    mode, deadline = told.get("mode"), told.get("deadline_seconds") or 0
    if told.get("stop_running") and mode != "maintenance":
        return (
            "stop_running goes with mode maintenance alone: to stop what runs at once say mode"
            " maintenance; to drain and stop the rest at a time say mode draining with"
            " deadline_seconds and on_deadline stop"
        )
    if deadline and mode != "draining":
        return "deadline_seconds goes with mode draining alone: leave it out, or say mode draining"
    if told.get("on_deadline") == "stop" and not (deadline and mode == "draining"):
        return (
            "on_deadline stop wants a deadline: say mode draining with deadline_seconds; to stop"
            " what runs at once say mode maintenance with stop_running"
        )
    return ""


class Eta(Answer):
    """Seconds until the fleet is empty."""

    p50: float = Field(description="In half of such cases it is by then.")
    p90: float
    upper: float = Field(description="The worst case that was played through.")


class RepoDrain(Answer):
    """One repository's part of the drain."""

    repo: str
    running: int = Field(ge=0)
    waiting: int = Field(ge=0)
    p50: Seconds
    p90: Seconds
    method: str
    samples: int = Field(ge=0)


class DrainStatus(Answer):
    """The mode, and when the fleet will be empty (docs/drain-estimate.md)."""

    model_config = example(
        {
            "mode": "draining",
            "since": 1795561200.5,
            "reason": "kernel update",
            "deadline_at": 1795563000.5,
            "deadline_seconds": 1800.0,
            "on_deadline": "leave",
            "running": 2,
            "waiting": 1,
            "drained": False,
            "eta_seconds": {"p50": 95.0, "p90": 240.0, "upper": 410.0},
            "eta_at": 1795561301.0,
            "method": "repository",
            "samples": 64,
            "by_repo": [
                {
                    "repo": "acme/api",
                    "running": 2,
                    "waiting": 1,
                    "p50": 95.0,
                    "p90": 240.0,
                    "method": "repository",
                    "samples": 64,
                }
            ],
            "blocking": [],
        }
    )
    mode: Mode
    since: Time
    reason: str
    deadline_at: float = Field(0.0, description="Epoch seconds; 0 without a deadline.")
    deadline_seconds: float = Field(0.0, description="As it was asked for.")
    on_deadline: str = Field("", description="leave or stop; empty without a deadline.")
    running: int = Field(ge=0)
    waiting: int = Field(ge=0)
    drained: bool = Field(description="Told to drain, and nothing runs or waits any more.")
    eta_seconds: Eta
    eta_at: Time
    method: str = Field(description="What the estimate is made from.")
    samples: int = Field(ge=0, description="Of how many runners' lives.")
    by_repo: list[RepoDrain]
    blocking: list[RepoDrain] = Field(description="The slowest five.")
