"""Each step of a job with its reason and its hour; an hour that has come counts as come."""

import pytest

from policy import job as rules
from policy.job import Step
from policy.job_state import JobState, Patience

OURS, FOREIGN, STRANGER = "penstock-7-1", "penstock-8-1", "a-runner-of-others"
USUAL = Patience()


def holder(now: float = 0.0) -> JobState:
    """A queued job that has just got its permit."""
    state = JobState(queued_at=now)
    rules.asked(state, now)
    assert rules.granted(state, "e/1", now) is None
    return state


def launched(now: float = 0.0) -> JobState:
    """With its first runner on the way."""
    state = holder(now)
    rules.launching(state, OURS, now)
    return state


def test_a_job_without_a_permit_asks_for_one() -> None:
    """At once."""
    assert rules.decide(JobState(queued_at=0.0), USUAL, 0.0) == Step(
        rules.ACQUIRE, "it has no permit"
    )


def test_with_a_permit_it_launches() -> None:
    """Unless its last launch found no token: then that is seen to first."""
    state = holder()
    assert rules.decide(state, USUAL, 0.0) == Step(rules.LAUNCH, "it has a permit")
    rules.launching(state, OURS, 0.0)
    rules.token_missing(state)
    assert rules.decide(state, USUAL, 0.0) == Step(rules.TOKEN, "it needs a runner token")


def test_a_job_is_held_up_until_the_time_named_and_no_longer() -> None:
    """Before it the permit goes back and the job waits; at that time it goes on."""
    state = holder()
    rules.hold_up(state, "throttled", 50.0)
    assert rules.decide(state, USUAL, 49.9) == Step(
        rules.RELEASE, "throttled; it waits without its permit"
    )
    assert rules.decide(state, USUAL, 50.0) == Step(rules.LAUNCH, "it has a permit")
    rules.released(state, "e/1")
    rules.asked(state, 10.0)
    assert rules.decide(state, USUAL, 49.9) == Step(rules.WAIT, "throttled", 3610.0)
    assert rules.decide(state, USUAL, 50.0) == Step(
        rules.WAIT, "it waits for a permit of its repository", 3610.0, backstop=True
    )


@pytest.mark.parametrize(("granted_at", "step"), [(9.0, "release"), (9.1, "launch")])
def test_only_a_permit_newer_than_the_last_runners_end_is_used(
    granted_at: float, step: str
) -> None:
    """One of that very moment may be the one it had."""
    state = launched()
    rules.launch_failed(state, "no capacity", USUAL, 9.0)
    rules.granted(state, "e/2", granted_at)
    told = rules.decide(state, USUAL, 20.0)
    assert told.do == step
    if step == "release":
        assert told.why == "its runner is gone and the job is queued still"


@pytest.mark.parametrize(("failures", "pause"), [(1, 5.0), (2, 10.0), (3, 20.0), (4, 40.0)])
def test_the_pause_after_launches_for_nothing_doubles(failures: int, pause: float) -> None:
    """From the end of the last of them; when it is over the job asks again."""
    state, patience = holder(), Patience(max_launches=9)
    for i in range(failures):
        rules.launching(state, f"penstock-7-{i}", 100.0 * i)
        rules.launch_failed(state, "no capacity", patience, 100.0 * i + 1)
    rules.released(state, "e/1")
    due = 100.0 * (failures - 1) + 1 + pause
    assert rules.decide(state, patience, due - 0.1) == Step(
        rules.WAIT, "its last runner served nobody; the next comes soon", due
    )
    assert rules.decide(state, patience, due) == Step(rules.ACQUIRE, "it has no permit")


def test_github_is_asked_of_a_runner_that_ended_without_a_word() -> None:
    """A moment later, and once."""
    state = launched()
    rules.runner_gone(state, OURS, USUAL, 9.0)
    rules.released(state, "e/1")
    why = "its runner ended, and nobody said with which job"
    assert rules.decide(state, USUAL, 13.9) == Step(rules.WAIT, why, 14.0)
    assert rules.decide(state, USUAL, 14.0) == Step(rules.LOOK_UP, why)


def test_an_answer_of_the_moment_of_the_end_is_an_answer() -> None:
    """With no pause at all GitHub would be asked for ever."""
    state, patience = launched(), Patience(relaunch=0.0)
    rules.runner_gone(state, OURS, patience, 9.0)
    rules.released(state, "e/1")
    assert rules.decide(state, patience, 9.0).do == rules.LOOK_UP
    rules.looked_up(state, "queued", "", 9.0)
    assert rules.decide(state, patience, 9.0).do == rules.ACQUIRE


@pytest.mark.parametrize(("start", "backstop"), [(595.0, True), (594.9, False)])
def test_a_nudge_in_time_is_one_that_may_be_a_little_late(start: float, backstop: bool) -> None:
    """By as much as the clocks of a job and its semaphore may differ, that much included."""
    assert rules.decide(launched(), Patience(start=start), 0.0) == Step(
        rules.WAIT, "its runner starts", start, backstop=backstop
    )


def test_a_runner_that_takes_no_job_is_retired_when_its_time_is_over() -> None:
    """Not a moment before."""
    assert rules.decide(launched(), USUAL, 599.9).do == rules.WAIT
    assert rules.decide(launched(), USUAL, 600.0) == Step(
        rules.RETIRE, "its runner took no job within 600 s"
    )


def test_a_runner_whose_job_ended_without_it_is_retired() -> None:
    """At once, and when GitHub would not say, again after the usual time."""
    state = launched()
    rules.completed(state, "success", FOREIGN, 5.0)
    assert rules.decide(state, USUAL, 5.0) == Step(rules.RETIRE, "its job ended without it")
    rules.retired(state, "unknown", USUAL, 6.0)
    assert rules.decide(state, USUAL, 6.0).until == 606.0


def test_a_runner_that_outlives_its_job_is_retired() -> None:
    """After its time to finish; and when GitHub would not say, again after as much."""
    state = launched()
    rules.in_progress(state, OURS, 1.0)
    rules.runner_busy(state, OURS, "7")
    rules.completed(state, "success", OURS, 10.0)
    assert rules.decide(state, USUAL, 309.9).do == rules.WAIT
    why = "its job ended and its runner did not"
    assert rules.decide(state, USUAL, 310.0) == Step(rules.RETIRE, why)
    rules.retired(state, "unknown", USUAL, 310.0)
    assert rules.decide(state, USUAL, 310.0).until == 610.0


def test_a_runner_that_works_is_waited_for_without_limit() -> None:
    """Whoever it works for, known or not."""
    state = launched()
    rules.in_progress(state, FOREIGN, 1.0)
    rules.runner_busy(state, OURS, "")
    told = Step(rules.WAIT, "its runner works on job unknown")
    assert rules.decide(state, USUAL, 2.0) == told
    rules.completed(state, "success", FOREIGN, 3.0)
    assert rules.decide(state, USUAL, 9999.0) == told


def test_a_permit_that_is_of_no_use_goes_back() -> None:
    """Before the end."""
    state = holder()
    rules.completed(state, "cancelled", "", 1.0)
    assert rules.decide(state, USUAL, 1.0) == Step(rules.RELEASE, "it needs no permit")


def test_the_end_of_a_job_on_our_runner_is_looked_up_soon_after_it_has_gone() -> None:
    """GitHub tells within ten minutes; after those it is asked, and again after as many."""
    state = launched()
    rules.in_progress(state, OURS, 1.0)
    rules.runner_gone(state, OURS, USUAL, 50.0)
    rules.released(state, "e/1")
    why = "its runner is gone; GitHub will report the end"
    assert rules.decide(state, USUAL, 649.9) == Step(rules.WAIT, why, 650.0)
    assert rules.decide(state, USUAL, 650.0) == Step(rules.LOOK_UP, why)
    rules.looked_up(state, "in_progress", "", 651.0)
    assert rules.decide(state, USUAL, 652.0) == Step(rules.WAIT, why, 1251.0)


def test_the_end_of_a_job_elsewhere_is_looked_up_an_hour_after_it_began() -> None:
    """An hour from the last that was heard of it."""
    state = JobState(queued_at=0.0)
    rules.in_progress(state, STRANGER, 100.0)
    why = f"it runs on {STRANGER}"
    assert rules.decide(state, USUAL, 3699.9) == Step(rules.WAIT, why, 3700.0)
    assert rules.decide(state, USUAL, 3700.0) == Step(rules.LOOK_UP, why)


def test_a_runner_that_github_does_not_name_is_another() -> None:
    """Ours had gone before."""
    state = launched()
    rules.launch_failed(state, "no capacity", USUAL, 9.0)
    rules.released(state, "e/1")
    rules.in_progress(state, "", 100.0)
    assert rules.decide(state, USUAL, 101.0) == Step(
        rules.WAIT, "it runs on another runner", 3700.0
    )


@pytest.mark.parametrize(("now", "outcome"), [(86_399.9, ""), (86_400.0, "expired")])
def test_a_job_expires_when_its_day_is_over(now: float, outcome: str) -> None:
    """Whose runner has gone too; one whose runner starts is waited for."""
    assert rules.decide(JobState(queued_at=0.0), USUAL, now).outcome == outcome
    assert rules.decide(launched(), Patience(start=90_000.0), now).do == rules.WAIT
