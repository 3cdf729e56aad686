"""Tests of the workflows once more, with a worker that keeps no workflow in memory.

Each workflow task then replays all that happened before it: what a workflow takes from elsewhere
than its history shows here, as a failed task or as a job that goes another way.
"""

from collections.abc import AsyncGenerator

import pytest
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.client import Client

import worker
from tests.support import histories
from tests.workflows import test_storm
from tests.workflows.test_explain import test_a_job_that_does_not_wait_says_where_it_is
from tests.workflows.test_lives import (
    test_a_terminated_semaphore_asks_its_jobs_for_their_leases,
    test_continue_as_new_in_a_storm_loses_nobody,
)
from tests.workflows.test_one_job import (
    test_a_cancelled_workflow_sees_its_runner_off,
    test_a_job_gets_a_runner_and_its_permit_comes_back,
    test_a_runner_that_never_picks_up_is_retired_and_replaced,
    test_cancelled_while_waiting_launches_nothing,
    test_stolen_runners_still_serve_every_job,
)
from tests.workflows.test_recovery import test_resume_pays_what_was_refused_while_draining
from tests.workflows.test_storm import test_no_waiter_is_lost_or_doubled_in_a_storm
from tests.workflows.test_together import (
    test_jobs_that_arrive_together_ask_together_and_are_all_served,
)

__all__ = [
    "test_a_cancelled_workflow_sees_its_runner_off",
    "test_a_job_gets_a_runner_and_its_permit_comes_back",
    "test_a_job_that_does_not_wait_says_where_it_is",
    "test_a_runner_that_never_picks_up_is_retired_and_replaced",
    "test_a_terminated_semaphore_asks_its_jobs_for_their_leases",
    "test_cancelled_while_waiting_launches_nothing",
    "test_continue_as_new_in_a_storm_loses_nobody",
    "test_jobs_that_arrive_together_ask_together_and_are_all_served",
    "test_no_waiter_is_lost_or_doubled_in_a_storm",
    "test_resume_pays_what_was_refused_while_draining",
    "test_stolen_runners_still_serve_every_job",
]

# Jobs: what comes while all is replayed piles up, and a storm of thousands would take minutes.
STORM = 600


@pytest.fixture(autouse=True)
async def uncached(client: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    """No cache; nothing went to a queue of a worker's own, and no task failed for its replay."""
    monkeypatch.setattr(worker, "CACHED", 0)
    monkeypatch.setattr(test_storm, "JOBS", STORM)
    monkeypatch.setattr(test_storm, "LIVES", 1)
    yield
    sticky = TaskQueueKind.TASK_QUEUE_KIND_STICKY
    seen = 0
    for history in await histories(client):
        for event in history.events:
            seen += event.HasField("workflow_task_completed_event_attributes")
            scheduled = event.workflow_task_scheduled_event_attributes
            assert scheduled.task_queue.kind != sticky, "it was cached"
            failed = event.workflow_task_failed_event_attributes
            assert "ondeterminis" not in failed.failure.message, failed.failure.message
    assert seen, "no workflow did anything"
