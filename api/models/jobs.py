"""GET /admin/jobs and /admin/jobs/{owner}/{repo}/{job_id}."""

from typing import Literal

from pydantic import Field

from api.models.base import Answer, Seconds, Time, example
from api.models.page import Page


class JobListed(Answer):
    """A job that waits or runs."""

    model_config = example(
        {
            "repo": "acme/api",
            "job_id": "29679449526",
            "workflow_id": "runner-job/acme/api/29679449526",
            "started_at": 1795561200.5,
        }
    )
    repo: str
    job_id: str
    workflow_id: str
    started_at: Time


class JobPage(Page):
    """The newest first."""

    jobs: list[JobListed]


class JobRunner(Answer):
    """The runner that was launched for the job."""

    name: str
    state: str


class PermitEstimate(Answer):
    """Seconds until its permit comes."""

    p50: float
    p90: float
    upper: float
    method: str
    samples: int


class JobExplained(Answer):
    """One job: where it is, what holds it, and for how long (docs/explain.md)."""

    model_config = example(
        {
            "repo": "acme/api",
            "job_id": "29679449526",
            "workflow_id": "runner-job/acme/api/29679449526",
            "priority": "normal",
            "state": "queued",
            "runner": {"name": "", "state": "none"},
            "why": "2 of 5 in line of acme/api; acme/api is at its limit of 2 (2 in use)",
            "permit": "waiting",
            "waited_seconds": 12.5,
            "launches": 0,
            "not_before": 0.0,
            "reasons": [],
            "semaphore": "repo-semaphore/acme/api",
            "position": 2,
            "waiting_in_repo": 5,
            "priority_now": "normal",
            "limit": "repo",
            "estimate": {
                "p50": 30.0,
                "p90": 80.0,
                "upper": 120.0,
                "method": "repository",
                "samples": 40,
            },
        }
    )
    repo: str
    job_id: str
    workflow_id: str
    priority: str
    state: str
    runner: JobRunner
    why: str
    permit: Literal["held", "waiting", "none"]
    waited_seconds: Seconds
    launches: int
    not_before: float = Field(
        description="Epoch seconds before which it may take no permit; or 0."
    )
    reasons: list[str] = Field(description="What went wrong so far, the last five.")
    semaphore: str
    ended: str | None = Field(None, description="How its workflow ended, if it has.")
    position: int | None = Field(
        None, description="Place in its repository's line, while waiting."
    )
    waiting_in_repo: int | None = None
    priority_now: str | None = Field(None, description="After ageing.")
    limit: str | None = Field(None, description="Which limit holds it.")
    estimate: PermitEstimate | None = None


class JobWaiting(Answer):
    """A job that waits for its permit."""

    model_config = example(
        {
            "repo": "acme/api",
            "job_id": "29679449526",
            "workflow_id": "runner-job/acme/api/29679449526",
            "priority": "normal",
            "waited_seconds": 12.5,
            "position": 2,
            "priority_now": "normal",
            "limit": "repo",
            "why": "2 of 5 in line of acme/api; acme/api is at its limit of 2 (2 in use)",
            "estimate": {
                "p50": 30.0,
                "p90": 80.0,
                "upper": 120.0,
                "method": "repository",
                "samples": 40,
            },
        }
    )
    repo: str
    job_id: str
    workflow_id: str
    priority: str
    waited_seconds: Seconds
    position: int | None
    priority_now: str | None
    limit: str
    why: str
    estimate: PermitEstimate | None


class WaitingJobs(Answer):
    """The first in line."""

    waiting: int = Field(ge=0, description="How many wait in all, of the repositories asked for.")
    jobs: list[JobWaiting]


class JobEnded(Answer):
    """A job whose workflow has ended."""

    model_config = example(
        {
            "repo": "acme/api",
            "job_id": "29679449526",
            "workflow_id": "runner-job/acme/api/29679449526",
            "started_at": 1795561200.5,
            "ended_at": 1795561260.5,
            "ended": "completed",
            "outcome": "completed",
            "conclusion": "success",
            "waited": 2.5,
            "ran": 55.0,
            "runner": "penstock-29679449526-1",
            "launches": 1,
            "reason": "",
        }
    )
    repo: str
    job_id: str
    workflow_id: str
    started_at: Time
    ended_at: Time
    ended: str = Field(description="How its workflow ended, in Temporal's word.")
    outcome: str = Field("", description="What became of it; empty if it was ended from outside.")
    conclusion: str = ""
    waited: float = Field(0.0, description="Seconds until its first permit.")
    ran: float = Field(0.0, description="Seconds that its runners lived.")
    runner: str = ""
    launches: int = 0
    reason: str = ""


class EndedJobs(Answer):
    """The last to end first."""

    jobs: list[JobEnded]
