"""Paths of a RunnerJob."""

from policy import names
from policy.job_state import Patience
from tests.record.paths.path import paths
from tests.record.run import Run

USUAL = Patience()


def ended(run: Run, outcome: str, conclusion: str = "") -> bool:
    """How its result says that it went."""
    result = run.ended_with
    return result.get("outcome") == outcome and conclusion in ("", result["conclusion"])


def launched(run: Run) -> int:
    """Runners, as its result counts them."""
    return int(run.ended_with.get("launches", 0))


def took_another(run: Run) -> bool:
    """Its runner was given another's job."""
    own = names.job_of(run.history.workflow_id)
    return any(told["job_id"] not in ("", own) for told in run.told("runner_busy"))


def on_anothers(run: Run) -> bool:
    """It ran on a runner that was launched for another job of ours."""
    own = names.job_of(run.history.workflow_id)
    ran_on = {names.job_of_runner(told["runner_name"]) for told in run.told("job_in_progress")}
    return bool(ran_on - {"", own})


def left_the_queue(run: Run) -> bool:
    """It told its semaphore that it waits no more."""
    return any(name == "release" and not message["lease"] for name, _, message in run.sent)


def gave_back(run: Run) -> int:
    """Leases that it gave back."""
    return sum(name == "release" and bool(message["lease"]) for name, _, message in run.sent)


def waited_without_permit(run: Run) -> bool:
    """It gave its permit back and stands in line with a time before which it wants none."""
    return any(name == "acquire" and message["not_before"] for name, _, message in run.sent)


def order(run: Run) -> list[str]:
    """GitHub's events in the order in which they came."""
    return [name for name, _ in run.heard if name in ("job_in_progress", "job_completed")]


def first(run: Run, signal: str) -> int:
    """Which of its signals was the first of this name; all of them if there was none."""
    heard = [name for name, _ in run.heard]
    return heard.index(signal) if signal in heard else len(heard)


def cancelled_in_activity(run: Run) -> bool:
    """The cancel came while an activity ran, which was not cancelled."""
    asked = run.of("WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    if not asked or not ended(run, "stopped"):
        return False
    under_way = {number for number in run.scheduled if number < asked[0].id}
    under_way -= {
        int(event.attributes["scheduledEventId"])
        for kind in ("COMPLETED", "FAILED")
        for event in run.of(f"ACTIVITY_TASK_{kind}")
        if event.id < asked[0].id
    }
    return bool(under_way) and not run.events["ACTIVITY_TASK_CANCEL_REQUESTED"]


JOBS = paths(
    names.RUNNER_JOB,
    (
        "plain",
        "a permit, a launch with the token at hand, the runner's work, the permit back",
        lambda run: (
            ended(run, "completed", "success")
            and run.did == {"launch_runner": 1}
            and not run.events["TIMER_STARTED"]
            and gave_back(run) == 1
        ),
    ),
    (
        "token-fetched",
        "its launch finds no token: it has one fetched and launches again",
        lambda run: (
            ended(run, "completed")
            and run.failures("launch_runner") == ["TokenMissing"]
            and bool(run.results("launch_runner"))
            and run.did["acquire_runner_token"] == 1
        ),
    ),
    (
        "cancelled-while-waiting",
        "cancelled at GitHub before it had a permit: it leaves the line and launches nothing",
        lambda run: (
            ended(run, "cancelled")
            and not launched(run)
            and left_the_queue(run)
            and not run.unheard
        ),
    ),
    (
        "cancelled-while-running",
        "cancelled at GitHub while its runner worked",
        lambda run: (
            ended(run, "cancelled") and bool(run.told("job_in_progress")) and launched(run) > 0
        ),
    ),
    (
        "operator-cancels-waiting",
        "its workflow is cancelled while it waits for a permit",
        lambda run: (
            ended(run, "stopped")
            and run.events["WORKFLOW_EXECUTION_CANCEL_REQUESTED"] > 0
            and not launched(run)
        ),
    ),
    (
        "operator-cancels-running",
        "its workflow is cancelled with an idle runner: that is seen off, the permit comes back",
        lambda run: (
            ended(run, "stopped")
            and run.events["WORKFLOW_EXECUTION_CANCEL_REQUESTED"] > 0
            and run.did["retire_runner"] > 0
            and gave_back(run) > 0
        ),
    ),
    (
        "operator-cancels-launching",
        "its workflow is cancelled in the middle of an activity, which is carried to its end",
        cancelled_in_activity,
    ),
    (
        "terminated",
        "its workflow is terminated with a permit in its hands",
        lambda run: run.status == "terminated" and bool(run.told("granted")),
    ),
    (
        "completed-first",
        "its end is the first that is heard of it: nothing is launched",
        lambda run: (
            ended(run, "completed") and order(run)[:1] == ["job_completed"] and not launched(run)
        ),
    ),
    (
        "ran-elsewhere",
        "a runner that is none of ours did the work",
        lambda run: (
            ended(run, "completed")
            and any(
                not names.job_of_runner(told["runner_name"])
                for told in run.told("job_in_progress")
            )
        ),
    ),
    (
        "idle-runner-retired",
        "its job ended without its runner, which is deregistered and stopped",
        lambda run: (
            ended(run, "completed")
            and [one["result"] for one in run.results("retire_runner")] == ["gone"]
            and launched(run) == 1
        ),
    ),
    (
        "runner-stolen",
        "its runner was given another's job; it is served all the same",
        lambda run: ended(run, "completed", "success") and took_another(run),
    ),
    (
        "runner-stolen-and-relaunched",
        "its runner was given another's job and ended: another one is launched for it",
        lambda run: ended(run, "completed", "success") and took_another(run) and launched(run) > 1,
    ),
    (
        "on-anothers-runner",
        "it runs on the runner of another job of ours and launches the one that it owes",
        lambda run: ended(run, "completed") and on_anothers(run) and launched(run) == 1,
    ),
    (
        "expired",
        "queued for longer than its patience, here seconds: a dead letter, no launch",
        lambda run: (
            ended(run, "expired") and run.did["record_dead_letter"] == 1 and not launched(run)
        ),
    ),
    (
        "expired-after-a-day",
        "queued for the 24 hours that GitHub keeps a job (on a clock that skips)",
        lambda run: ended(run, "expired") and run.begun_with["patience"]["queue"] == USUAL.queue,
    ),
    (
        "throttled",
        "GitHub's limits hold up its token: it gives the permit back and waits without one",
        lambda run: (
            ended(run, "completed")
            and "TokenDeferred" in run.failures("acquire_runner_token")
            and waited_without_permit(run)
        ),
    ),
    (
        "launch-throttled",
        "GitHub's limits hold up the launch itself (JIT)",
        lambda run: (
            "TokenDeferred" in run.failures("launch_runner") and waited_without_permit(run)
        ),
    ),
    (
        "github-refuses",
        "GitHub refuses for a reason that an operator can mend: it waits and tries again",
        lambda run: (
            ended(run, "completed")
            and "GitHubRefused"
            in run.failures("acquire_runner_token") + run.failures("launch_runner")
        ),
    ),
    (
        "no-room",
        "the provider has no capacity: it waits without its permit, then is launched",
        lambda run: (
            ended(run, "completed")
            and "LaunchUnavailable" in run.failures("launch_runner")
            and waited_without_permit(run)
        ),
    ),
    (
        "launch-refused",
        "the provider will never start such a runner: three launches, then failed",
        lambda run: ended(run, "failed") and "LaunchRefused" in run.failures("launch_runner"),
    ),
    (
        "launch-tried-again",
        "a try of the launch failed and Temporal made another",
        lambda run: ended(run, "completed") and run.tried_again("launch_runner"),
    ),
    (
        "runner-died-first",
        "its runner ended before it took a job: GitHub is asked, another one is launched",
        lambda run: (
            ended(run, "completed", "success")
            and launched(run) == 2
            and run.did["look_up_job"] > 0
            and not run.did["retire_runner"]
        ),
    ),
    (
        "failed",
        "three runners in vain: failed, with a dead letter",
        lambda run: (
            ended(run, "failed") and launched(run) == 3 and run.did["record_dead_letter"] == 1
        ),
    ),
    (
        "never-picked-up",
        "its runner takes no job within the start timeout: retired, replaced",
        lambda run: (
            ended(run, "completed", "success")
            and launched(run) == 2
            and run.did["retire_runner"] > 0
            and run.events["TIMER_FIRED"] > 0
        ),
    ),
    (
        "start-timeout-of-ten-minutes",
        "the same with the usual ten minutes (on a clock that skips)",
        lambda run: (
            run.begun_with["patience"]["start"] == USUAL.start
            and run.did["retire_runner"] > 0
            and launched(run) > 1
        ),
    ),
    (
        "died-in-its-job",
        "its runner died at work: the permit is free at once, GitHub's word ends the job",
        lambda run: (
            ended(run, "completed", "failure")
            and [name for name, _ in run.heard][-2:] == ["runner_gone", "job_completed"]
        ),
    ),
    (
        "events-lost",
        "nobody told of its job's begin and end: GitHub is asked instead",
        lambda run: (
            ended(run, "completed", "success") and not order(run) and run.did["look_up_job"] > 0
        ),
    ),
    (
        "end-lost",
        "nobody told of its job's end: GitHub is asked after a while",
        lambda run: (
            ended(run, "completed")
            and order(run) == ["job_in_progress"]
            and run.did["look_up_job"] > 0
        ),
    ),
    (
        "asks-again",
        "its semaphore was gone when it asked again: revived by an activity",
        lambda run: (
            ended(run, "completed")
            and run.did["tell_semaphore"] > 0
            and "acquire" in run.unheard
            and run.events["TIMER_FIRED"] > 0
        ),
    ),
    (
        "asks-again-after-five-minutes",
        "the fallback of five minutes (on a clock that skips)",
        lambda run: (
            run.begun_with["patience"]["reacquire"] == 300.0
            and any(name == "acquire" for name, _, _ in run.sent)
            and run.events["TIMER_FIRED"] > 0
        ),
    ),
    (
        "gives-back-to-nobody",
        "its semaphore was gone when it gave its permit back: revived by an activity",
        lambda run: "release" in run.unheard and run.did["tell_semaphore"] > 0,
    ),
    (
        "nudged-waiting",
        "told to look at the clock while it waits",
        lambda run: "nudge" in [name for name, _ in run.heard][: first(run, "granted")],
    ),
    (
        "nudged-holding",
        "told to look at the clock while it holds a permit",
        lambda run: "nudge" in [name for name, _ in run.heard][first(run, "granted") :],
    ),
    (
        "granted-twice",
        "its semaphore said its lease again, or granted another one",
        lambda run: len(run.told("granted")) > 1 and ended(run, "completed"),
    ),
    (
        "runner-lost-without-trace",
        "the recovery tells it that its runner is gone",
        lambda run: any("why" not in told for told in run.told("runner_gone")),
    ),
    (
        "job-told-after-its-runners-end",
        "word of the job that a runner took comes after word of the runner's end",
        lambda run: "hears-late-of-a-served-job" in run.patches,
    ),
    (
        "pinned-to-a-version",
        "workers have versions: it stays with the one that it began on",
        lambda run: ended(run, "completed") and len(run.versions) == 1,
    ),
    (
        "moved-to-another-version",
        "an operator moved it to another version",
        lambda run: len(run.versions) > 1,
    ),
)
