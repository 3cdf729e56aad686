"""What one job's workflow does next.

Two facts are kept apart: the job (queued → in progress on some runner → completed) and the runner
launched for it (none → starting → busy → gone), because GitHub gives a job to any idle runner with
its labels. A permit follows the runner: it is held from before the launch until the runner is gone
(docs/decisions/0002-permits-follow-runners.md).
"""

from dataclasses import dataclass

from policy import names
from policy.job_state import NUDGE_SLACK_SECONDS, JobState, Patience

ACQUIRE = "acquire"  # ask the semaphore (again)
RELEASE = "release"  # give the lease back, or leave the queue
TOKEN = "token"  # noqa: S105 - a step's name
LAUNCH = "launch"
RETIRE = "retire"  # deregister our runner; stop it only if GitHub says it was idle
LOOK_UP = "look_up"  # ask GitHub for the job's state
WAIT = "wait"
END = "end"


@dataclass(frozen=True)
class Step:
    """The next step and why; `until` bounds a wait, `outcome` names an end.

    `backstop`: the wait needs no timer of its own, because a nudge comes at about that time.
    """

    do: str
    why: str
    until: float | None = None
    outcome: str = ""
    backstop: bool = False


def decide(state: JobState, patience: Patience, now: float) -> Step:
    """The next step of a job. Each step taken changes the state, so that no step repeats."""
    if may_have_run(state) and not state.lease and not state.waiting_since:
        due = state.gone_at + patience.relaunch  # events come a moment later than the end
        why = "its runner ended, and nobody said with which job"
        return Step(LOOK_UP, why) if now >= due else Step(WAIT, why, due)
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
        due = min(_look_up_due(state, patience), state.queued_at + patience.queue)
        if _owes_a_runner(state) and now < due:
            return _serve(state, patience, now)
    return _wind_down(state, patience, now, outcome)


def may_have_run(state: JobState) -> bool:
    """Our runner ended without a word of any job: events get lost, all while the gateway is down.

    So GitHub is asked before another runner is launched for nothing, or the job called failed.
    """
    unknown = state.phase == "queued" and state.unserved and state.looked_up_at < state.gone_at
    return unknown and not state.stop_asked


def _owes_a_runner(state: JobState) -> bool:
    """The job runs on the runner of another job of ours, which is queued still and stands nowhere.

    So the runner that was to come for this job comes all the same, once: as many runners as jobs.
    A job that was refused owes none while the fleet drains: nothing new begins, not even for it.
    """
    taken = state.phase == "in_progress" and names.job_of_runner(state.on_runner) != ""
    owes = taken and state.admitted and state.launches == 0
    return owes and not state.failure and not state.stop_asked


def _serve(state: JobState, patience: Patience, now: float) -> Step:
    """The job, or the one whose runner it took, is queued and wants a runner."""
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
        until = min(ask_again, state.queued_at + patience.queue)
        if state.not_before > now:
            return Step(WAIT, state.held_up, until)
        return _watched_wait(state, "it waits for a permit of its repository", until)
    if state.token_missing:
        return Step(TOKEN, "it needs a runner token")
    return Step(LAUNCH, "it has a permit")


def _await_start(state: JobState, patience: Patience, now: float) -> Step:
    late = max(state.launched_at, state.retire_tried_at) + patience.start
    if now >= late:
        return Step(RETIRE, f"its runner took no job within {patience.start:.0f} s")
    return _watched_wait(state, "its runner starts", late)


def _watched_wait(
    state: JobState, why: str, until: float, *, nudge_suffices: bool = False
) -> Step:
    """A wait for what should come by itself.

    It is left to the semaphore's nudge if that comes in time: not later than the wait is to end,
    or (`nudge_suffices`) whenever it comes. A job that was nudged is a long one and keeps its own
    time from then on.
    """
    in_time = nudge_suffices or until >= state.nudge_at - NUDGE_SLACK_SECONDS
    backstop = state.watched and not state.nudged_at and in_time
    return Step(WAIT, why, until, backstop=backstop)


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
        # Most runners end within a second. The usual patience may be stretched to the nudge, a
        # shorter one was asked for.
        usual = patience.finish >= Patience.finish
        return _watched_wait(state, "its runner ends", overdue, nudge_suffices=usual)
    if state.lease or state.waiting_since:
        return Step(RELEASE, "it needs no permit")
    if over:
        return Step(END, outcome, outcome=outcome)
    # In progress, and no runner of ours is alive: GitHub owes us the end of the job.
    if ours:
        why = "its runner is gone; GitHub will report the end"
    else:
        why = f"it runs on {state.on_runner or 'another runner'}"
    due = _look_up_due(state, patience)
    return Step(LOOK_UP, why) if now >= due else Step(WAIT, why, due)


def _look_up_due(state: JobState, patience: Patience) -> float:
    """When GitHub is asked for the end of a job in progress, of which no event has told us."""
    ours = state.on_runner == state.runner_name
    pause = patience.report if ours else patience.look_up
    return max(state.gone_at, state.in_progress_at, state.looked_up_at) + pause


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
    queued = state.phase == "queued" and not state.failure and not state.stop_asked
    wanted = state.lease or queued or _owes_a_runner(state)
    if not wanted:
        return lease
    state.lease = lease
    state.granted_at = now
    state.nudged_at = 0.0
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
    """Our runner took a job: ours, or another's. A short one's end may be told before that."""
    if runner_name != state.runner_name:
        return
    if state.runner == "starting":
        state.runner = "busy"
        state.runner_took = job
    elif state.runner == "gone" and state.unserved:
        state.took_late = job


def heard_late(state: JobState) -> None:
    """The runner that had gone without a word did take a job (`took_late`): it was not in vain.

    Unless GitHub was asked meanwhile, and has said so already.
    """
    state.runner_took = state.took_late
    state.took_late = ""
    if not state.unserved:
        return
    state.unserved = False
    state.wasted -= 1
    state.failure = ""


def launching(state: JobState, runner_name: str, now: float) -> None:
    """We are about to start a runner. Entered before the act: word of it may come during it."""
    state.runner = "starting"
    state.runner_name = runner_name
    state.runner_took = state.took_late = ""
    state.launched_at = now
    state.first_launched_at = state.first_launched_at or now
    state.retire_tried_at = 0.0
    state.launches += 1
    state.token_ready = False
    state.unserved = False


def launch_failed(state: JobState, why: str, patience: Patience, now: float) -> None:
    """No runner came of the launch: it counts as one that served nobody."""
    state.reasons = [*state.reasons, why][-5:]
    runner_gone(state, state.runner_name, patience, now)
    state.unserved = False  # there was none; whoever tried to launch it has counted that


def launch_undone(state: JobState) -> None:
    """The launch did not begin: there was no token for it after all.

    Unless its runner has been heard of meanwhile: then an earlier try began it.
    """
    if state.runner == "starting":
        state.runner = "none"
        state.launches -= 1


def token_missing(state: JobState) -> None:
    """The launch found no token at hand: it is undone, and a token seen to before the next."""
    launch_undone(state)
    state.token_missing = state.runner == "none"


def token_ready(state: JobState) -> None:
    """A token has been seen to: the next launch takes it, or waits for it as long as need be."""
    state.token_missing = False
    state.token_ready = True


def hold_up(state: JobState, why: str, until: float) -> None:
    """No launch before `until`: the permit goes back and the job queues again meanwhile."""
    state.held_up = why
    state.not_before = until
    state.held_up_times += 1


def runner_gone(
    state: JobState, runner_name: str, patience: Patience, now: float, why: str = ""
) -> None:
    """Our runner has ended, whatever it did; `why` is its provider's word, if it has one."""
    if runner_name != state.runner_name or state.runner not in ("starting", "busy"):
        return
    if why:
        state.reasons = [*state.reasons, why][-5:]
    if state.runner == "starting" and state.phase == "queued":
        state.wasted += 1
        state.unserved = True
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


def looked_up(
    state: JobState, status: str, conclusion: str, now: float, runner_name: str = ""
) -> None:
    """GitHub's own word on the job; `missing` when it knows no such job any more."""
    state.looked_up_at = now
    if state.unserved and status in ("in_progress", "completed"):
        # The job was served, by our runner as likely as not: that launch was not in vain.
        state.unserved = False
        state.wasted -= 1
        state.failure = ""
    if status == "completed":
        completed(state, conclusion, runner_name, now)
    elif status == "missing":
        completed(state, "unknown", "", now)
    elif status == "in_progress" and state.phase == "queued":
        in_progress(state, runner_name, now)
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
    state.nudged_at = 0.0


def asked(state: JobState, now: float) -> None:
    """We stand in the semaphore's queue."""
    state.waiting_since = state.waiting_since or now
    state.asked_at = now
    state.nudged_at = 0.0


def nudged(state: JobState, now: float) -> None:
    """The semaphore says that it is time to look at the clock.

    That proves that it knows us: a waiter is as good as one that has just asked. One without
    lease or place is late news.
    """
    if state.lease:
        state.nudged_at = now
    elif state.waiting_since:
        asked(state, now)
