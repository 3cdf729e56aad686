"""The product's long waits, made short: so that minutes of patience pass within one run.

The constants are those of production; nothing else differs. Whoever runs or replays workflows in
a chaos run calls `quicken` first: decisions inside workflows depend on some of them.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.worker import Worker

import api.app
import worker
from activities import heartbeat
from policy import job_state, pressure, recovery, redelivery, sweep
from policy.job import Patience
from settings import Settings
from workflows import fleet, repo_semaphore, runner_job
from workflows import recovery as workflow_of_recovery

# Module, name, seconds here; what they are in production stands beside each definition.
WAITS: tuple[tuple[Any, str, float], ...] = (
    (sweep, "SUSPECT_SECONDS", 20.0),
    (sweep, "STALL_SECONDS", 6.0),
    (sweep, "STALLED_AGE_SECONDS", 4.0),
    (sweep, "SECOND_LOOK_SECONDS", 2.0),
    (sweep, "WAITERS_PAUSE_SECONDS", 5.0),
    (sweep, "HOLDER_NUDGE_SECONDS", 20.0),
    (sweep, "WAITER_NUDGE_SECONDS", 20.0),
    (job_state, "HOLDER_NUDGE_SECONDS", 20.0),
    (job_state, "WAITER_NUDGE_SECONDS", 20.0),
    (redelivery, "FIRST_PAUSE_SECONDS", 8.0),
    (redelivery, "LONGEST_PAUSE_SECONDS", 20.0),
    # Retry-After is up to twice this, and no debt is paid before: 600 s else, by whose end a run
    # that waits for 300 has long been given up.
    (pressure, "LONGEST_RETRY_SECONDS", 60.0),
    (recovery, "LATE_SECONDS", 8.0),
    (recovery, "SECOND_LOOK_SECONDS", 8.0),
)
LOOK_UP_SECONDS = 15.0  # at a job that runs on somebody else's runner
SUSPECT_SECONDS = 20.0


def quicken() -> None:
    """Shorten the waits of this process."""
    for module, name, seconds in WAITS:
        if not hasattr(module, name):
            raise AttributeError(f"{module.__name__} has no {name} any more")
        setattr(module, name, seconds)
    usual = api.app.patience_of

    def patience_of(settings: Settings) -> Patience:
        return replace(usual(settings), look_up=LOOK_UP_SECONDS)

    api.app.patience_of = patience_of


def hurry() -> None:
    """For a worker that is killed again and again: no workflow is kept in memory, and an activity
    whose worker has died is soon tried again.
    """

    def without_cache(*given: Any, **what: Any) -> Worker:
        return Worker(*given, **{**what, "max_cached_workflows": 0})

    setattr(worker, "Worker", without_cache)  # noqa: B010 - it is a class there
    heartbeat.EVERY_SECONDS = 1.0
    for module in (fleet, repo_semaphore, runner_job, workflow_of_recovery):
        setattr(module, "HEARTBEAT", timedelta(seconds=5))  # noqa: B010 - a constant there


# Temporal waits for a dead worker's workflow task for ten seconds otherwise.
HURRIED = {"history.defaultWorkflowTaskTimeout": '"5s"'}


def tables() -> dict[str, dict[str, Any]]:
    """What the configuration can say of waits."""
    return {
        "runner": {
            "start_timeout_seconds": 15.0,
            "finish_timeout_seconds": 10.0,
            "report_timeout_seconds": 12.0,
            "reacquire_seconds": 20.0,
            "relaunch_seconds": 1.0,
            "unavailable_seconds": 3.0,
        },
        "recovery": {"every_seconds": 10, "points_per_run": 600},
    }


# The simulated GitHub's own patience with runners that are gone.
GITHUB = {"runner_lost_seconds": 8, "runner_pickup_seconds": 5}
