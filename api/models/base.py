"""What the models have in common, and the names that several of them use."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api import events

LONGEST_REASON = 500
OWNER, REPOSITORY = events.OWNER.pattern, events.REPOSITORY.pattern
JOB = r"^[1-9][0-9]{0,18}$"

Mode = Literal["normal", "draining", "maintenance"]
OwnerName = Annotated[str, StringConstraints(pattern=f"^{OWNER}$")]
RepoName = Annotated[str, StringConstraints(pattern=f"^{OWNER}/{REPOSITORY}$")]
Reason = Annotated[
    str,
    Field(max_length=LONGEST_REASON, description="Why; kept in the audit trail."),
]
Time = Annotated[float, Field(description="Epoch seconds.", examples=[1795561200.5])]
Seconds = Annotated[float, Field(description="Seconds.", examples=[42.5])]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)  # after an integer's bounds: to JSON 7 and 7.0 are one number


class Body(BaseModel):
    """What a client sends: nothing that is not known, no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What a workflow said, passed on; one of a newer version may say more."""

    model_config = ConfigDict(extra="allow")


def example(*examples: dict[str, Any], more: dict[str, Any] | None = None) -> ConfigDict:
    """A model's examples, for its description; `more` of JSON Schema beside its fields."""
    return ConfigDict(json_schema_extra={"examples": list(examples), **(more or {})})
