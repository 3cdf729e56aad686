"""What is known of one job, its permit and its runner; how patient we are with each."""

from dataclasses import dataclass, field
from typing import Literal

JobPhase = Literal["queued", "in_progress", "completed"]
RunnerPhase = Literal["none", "starting", "busy", "gone"]

# A semaphore that knows a job says "look at the clock" (`nudge`): to a holder once its lease is
# this old, to a waiter so often. Until then neither sets a timer: each timer is a billable action
# (docs/decisions/0005-no-timers-per-job.md).
HOLDER_NUDGE_SECONDS = 600.0
WAITER_NUDGE_SECONDS = 3600.0
# The semaphore counts from when it granted or heard, the job from when it heard or asked.
NUDGE_SLACK_SECONDS = 5.0


@dataclass
class Patience:
    """How long a job waits for what, in seconds, and how often it tries."""

    reacquire: float = 3600.0
    queue: float = 24 * 3600.0  # GitHub drops a job queued for 24 h (docs: Actions limits)
    start: float = 600.0  # from launch to busy
    finish: float = 300.0  # from the job's end to the runner's
    report: float = 600.0  # from the runner's end to the job's (GitHub: up to 9 min 45 s)
    look_up: float = 3600.0  # for the end of a job that runs on somebody else's runner
    relaunch: float = 5.0  # first pause after a launch that served nobody; doubles
    max_launches: int = 3  # launches that served nobody
    unavailable: float = 60.0  # first pause without token or room; doubles to 10 times it


@dataclass
class JobState:
    """One job, its permit and its runner. Times are epoch seconds."""

    queued_at: float
    admitted: bool = True  # False: the fleet took no new work when its first word came
    phase: JobPhase = "queued"
    conclusion: str = ""
    on_runner: str = ""  # the runner that GitHub gave the job to
    in_progress_at: float = 0.0
    job_ended_at: float = 0.0
    stop_asked: bool = False  # the workflow was cancelled

    lease: str = ""
    granted_at: float = 0.0
    waiting_since: float = 0.0  # in the semaphore's queue since; 0 when not in it
    asked_at: float = 0.0
    not_before: float = 0.0  # no permit is of use before this time,
    held_up: str = ""  # for this reason
    held_up_times: int = 0
    nudged_at: float = 0.0  # told to look at the clock, since the present lease or the asking
    last_lease: str = ""  # the newest lease we ever had: older grants are void
    first_granted_at: float = 0.0

    token_missing: bool = False  # a launch found none at hand
    token_ready: bool = False  # acquire_runner_token has seen to one, for the next launch
    runner: RunnerPhase = "none"
    runner_name: str = ""
    runner_took: str = ""  # the job id it is busy with, as far as known
    launched_at: float = 0.0
    first_launched_at: float = 0.0
    gone_at: float = 0.0
    retire_tried_at: float = 0.0
    looked_up_at: float = 0.0
    launches: int = 0
    unserved: bool = False  # the last runner came, and went without a job
    took_late: str = ""  # the job that it took after all: told after its end, not entered yet
    wasted: int = 0  # launches that served nobody
    failure: str = ""
    runner_seconds: float = 0.0
    reasons: list[str] = field(default_factory=list[str])

    @property
    def watched(self) -> bool:
        """Whether a semaphore knows the job, and nudges it if that takes long."""
        return bool(self.lease or self.waiting_since)

    @property
    def nudge_at(self) -> float:
        """When the next nudge comes at the latest, if the job is watched."""
        if self.lease:
            return self.granted_at + HOLDER_NUDGE_SECONDS
        return self.asked_at + WAITER_NUDGE_SECONDS
