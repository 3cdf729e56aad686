"""GET and PATCH /admin/limits."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.models.base import WHOLE, Answer, Body, OwnerName, Reason, RepoName, example
from policy.limits import MAX_DEPTH, MAX_RUNNERS_CEILING, MAX_WEIGHT

Runners = Annotated[int, Field(ge=0, le=MAX_RUNNERS_CEILING), WHOLE]
Share = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=1 / MAX_WEIGHT, le=MAX_WEIGHT)]


def _table(empty: type[dict[str, Any]]) -> Any:
    """A table whose keys are names of the form given, and no others."""
    return Field(default_factory=empty, json_schema_extra={"additionalProperties": False})


class PressureBody(Body):
    """The thresholds of back-pressure to change; what is left out stays."""

    strategy: Literal["queue", "reject"] | None = None
    max_queue_depth: Annotated[int, Field(ge=1, le=MAX_DEPTH), WHOLE] | None = None
    max_concurrency_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    max_error_rate: Annotated[float, Field(gt=0, le=1)] | None = None


class LimitsBody(Body):
    """The limits to change; what is left out stays, null unsets a repository's or an owner's."""

    model_config = example(
        {"max_runners": 12, "repos": {"acme/api": 3}, "reason": "two machines more"},
        {"repos": {"acme/api": None}, "pressure": {"strategy": "reject"}},
    )
    max_runners: Runners | None = None
    max_repo_share: Share | None = None
    default: Runners | None = None
    repos: dict[RepoName, Runners | None] = _table(dict[str, int | None])
    orgs: dict[OwnerName, Runners | None] = _table(dict[str, int | None])
    weights: dict[RepoName, Weight | None] = _table(dict[str, float | None])
    pressure: PressureBody = PressureBody()
    reason: Reason = ""


class ThresholdsAnswer(Answer):
    """When the fleet counts as overloaded (docs/back-pressure.md)."""

    strategy: str = Field(description="`queue`: work waits here; `reject`: GitHub is the queue.")
    max_queue_depth: int
    max_concurrency_percent: float
    max_error_rate: float


class LimitsAnswer(Answer):
    """The limits in force: how many permits may be out at once."""

    model_config = example(
        {
            "max_runners": 12,
            "max_repo_share": 0.5,
            "default": 2,
            "repos": {"acme/api": 3},
            "orgs": {"acme": 8},
            "weights": {"acme/api": 2.0},
            "pressure": {
                "strategy": "queue",
                "max_queue_depth": 100,
                "max_concurrency_percent": 80.0,
                "max_error_rate": 0.05,
            },
        }
    )
    max_runners: int = Field(description="In the whole fleet.")
    max_repo_share: float = Field(description="The part of them that one repository may have.")
    default: int = Field(description="Of a repository without a limit of its own.")
    repos: dict[str, int]
    orgs: dict[str, int]
    weights: dict[str, float] = Field(
        default_factory=dict[str, float], description="A part beside others that wait; 1 unset."
    )
    pressure: ThresholdsAnswer | None = None
