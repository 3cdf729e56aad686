"""GET /admin/dead-letters, and what becomes of one."""

from typing import Any

from pydantic import Field

from api.models.base import Answer, Time, example
from api.models.page import Page


class DeadLetterAnswer(Answer):
    """What was refused or failed for good, with why and what to do."""

    model_config = example(
        {
            "id": "delivery-acme-api-29679449526-queued",
            "kind": "delivery",
            "reason": "the system is draining",
            "at": 1795561200.5,
            "next_step": "replayed once there is room; now: penstock dead-letters replay",
            "repo": "acme/api",
            "job_id": "29679449526",
            "payload": {},
            "first_at": 1795557600.5,
            "times": 2,
            "retry_at": 1795561260.5,
            "guid": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "cause": "draining",
        }
    )
    id: str
    kind: str = Field(
        description="`delivery` (a refused webhook), `job` (it failed for good), or `unreadable`."
    )
    reason: str
    at: Time
    next_step: str
    repo: str
    job_id: str
    payload: dict[str, Any] = Field(description="All that bringing it back takes.")
    first_at: Time = Field(description="Of the first refusal; 0 if there was one.")
    times: int = Field(description="How often the event was refused.")
    retry_at: Time = Field(description="Not replayed by itself before this time.")
    guid: str = Field(description="The last delivery's number at GitHub. It is not signed.")
    cause: str = Field(description="A short code: `draining`, `temporal`, `fault`, …")


class DeadLetterPage(Page):
    """The oldest first."""

    dead_letters: list[DeadLetterAnswer]
    total: int = Field(ge=0)


class Replayed(Answer):
    """What became of a replayed event, as a webhook would have been answered."""

    model_config = example(
        {
            "status": "accepted",
            "workflow_id": "runner-job/acme/api/29679449526",
            "priority": "normal",
        }
    )
    status: str = Field(description="`accepted`, or `duplicate` if the job was known.")
    workflow_id: str
    priority: str


class Purged(Answer):
    """What was forgotten."""

    model_config = example({"purged": ["delivery-acme-api-29679449526-queued"]})
    purged: list[str] = Field(description="Ids.")
