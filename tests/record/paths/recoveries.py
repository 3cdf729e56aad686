"""Paths of a Recovery."""

from policy import names
from tests.record.paths.path import paths
from tests.record.run import Run

PARTS = (
    "ask_fleet",
    "replay_letters",
    "redeliver",
    "start_queued_jobs",
    "see_off_orphans",
    "tell_of_lost_runners",
)


def former(run: Run) -> bool:
    """Whether it was handed the result of a run before it."""
    return bool(run.history.events[0].attributes.get("lastCompletionResult"))


def whole(run: Run) -> bool:
    """Whether every part was gone through without a failure."""
    return set(PARTS) == set(run.did) and not run.ended_with.get("failures", {"": ""})


RECOVERIES = paths(
    names.RECOVERY,
    (
        "nothing-to-do",
        "every part looks and finds nothing",
        lambda run: (
            whole(run)
            and not run.ended_with["deliveries_redelivered"]
            and not run.ended_with["jobs_started"]
            and not run.ended_with["letters_replayed"]
        ),
    ),
    (
        "begins-where-the-last-one-stopped",
        "it has a former run's checkpoint",
        lambda run: whole(run) and former(run),
    ),
    (
        "first",
        "there was no run before it",
        lambda run: run.status == "completed" and not former(run),
    ),
    (
        "redelivers",
        "deliveries that failed are asked for again",
        lambda run: whole(run) and run.ended_with["deliveries_redelivered"] > 0,
    ),
    (
        "replays-letters",
        "dead letters are replayed",
        lambda run: run.ended_with.get("letters_replayed", 0) > 0,
    ),
    (
        "starts-lost-jobs",
        "jobs are queued at GitHub and have no workflow",
        lambda run: whole(run) and run.ended_with["jobs_started"] > 0,
    ),
    (
        "drained",
        "the fleet takes nothing new: only what frees capacity is paid",
        lambda run: (
            run.ended_with.get("mode") in ("draining", "maintenance")
            and not run.did["start_queued_jobs"]
        ),
    ),
    (
        "parts-fail",
        "a part fails, the others go on",
        lambda run: (
            run.events["ACTIVITY_TASK_FAILED"] > 0 and bool(run.ended_with.get("failures"))
        ),
    ),
    (
        "sees-off-orphans",
        "runners are left over and are stopped",
        lambda run: run.ended_with.get("runners_stopped", 0) > 0,
    ),
    (
        "tells-of-lost-runners",
        "a runner has left no trace: its job is told",
        lambda run: run.ended_with.get("jobs_told", 0) > 0,
    ),
    (
        "former-is-nonsense",
        "what a former run left is not understood: it starts anew",
        lambda run: former(run) and isinstance(former_result(run), str),
    ),
    (
        "versioned",
        "workers have versions",
        lambda run: bool(run.versions),
    ),
)


def former_result(run: Run) -> object:
    """The result of the run before it."""
    return run.history.events[0].attributes["lastCompletionResult"]["payloads"][0]
