"""GET /admin/audit."""

from pydantic import Field

from api.models.base import Answer, Time, example
from api.models.page import Page


class AuditEntry(Answer):
    """One change: who, when, what, why."""

    model_config = example(
        {
            "at": 1795561200.5,
            "actor": "key ann",
            "what": "limits: max_runners 6 → 12",
            "reason": "two machines more",
        }
    )
    at: Time
    actor: str = Field(description="`key NAME`, `iam ARN`, `cli USER`, or a signal's own word.")
    what: str
    reason: str


class AuditPage(Page):
    """The newest first; the Fleet keeps the last fifty."""

    audit: list[AuditEntry]
