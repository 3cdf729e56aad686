"""What a RunnerJob is started with, what it is told, and what it answers at its end."""

from dataclasses import dataclass, field

from policy.job_state import Patience


@dataclass
class JobInput:
    """A job of ours, as its first webhook told it."""

    repo: str  # owner/repo, lower case
    job_id: str
    labels: list[str] = field(default_factory=list[str])
    priority: str = "normal"
    queued_at: float = 0.0
    patience: Patience = field(default_factory=Patience)
    asked: bool = True  # whoever started us asks the semaphore too
    admitted: bool = True  # False: begun by its `in_progress` while the fleet took no new work


@dataclass
class JobInProgress:
    """GitHub gave the job to this runner."""

    runner_name: str = ""


@dataclass
class JobCompleted:
    """The job has ended."""

    conclusion: str = ""
    runner_name: str = ""


@dataclass
class RunnerBusy:
    """A runner of ours took this job (its own or another's)."""

    runner_name: str
    job_id: str = ""


@dataclass
class RunnerGone:
    """A runner of ours has ended; `why`, where its provider says more than that."""

    runner_name: str
    why: str = ""


@dataclass
class JobResult:
    """How it went. Durations are seconds."""

    outcome: str
    conclusion: str
    waited: float  # from the webhook to the first permit
    ran: float  # all runners launched for it, together
    runner: str
    launches: int
    reason: str = ""
