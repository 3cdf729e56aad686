"""What may happen in a run without any law being broken: no false accusations."""

from collections.abc import Callable
from typing import Any

import pytest

from checker import Evidence, check
from checker.history import History
from tests.checker.made import T0, Run, Story, good, payload

Change = Callable[[Story], dict[str, Any] | None]


def h_raised_limit(story: Story) -> None:
    story.fleet.signal("configure", 4.0, {**story.limits, "default": 3})
    for job in (8, 9, 10):
        story.whole(job, 5.0 + job / 100)


def h_configuration_seen_before_changes_nothing(story: Story) -> None:
    low, high = {**story.limits}, {"default": 3}
    story.fleet.signal("configure", 4.0, low)
    story.fleet.add(
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        4.5,
        acceptedRequest={"input": {"name": "set_limits", "args": {"payloads": [payload(high)]}}},
    )
    story.fleet.signal("configure", 4.6, low)
    for job in (8, 9, 10):
        story.whole(job, 5.0 + job / 100)


def h_lowered_limit_revokes_nothing(story: Story) -> None:
    for job in (8, 9):
        story.whole(job, 5.0 + job / 100, seconds=20.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    # the second runner of a job that holds its permit since before
    story.jobs["runner-job/acme/a/8"].raw.pop()
    story.gone(8, 12.0)
    story.launch(8, 13.0, attempt=2)
    story.gone(8, 24.0, attempt=2)
    story.close(8, 25.2)


def h_granted_by_a_task_that_began_before_a_limit_was_lowered(story: Story) -> None:
    """Paused meanwhile: what it decided is written down later, and launched by then."""
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.whole(8, 5.0, seconds=20.0)
    story.queue(9, 5.1)
    story.semaphore("acme/a").add("WORKFLOW_TASK_STARTED", 8.0)
    story.whole(9, 16.0)


def h_granted_by_the_first_task_after_a_lost_one(story: Story) -> None:
    """The semaphore could hear of nothing for ten seconds."""
    story.fleet.signal("configure", 8.0, {**story.limits, "default": 1})
    story.whole(8, 5.0, seconds=20.0)
    story.queue(9, 7.5)
    story.lose_task(6.0, 16.1)
    story.whole(9, 16.3)


def h_granted_soon_after_a_long_task(story: Story) -> None:
    """The semaphore's worker was cut off; the Fleet waited for its word."""
    story.whole(8, 3.0, seconds=20.0)
    story.take_task(4.0, 10.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.take_task(12.9, 13.0)
    story.whole(9, 12.95)


def h_granted_while_no_fleet_spoke(story: Story) -> None:
    """The Fleet was ended as it took the lower limit; the next one had not met the semaphores."""
    story.whole(8, 5.0, seconds=20.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.end_fleet(6.0, begun=8.0, spoken=14.0, default=1)
    story.whole(9, 13.0)


def h_undelivered_grant(story: Story) -> None:
    number = story.grant(99, 5.0)
    story.semaphore("acme/a").add(
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED", 5.1, initiatedEventId=number
    )
    story.whole(8, 5.2)
    story.whole(9, 5.3)


def h_reaped_at_the_second_look(story: Story) -> None:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.terminate(story.jobs["runner-job/acme/a/8"], 6.0)
    for at in (50.0, 60.0):
        jobs = {"repo": "acme/a", "jobs": ["runner-job/acme/a/8"]}
        story.semaphore("acme/a").act("reap", at, jobs, jobs)
    story.whole(9, 61.0)
    story.whole(10, 61.0)


def h_reaped_after_a_nudge_that_reached_nobody(story: Story) -> None:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.terminate(story.jobs["runner-job/acme/a/8"], 6.0)
    semaphore = story.semaphore("acme/a")
    number = semaphore.send("runner-job/acme/a/8", "nudge", 50.0, None)
    semaphore.add("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED", 50.1, initiatedEventId=number)
    jobs = {"repo": "acme/a", "jobs": ["runner-job/acme/a/8"]}
    semaphore.act("reap", 50.2, jobs, jobs)
    story.whole(9, 61.0)
    story.whole(10, 61.0)


def h_semaphore_begun_afresh(story: Story) -> None:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.queue(9, 5.2)
    story.grant(9, 5.3)
    story.queue(10, 5.4)
    story.terminate(story.semaphore("acme/a"), 6.0)
    story.more.append(story.semaphores.pop("acme/a"))
    fresh = Run("RepoSemaphore", "repo-semaphore/acme/a", {"epoch": ""}, 7.0, run="2")
    story.semaphores["acme/a"] = fresh
    key = "runner-job/acme/a/"
    claims = [
        {"job": f"{key}8", "lease": "lease-8", "granted_at": T0 + 5.1},
        {"job": f"{key}9", "lease": "lease-9", "granted_at": T0 + 5.3},
        {"job": f"{key}10", "waiting": True, "not_before": 0.0},
    ]
    fresh.act("collect_claims", 7.1, {}, {"claims": claims})
    for job, at in ((8, 8.0), (9, 20.0)):
        story.release(job, at)
        story.close(job, at + 0.1)
    story.grant(10, 8.1)
    story.release(10, 9.0)
    story.close(10, 9.1)


def h_continued_as_new(story: Story) -> None:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.queue(9, 5.2)
    old = story.semaphores.pop("acme/a")
    old.add("WORKFLOW_EXECUTION_CONTINUED_AS_NEW", 5.3)
    story.more.append(old)
    key = "runner-job/acme/a/"
    state = {
        "epoch": "1",
        "holders": {f"{key}8": {"id": "lease-8", "job": f"{key}8", "granted_at": T0 + 5.1}},
        "waiters": {f"{key}9": {"job": f"{key}9", "not_before": 0.0}},
    }
    story.semaphores["acme/a"] = Run("RepoSemaphore", "repo-semaphore/acme/a", state, 5.31, "2")
    story.grant(9, 5.4)
    for job in (8, 9):
        story.release(job, 7.0)
        story.close(job, 7.1)


def h_a_waiter_of_later(story: Story) -> None:
    story.queue(8, 5.0, not_before=20.0)
    story.grant(8, 20.1)
    story.release(8, 21.0)
    story.close(8, 21.1)


def h_a_waiter_that_leaves(story: Story) -> None:
    story.queue(8, 5.0)
    story.leave(8, 5.5)
    story.close(8, 5.6, outcome="cancelled")


def h_a_waiter_that_closed(story: Story) -> None:
    story.queue(8, 5.0)
    story.terminate(story.jobs["runner-job/acme/a/8"], 5.5)


def h_a_pause_of_the_org(story: Story) -> None:
    story.queue(8, 5.0)
    story.fleet.signal("cool_down", 5.1, "acme", T0 + 30.0)
    story.grant(8, 30.2)
    story.release(8, 31.0)
    story.close(8, 31.1)


def h_an_outage(story: Story) -> dict[str, Any]:
    story.queue(8, 5.0)
    story.grant(8, 9.2)
    story.release(8, 10.0)
    story.close(8, 10.1)
    return {"outages": [(T0 + 5.5, T0 + 8.5)]}


def h_churn(story: Story) -> None:
    """Something is free at every moment, yet each permit is granted again within 0.6 s."""
    for job in range(60):
        story.whole(100 + job, 10.0 + job * 0.4, seconds=0.2)
    story.queue(8, 12.0)
    story.grant(8, 20.1, lease="late")
    story.release(8, 20.15, lease="late")
    story.close(8, 20.3)


def h_org_full(story: Story) -> None:
    story.whole(30, 10.0, repo="small/a", seconds=5.0)
    story.queue(31, 10.5, repo="small/b")
    story.grant(31, 15.1, repo="small/b")
    story.release(31, 16.0, repo="small/b")
    story.close(31, 16.1, repo="small/b")


def h_fleet_full(story: Story) -> None:
    for job in range(6):
        story.whole(40 + job, 20.0, repo=f"org{job}/r", seconds=5.0)
    story.queue(8, 21.0)
    story.grant(8, 25.1)
    story.release(8, 26.0)
    story.close(8, 26.1)


def h_draining_serves_what_is_queued(story: Story) -> None:
    for job in (8, 9):
        story.whole(job, 10.0, seconds=10.0)
    story.queue(10, 10.5)
    story.fleet.signal("drain", 11.0)
    story.fleet.signal("drain", 12.0)
    story.grant(10, 20.1)
    story.release(10, 21.0)
    story.close(10, 21.1)
    story.fleet.signal("resume", 30.0)
    story.whole(11, 30.1)


def h_under_way_when_drained(story: Story) -> None:
    story.fleet.signal("drain", 10.0)
    story.whole(8, 11.0)


def h_completed_of_an_unknown_job_in_a_drain(story: Story) -> None:
    story.fleet.signal("drain", 10.0)
    story.queue(8, 15.0, asked=False, asks=False)
    story.close(8, 15.1, outcome="completed")


def h_maintenance_keeps_the_queue(story: Story) -> None:
    story.queue(8, 10.0)
    story.fleet.signal("maintenance", 10.5)
    story.fleet.signal("resume", 60.0)
    story.grant(8, 60.5)
    story.release(8, 61.0)
    story.close(8, 61.1)


def h_maintenance_heard_late_on_a_late_machine(story: Story) -> None:
    story.queue(8, 10.0)
    story.fleet.signal("maintenance", 10.5)
    story.semaphore("acme/a").add("WORKFLOW_TASK_SCHEDULED", 10.6)
    story.semaphore("acme/a").add("WORKFLOW_TASK_STARTED", 11.5)
    story.grant(8, 14.0)
    story.release(8, 15.0)
    story.close(8, 15.1)


def h_drain_heard_when_a_lost_task_was_given_up(story: Story) -> None:
    """The Fleet's task was lost with the server: no signal reaches it until Temporal gives up."""
    story.drain_in_a_lost_task()
    story.whole(8, 18.4)


def h_runs_of_a_reset_in_any_order(story: Story) -> None:
    """Both begin at the same time; the maintenance was lost with the run that had been told."""
    original = Run("Fleet", "fleet", {"limits": story.limits, "mode": "normal"}, -1.0, run="0")
    original.add("WORKFLOW_EXECUTION_TERMINATED", 0.0)
    story.fleet.signal("maintenance", 10.0)
    story.end_fleet(10.1, begun=12.0, spoken=12.5)
    story.more.append(original)
    story.whole(8, 20.0)


def h_injected_limit(story: Story) -> None:
    story.call(3.0, status=403, fault="secondary_limit")


def h_call_under_way_when_another_was_refused(story: Story) -> dict[str, Any]:
    story.early = [0.9]
    story.call(3.0, status=403, fault="primary_limit")
    story.call(3.9, status=403)
    return {"bounds": {"call_under_way": 1.0}}


def h_paid_debt(story: Story) -> None:
    story.deliver("lost", 1, 0.0, code=503)
    story.deliver("lost", 1, 60.0, code=502)
    story.deliver("lost", 1, 120.0)


def h_foreign_jobs_and_runners(story: Story) -> None:
    story.queue(8, 5.0, asks=False)
    story.sim["jobs"][-1]["labels"] = ["ubuntu-latest"]
    del story.jobs["runner-job/acme/a/8"]
    story.queue(9, 5.0, asks=False)
    story.sim["jobs"][-1] |= {"conclusion": "skipped"}
    del story.jobs["runner-job/acme/a/9"]
    story.sim["runners"].append(
        {**story.sim["runners"][0], "name": "someone-elses", "removed_at": None}
    )


def h_still_at_work(story: Story) -> dict[str, Any]:
    story.queue(8, 199.5)
    story.queue(9, 190.0)
    story.grant(9, 190.1)
    story.launch(9, 190.2)
    story.deliver("young", 8, 199.0, code=503)
    return {"at_rest": False}


def h_terminated_for_a_reason_and_cancelled(story: Story) -> None:
    story.queue(8, 5.0, asks=False)
    story.terminate(story.jobs["runner-job/acme/a/8"], 6.0)
    story.queue(9, 5.0, asks=False)
    story.close(9, 6.0, outcome="failed", conclusion="", reason="3 runners took no job")


def h_a_second_runner_after_the_first_died(story: Story) -> None:
    """The dead one stays on GitHub's list for a while, as GitHub's do."""
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.launch(8, 5.2)
    story.gone(8, 6.0)
    story.sim["runners"][-1]["removed_at"] = T0 + 50.0
    story.launch(8, 11.0, attempt=2)
    story.gone(8, 13.0, attempt=2)
    story.release(8, 13.1)
    story.close(8, 13.2)


HOLDING: list[Change] = [found for name, found in list(globals().items()) if name[:2] == "h_"]


@pytest.mark.parametrize("change", HOLDING, ids=lambda change: change.__name__[2:])
def test_what_may_happen_is_no_violation(change: Change) -> None:
    story = good(orgs={"small": 1})
    more = change(story) or {}
    assert check(story.evidence(**more)) == []


def test_without_a_simulator_and_a_fleet_the_rest_is_judged() -> None:
    story = good()
    evidence = story.evidence(simulated=None)
    assert check(evidence) == []
    alone: list[History] = [one for one in evidence.histories if one.type != "Fleet"]
    assert check(Evidence(alone)) == []


def test_no_evidence_is_no_violation() -> None:
    assert check(Evidence([])) == []
