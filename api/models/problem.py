"""Every answer other than success (RFC 9457)."""

from pydantic import BaseModel, ConfigDict, Field


class ProblemDetails(BaseModel):
    """What went wrong, in one line that names the mend."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not authenticated",
                    "status": 401,
                    "detail": "give an admin key: Authorization: Bearer KEY",
                }
            ]
        },
    )
    type: str = Field(
        description="A URI of the kind of problem; about:blank for the status's own."
    )
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599, description="The HTTP status again.")
    detail: str = Field(description="What is wrong here, and what to do about it.")
    code: str | None = Field(None, description="Why a webhook was refused, for programs.")
    retry_after_s: int | None = Field(None, ge=1, description="As Retry-After, in seconds.")
