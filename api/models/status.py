"""GET /admin/status and /admin/repos."""

from pydantic import Field

from api.models.audit import AuditEntry
from api.models.base import Answer, Mode, Seconds, Time, example
from api.models.limits import LimitsAnswer
from api.models.page import Page


class PriorityWaiting(Answer):
    """The waiters of one priority that could take a permit now."""

    priority: str
    count: int = Field(ge=0)
    oldest_wait_seconds: Seconds


class RepoStatus(Answer):
    """One repository's permits."""

    model_config = example(
        {
            "repo": "acme/api",
            "running": 2,
            "waiting": 5,
            "oldest_wait_seconds": 12.5,
            "allotment": 2,
            "limit": 2,
            "settled": True,
            "org_limit": 8,
        }
    )
    repo: str
    running: int = Field(ge=0)
    waiting: int = Field(ge=0)
    oldest_wait_seconds: Seconds
    allotment: int = Field(description="How many permits its semaphore may have out.")
    limit: int = Field(description="Its own limit, or its share of the fleet if that is less.")
    settled: bool = Field(description="Whether its semaphore has answered this Fleet.")
    cause: str = Field("", description="Why the Fleet goes on without its word, if it does.")
    org_limit: int
    waiting_by_priority: list[PriorityWaiting] = Field(
        default_factory=list[PriorityWaiting],
        description="Those held up by a pause of their own are in `waiting` alone.",
    )


class TriggerView(Answer):
    """One trigger of back-pressure."""

    up: bool
    since: float | None = Field(description="Epoch seconds; null if it never moved.")
    load: float = Field(description="As a multiple of its threshold.")


class PressureView(Answer):
    """The load as this gateway sees it, and what it makes of it (docs/back-pressure.md)."""

    strategy: str
    max_queue_depth: int
    max_concurrency_percent: float
    max_error_rate: float
    degraded: bool = Field(description="The Fleet does not answer: Temporal's own count is used.")
    running: int
    waiting: int
    throttled: dict[str, float] = Field(description="As `cooling`.")
    triggers: dict[str, TriggerView]


class GitHubAllowance(Answer):
    """Calls of an hour that GitHub allows an identity, as a worker last heard."""

    identity: str = Field(description="`installation:OWNER`, `app` or `person`.")
    resource: str = Field(description="GitHub's name of the limit.")
    limit: int
    remaining: int
    reset_at: float = Field(description="When it is whole again, epoch seconds.")
    as_of: float = Field(description="Epoch seconds.")


class Status(Answer):
    """What the fleet does now."""

    mode: Mode
    since: Time
    reason: str
    limits: LimitsAnswer
    capacity: int = Field(description="How many permits may be out now.")
    effective_cause: str = Field(description="Why that is less than max_runners, if it is.")
    deadline_at: float = Field(0.0, description="Of a drain, epoch seconds; 0 without one.")
    on_deadline: str = ""
    last_drain_seconds: float = Field(
        0.0, description="From the last drain's order to drained; 0 before the first."
    )
    running: int = Field(ge=0)
    waiting: int = Field(ge=0)
    reserved: int = Field(ge=0)
    settled: bool
    unmet: bool
    rebuilt_at: Time
    cooling: dict[str, float] = Field(description="Organizations that GitHub paused, until when.")
    github: list[GitHubAllowance] = Field(
        default_factory=list[GitHubAllowance],
        description="What is left of GitHub's limits, told by workers now and then.",
    )
    repos: list[RepoStatus]
    audit: list[AuditEntry] = Field(description="The last ten changes, the newest last.")
    pressure: PressureView


class RepoPage(Page):
    """Repositories by name."""

    repos: list[RepoStatus]
