"""Each law on made stories that break it, and it alone."""

from collections.abc import Callable
from typing import Any

import pytest

from checker import Evidence, check
from tests.checker.made import T0, Run, Story, good, payload


def laws(evidence: Evidence) -> set[str]:
    return {violation.law for violation in check(evidence)}


def test_a_good_run_has_no_violation() -> None:
    assert check(good().evidence()) == []


def test_violations_say_where_and_when() -> None:
    story = good()
    story.grant(9, 0.7)
    story.release(9, 0.9)
    (broken,) = check(story.evidence())
    assert (broken.law, broken.subject, broken.at) == ("L4", "acme/a", T0 + 0.7)
    assert str(broken).endswith("3 leases at once, the limit is 2")


Doctor = Callable[[Story], dict[str, Any] | None]


def l1_open(story: Story) -> None:
    story.queue(8, 5.0, asks=False)


def l1_missing(story: Story) -> None:
    story.queue(8, 5.0, asks=False)
    del story.jobs["runner-job/acme/a/8"]


def l1_wrong_conclusion(story: Story) -> None:
    story.whole(8, 5.0)
    story.sim["jobs"][-1]["conclusion"] = "failure"


def l1_no_outcome(story: Story) -> None:
    story.queue(8, 5.0, asks=False)
    story.close(8, 6.0, outcome="")


def l1_failed_without_reason(story: Story) -> None:
    story.queue(8, 5.0, asks=False)
    story.close(8, 6.0, outcome="failed")


def l1_terminated(story: Story) -> None:
    story.queue(8, 5.0, asks=False)
    story.terminate(story.jobs["runner-job/acme/a/8"], 6.0, reason="")


def l2_second_run(story: Story) -> None:
    again = Run("RunnerJob", "runner-job/acme/a/3", {"asked": True}, 5.0, run="2")
    again.add("WORKFLOW_EXECUTION_COMPLETED", 6.0, result={"payloads": []})
    story.more.append(again)
    done = story.jobs["runner-job/acme/a/3"].raw[-1]
    again.raw[-1] = {**again.raw[-1], **{k: v for k, v in done.items() if "Attributes" in k}}


def l2_second_repository(story: Story) -> None:
    story.whole(3, 5.0, repo="acme/b")


def l3_two_processes(story: Story) -> None:
    name = "penstock-2-1"
    story.jobs["runner-job/acme/a/2"].raw.pop()  # reopen it for two more events
    story.jobs["runner-job/acme/a/2"].act(
        "launch_runner", 3.4, {"name": name}, {"name": name, "provider_id": "another"}
    )
    story.close(2, 3.52)


def l3_the_next_before_the_last_is_gone(story: Story) -> None:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.launch(8, 5.2)
    story.launch(8, 5.4, attempt=2)
    story.gone(8, 5.6, attempt=1)
    story.gone(8, 5.8, attempt=2)
    story.release(8, 6.0)
    story.close(8, 6.1)


def l4_repository(story: Story) -> None:
    story.whole(8, 0.7)


def l4_default_share(story: Story) -> None:
    # 5 are allowed by its own limit, but a half of the fleet is 3
    for job in range(20, 24):
        story.whole(job, 10.0 + job / 100, repo="acme/big", seconds=2.0)


def l4_org(story: Story) -> None:
    for job, repo in enumerate(("small/a", "small/b")):
        story.whole(30 + job, 10.0, repo=repo)


def l4_fleet(story: Story) -> None:
    for job in range(7):
        story.whole(40 + job, 20.0, repo=f"org{job}/r")


def l4_runner_only(story: Story) -> None:
    """A runner that outlives its permit, beside two more."""
    story.whole(8, 5.0)
    story.sim["runners"][-1]["removed_at"] = T0 + 9.0
    run = story.jobs["runner-job/acme/a/8"]
    run.raw = [one for one in run.raw if "runner_gone" not in str(one)]
    story.whole(9, 7.0)
    story.whole(10, 7.1)


def l4_after_lowering(story: Story) -> None:
    story.fleet.add(
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        10.0,
        acceptedRequest={
            "input": {"name": "set_limits", "args": {"payloads": [payload({"default": 1})]}}
        },
    )
    story.whole(8, 20.0)
    story.whole(9, 20.2)


def l4_by_a_task_that_began_after_lowering(story: Story) -> None:
    """It might have known."""
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.whole(8, 5.0, seconds=20.0)
    story.semaphore("acme/a").add("WORKFLOW_TASK_STARTED", 9.5)
    story.whole(9, 16.0)


def l4_long_after_a_long_task(story: Story) -> None:
    story.whole(8, 3.0, seconds=20.0)
    story.take_task(4.0, 9.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.take_task(12.9, 13.0)
    story.whole(9, 12.95)


def l4_soon_after_a_task_of_half_a_minute(story: Story) -> None:
    """Eleven seconds are excused, not more."""
    story.whole(8, 3.0, seconds=60.0)
    story.take_task(4.0, 30.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.take_task(31.9, 32.0)
    story.whole(9, 31.95)


def l4_after_the_next_fleet_spoke(story: Story) -> None:
    story.whole(8, 5.0, seconds=20.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.end_fleet(6.0, begun=8.0, spoken=9.0, default=1)
    story.whole(9, 13.0)


def l4_long_after_a_fleet_was_ended(story: Story) -> None:
    """Eleven seconds are excused, not more, whenever the next one speaks."""
    story.whole(8, 5.0, seconds=60.0)
    story.fleet.signal("configure", 6.0, {**story.limits, "default": 1})
    story.end_fleet(6.0, begun=8.0, spoken=40.0, default=1)
    story.whole(9, 21.0)


def l4_by_the_second_task_after_a_lost_one(story: Story) -> None:
    """It has heard what came meanwhile."""
    story.fleet.signal("configure", 8.0, {**story.limits, "default": 1})
    story.whole(8, 5.0, seconds=20.0)
    story.lose_task(6.0, 16.1)
    for kind in ("COMPLETED", "SCHEDULED", "STARTED"):
        story.semaphore("acme/a").add(f"WORKFLOW_TASK_{kind}", 16.2)
    story.whole(9, 16.3)


def l4_by_a_task_that_was_long_due(story: Story) -> None:
    """Ten seconds are excused, not a minute."""
    story.fleet.signal("configure", 8.0, {**story.limits, "default": 1})
    story.whole(8, 5.0, seconds=60.0)
    story.lose_task(6.0, 46.1)
    story.whole(9, 46.3)


def l4_after_lowering_applied_again(story: Story) -> None:
    """By a reset: the request stands in an event of its own then."""
    change = {"input": {"name": "set_limits", "args": {"payloads": [payload({"default": 1})]}}}
    number = story.fleet.add("WORKFLOW_EXECUTION_UPDATE_ADMITTED", 9.0, request=change)
    story.fleet.add(
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", 10.0, acceptedRequestSequencingEventId=number
    )
    story.whole(8, 20.0)
    story.whole(9, 20.2)


def l5_never_back(story: Story) -> None:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.close(8, 6.0)


def l5_terminated(story: Story) -> dict[str, Any]:
    story.queue(8, 5.0)
    story.grant(8, 5.1)
    story.terminate(story.jobs["runner-job/acme/a/8"], 6.0)
    return {"bounds": {"sweeps": 60.0}}


def l6_idle(story: Story) -> None:
    story.queue(8, 10.0)
    story.grant(8, 11.2)
    story.release(8, 12.0)
    story.close(8, 12.1)


def l6_idle_beside_a_busy_other(story: Story) -> None:
    """Another repository works on; three grants a second leave two permits untouched."""
    l6_idle(story)
    for job in range(10):
        story.whole(100 + job, 9.5 + job * 0.3, repo="acme/other", seconds=0.2)


def l6_after_resume(story: Story) -> None:
    story.fleet.signal("maintenance", 9.0)
    story.fleet.signal("resume", 30.0)
    story.queue(8, 8.95, asks=False)
    story.ask(8, 9.5)
    story.grant(8, 31.5)
    story.release(8, 32.0)
    story.close(8, 32.1)


def l7_still_waiting(story: Story) -> dict[str, Any]:
    """The permits are taken for ever by jobs that are still open."""
    for job in (8, 9):
        story.queue(job, 10.0)
        story.grant(job, 10.1)
    story.queue(10, 11.0)
    return {"at_rest": False, "bounds": {"wait": 60.0}}


def l7_forgotten(story: Story) -> None:
    """It may have no permit before next year, and all else is at rest."""
    story.ask(77, 5.0, not_before=1e6)


def l8_limited(story: Story) -> None:
    story.call(3.0, status=429)


def l8_limited_after_another_was_refused_on_purpose(story: Story) -> dict[str, Any]:
    story.call(3.0, status=403, fault="primary_limit")
    story.call(4.1, status=403)
    return {"bounds": {"call_under_way": 1.0}}


def l8_limited_before_another_was_refused_on_purpose(story: Story) -> dict[str, Any]:
    story.call(3.0, status=403)
    story.call(3.1, status=403, fault="primary_limit")
    return {"bounds": {"call_under_way": 1.0}}


def l8_too_early(story: Story) -> None:
    story.early = [0.01]


def l8_too_late_to_have_been_under_way(story: Story) -> dict[str, Any]:
    story.early = [0.9, 1.1]
    return {"bounds": {"call_under_way": 1.0}}


def l9_admitted(story: Story) -> None:
    story.fleet.signal("drain", 10.0)
    story.whole(8, 12.5)


def l9_unasked_and_granted(story: Story) -> None:
    story.fleet.signal("drain", 10.0, {"reason": "upgrade"})
    story.queue(8, 13.0, asked=False)
    story.grant(8, 13.1)
    story.release(8, 14.0)
    story.close(8, 14.1)


def l9_maintenance(story: Story) -> None:
    story.queue(8, 10.0)
    story.fleet.signal("maintenance", 10.5)
    story.grant(8, 14.0)
    story.release(8, 15.0)
    story.close(8, 15.1)


def l9_maintenance_on_a_late_machine(story: Story) -> None:
    """It was 0.7 s late with a task: that excuses 1.4 s more, and not what came later."""
    story.queue(8, 10.0)
    story.fleet.signal("maintenance", 10.5)
    story.semaphore("acme/a").add("WORKFLOW_TASK_SCHEDULED", 10.6)
    story.semaphore("acme/a").add("WORKFLOW_TASK_STARTED", 11.3)
    story.grant(8, 14.0)
    story.release(8, 15.0)
    story.close(8, 15.1)


def l9_admitted_after_a_lost_task(story: Story) -> None:
    """It was given up at 16, and the drain heard at 16.5: what came later is not excused."""
    story.drain_in_a_lost_task()
    story.whole(8, 18.6)


def l9_admitted_though_long_heard_of(story: Story) -> None:
    """No lateness excuses more than ten seconds."""
    story.fleet.signal("drain", 10.0)
    story.fleet.add("WORKFLOW_TASK_STARTED", 21.0)
    story.fleet.add("WORKFLOW_TASK_COMPLETED", 29.0)
    story.whole(8, 22.5)


def l10_token(story: Story) -> None:
    story.jobs["runner-job/acme/a/1"].raw[0]["userMetadata"] = {
        "summary": payload("ghs_" + "a1B2" * 9)
    }


def l10_jwt(story: Story) -> None:
    story.fleet.signal(
        "note", 5.0, {"deep": ["eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI0MjQyIn0.c2lnbmF0dXJl"]}
    )


def l10_pem(story: Story) -> None:
    story.fleet.signal("note", 5.0, "-----BEGIN RSA PRIVATE KEY-----\nabc")


def l10_jit(story: Story) -> None:
    story.fleet.signal("note", 5.0, {"encoded_jit_config": ""})


def l10_canary(story: Story) -> dict[str, Any]:
    story.fleet.signal("note", 5.0, ["it is hunter2, really"])
    return {"canaries": ["hunter2", ""]}


def l10_log(story: Story) -> dict[str, Any]:
    return {"texts": {"gateway.log": "fine\nAuthorization: ghp_" + "x" * 36}}


def l12_unpaid(story: Story) -> None:
    story.deliver("lost", 1, 0.0, code=503)


def l12_paid_before(story: Story) -> None:
    story.deliver("lost", 1, 0.0)
    story.deliver("lost", 1, 1.0, code=502)


def l13_left_over(story: Story) -> None:
    story.sim["runners"][0] |= {"removed_at": None, "status": "offline"}


def l13_unknown(story: Story) -> None:
    runner = {**story.sim["runners"][0], "name": "penstock-999-1", "removed_at": None}
    story.sim["runners"].append({**runner, "scope": "else/where"})


DOCTORS: list[Doctor] = [
    found for name, found in list(globals().items()) if name[:1] == "l" and name[1:2].isdigit()
]


@pytest.mark.parametrize("doctor", DOCTORS, ids=lambda doctor: doctor.__name__)
def test_a_doctored_run_breaks_its_law_alone(doctor: Doctor) -> None:
    story = good(repos={"acme/big": 5}, orgs={"small": 1})
    more = doctor(story) or {}
    assert laws(story.evidence(**more)) == {doctor.__name__.split("_")[0].upper()}
