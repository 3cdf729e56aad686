"""What one job's workflow does next.

Two facts are kept apart: the job (queued → in progress on some runner → completed) and the runner
launched for it (none → starting → busy → gone), because GitHub gives a job to any idle runner with
its labels. A permit follows the runner: it is held from before the launch until the runner is gone
(docs/decisions/0002-permits-follow-runners.md).
"""

from dataclasses import dataclass, field
from typing import Literal

JobPhase = Literal["queued", "in_progress", "completed"]
RunnerPhase = Literal["none", "starting", "busy", "gone"]

ACQUIRE = "acquire"  # ask the semaphore (again)
RELEASE = "release"  # give the lease back, or leave the queue
TOKEN = "token"  # noqa: S105 - a step's name
LAUNCH = "launch"
RETIRE = "retire"  # deregister our runner; stop it only if GitHub says it was idle
LOOK_UP = "look_up"  # ask GitHub for the job's state
WAIT = "wait"
END = "end"


@dataclass
class Patience:
    """How long a job waits for what, in seconds, and how often it tries."""

    reacquire: float = 300.0
    queue: float = 24 * 3600.0  # GitHub drops a job queued for 24 h (docs: Actions limits)
    start: float = 600.0  # from launch to busy
    finish: float = 300.0  # from the job's end to the runner's
    report: float = 600.0  # from the runner's end to the job's (GitHub: up to 9 min 45 s)
    look_up: float = 3600.0  # for the end of a job that runs on somebody else's runner
    relaunch: float = 5.0  # first pause after a launch that served nobody; doubles
    max_launches: int = 3  # launches that served nobody


@dataclass
class JobState:
    """One job, its permit and its runner. Times are epoch seconds."""

    queued_at: float
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
    last_lease: str = ""  # the newest lease we ever had: older grants are void
    first_granted_at: float = 0.0

    token_ready: bool = False
    runner: RunnerPhase = "none"
    runner_name: str = ""
    runner_took: str = ""  # the job id it is busy with, as far as known
    launched_at: float = 0.0
    first_launched_at: float = 0.0
    gone_at: float = 0.0
    retire_tried_at: float = 0.0
    looked_up_at: float = 0.0
    launches: int = 0
    wasted: int = 0  # launches that served nobody
    failure: str = ""
    runner_seconds: float = 0.0
    reasons: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Step:
    """The next step and why; `until` bounds a wait, `outcome` names an end."""

    do: str
    why: str
    until: float | None = None
    outcome: str = ""


def decide(state: JobState, patience: Patience, now: float) -> Step:
    """The next step of a job. Each step taken changes the state, so that no step repeats."""
    if state.phase == "queued" and not state.failure and not state.stop_asked:
        if state.runner in ("none", "gone") and now >= state.queued_at + patience.queue:
            return _wind_down(state, patience, now, "expired")
        return _serve(state, patience, now)
    if state.phase == "completed":
        outcome = "cancelled" if state.conclusion == "cancelled" else "completed"
    elif state.stop_asked:
        outcome = "stopped"
    elif state.failure:
        outcome = "failed"
    else:
        outcome = ""  # in progress: there is no end yet
    return _wind_down(state, patience, now, outcome)


def _serve(state: JobState, patience: Patience, now: float) -> Step:
    """The job is queued and wants a runner."""
    if state.runner == "starting":
        return _await_start(state, patience, now)
    if state.runner == "busy":
        return Step(WAIT, f"its runner is busy with job {state.runner_took or 'unknown'}")
    if state.lease and state.not_before > now:
        return Step(RELEASE, f"{state.held_up}; it waits without its permit")
    if state.lease and state.runner == "gone" and state.granted_at <= state.gone_at:
        # Not kept for the next runner: in maintenance there must be none, and others may be ahead.
        return Step(RELEASE, "its runner is gone and the job is queued still")
    if not state.lease:
        if state.wasted and not state.waiting_since:
            next_try = state.gone_at + patience.relaunch * 2 ** (state.wasted - 1)
            if now < next_try:
                return Step(WAIT, "its last runner served nobody; the next comes soon", next_try)
        ask_again = state.asked_at + patience.reacquire
        if not state.waiting_since or now >= ask_again:
            return Step(ACQUIRE, "it has no permit")
        why = "it waits for a permit of its repository"
        if state.not_before > now:
            why = state.held_up
        return Step(WAIT, why, min(ask_again, state.queued_at + patience.queue))
    if not state.token_ready:
        return Step(TOKEN, "it needs a runner token")
    return Step(LAUNCH, "it has a permit and a token")


def _await_start(state: JobState, patience: Patience, now: float) -> Step:
    late = max(state.launched_at, state.retire_tried_at) + patience.start
    if now >= late:
        return Step(RETIRE, f"its runner took no job within {patience.start:.0f} s")
    return Step(WAIT, "its runner starts", late)


def _wind_down(state: JobState, patience: Patience, now: float, outcome: str) -> Step:
    """The job needs no more of us: see the runner off, then the permit, then end."""
    ours = state.on_runner == state.runner_name
    over = outcome != ""
    if state.runner == "starting":
        if over and not state.retire_tried_at:
            return Step(RETIRE, "its job ended without it")
        return _await_start(state, patience, now)
    if state.runner == "busy":
        if state.phase != "completed" or not ours:
            return Step(WAIT, f"its runner works on job {state.runner_took or 'unknown'}")
        overdue = max(state.job_ended_at, state.retire_tried_at) + patience.finish
        if now >= overdue:
            return Step(RETIRE, "its job ended and its runner did not")
        return Step(WAIT, "its runner ends", overdue)
    if state.lease or state.waiting_since:
        return Step(RELEASE, "it needs no permit")
    if over:
        return Step(END, outcome, outcome=outcome)
    # In progress, and no runner of ours is alive: GitHub owes us the end of the job.
    if ours:
        why, pause = "its runner is gone; GitHub will report the end", patience.report
    else:
        why, pause = f"it runs on {state.on_runner or 'another runner'}", patience.look_up
    due = max(state.gone_at, state.in_progress_at, state.looked_up_at) + pause
    return Step(LOOK_UP, why) if now >= due else Step(WAIT, why, due)


def granted(state: JobState, lease: str, now: float) -> str | None:
    """Enter a grant. The answer is a lease to give back at once, or None.

    Lease names sort by age: a grant older than the newest we had is void, a newer one replaces
    ours, because the semaphore knows only the newer.
    """
    if lease <= state.last_lease:
        # Void; but a semaphore that says it again believes that we hold it, and must hear.
        return lease if lease != state.lease else None
    state.last_lease = lease
    state.waiting_since = 0.0
    wanted = state.lease or (
        state.phase == "queued" and not state.failure and not state.stop_asked
    )
    if not wanted:
        return lease
    state.lease = lease
    state.granted_at = now
    state.first_granted_at = state.first_granted_at or now
    return None


def in_progress(state: JobState, runner_name: str, now: float) -> None:
    """GitHub gave the job to a runner."""
    if state.phase == "completed":
        return
    state.phase = "in_progress"
    state.on_runner = runner_name
    state.in_progress_at = now


def completed(state: JobState, conclusion: str, runner_name: str, now: float) -> None:
    """GitHub says that the job has ended; the first word counts."""
    if state.phase == "completed":
        return
    state.phase = "completed"
    state.conclusion = conclusion
    state.on_runner = runner_name or state.on_runner
    state.job_ended_at = now


def runner_busy(state: JobState, runner_name: str, job: str) -> None:
    """Our runner took a job: ours, or another's."""
    if runner_name == state.runner_name and state.runner == "starting":
        state.runner = "busy"
        state.runner_took = job


def launching(state: JobState, runner_name: str, now: float) -> None:
    """We are about to start a runner. Entered before the act: word of it may come during it."""
    state.runner = "starting"
    state.runner_name = runner_name
    state.runner_took = ""
    state.launched_at = now
    state.first_launched_at = state.first_launched_at or now
    state.retire_tried_at = 0.0
    state.launches += 1
    state.token_ready = False


def launch_failed(state: JobState, why: str, patience: Patience, now: float) -> None:
    """No runner came of the launch: it counts as one that served nobody."""
    state.reasons = [*state.reasons, why][-5:]
    runner_gone(state, state.runner_name, patience, now)


def launch_undone(state: JobState) -> None:
    """The launch did not begin: there was no token for it after all."""
    state.runner = "none"
    state.launches -= 1


def hold_up(state: JobState, why: str, until: float) -> None:
    """No token before `until`: the permit goes back and the job queues again meanwhile."""
    state.held_up = why
    state.not_before = until
    state.held_up_times += 1


def runner_gone(state: JobState, runner_name: str, patience: Patience, now: float) -> None:
    """Our runner has ended, whatever it did."""
    if runner_name != state.runner_name or state.runner not in ("starting", "busy"):
        return
    served_us = state.on_runner == runner_name
    if state.runner == "starting" and not served_us and state.phase == "queued":
        state.wasted += 1
        if state.wasted >= patience.max_launches:
            last = f": {state.reasons[-1]}" if state.reasons else ""
            state.failure = f"{state.wasted} runners took no job{last}"
    state.runner = "gone"
    state.gone_at = now
    state.runner_seconds += now - state.launched_at


def retired(state: JobState, result: str, patience: Patience, now: float) -> None:
    """The answer to RETIRE: `gone` (idle, or not known, and stopped), `busy`, or `unknown`."""
    state.retire_tried_at = now
    if result == "gone":
        runner_gone(state, state.runner_name, patience, now)
    elif result == "busy" and state.runner == "starting":
        state.runner = "busy"


def looked_up(state: JobState, status: str, conclusion: str, now: float) -> None:
    """GitHub's own word on the job; `missing` when it knows no such job any more."""
    state.looked_up_at = now
    if status == "completed":
        completed(state, conclusion, "", now)
    elif status == "missing":
        completed(state, "unknown", "", now)
    elif status == "queued" and state.phase == "in_progress":
        state.phase = "queued"
        state.on_runner = ""


def released(state: JobState, lease: str) -> None:
    """The semaphore has this lease back, or has taken us off its queue."""
    if state.lease != lease:
        return  # a newer one came meanwhile
    state.lease = ""
    state.waiting_since = 0.0
    state.granted_at = 0.0


def asked(state: JobState, now: float) -> None:
    """We stand in the semaphore's queue."""
    state.waiting_since = state.waiting_since or now
    state.asked_at = now
