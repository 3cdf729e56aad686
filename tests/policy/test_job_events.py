"""What each event writes down of a job, to the field."""

import pytest

from policy import job as rules
from policy.job_state import JobState, Patience

OURS, SECOND, FOREIGN = "penstock-7-1", "penstock-7-2", "penstock-8-1"
USUAL = Patience()


def launched(now: float = 10.0) -> JobState:
    """A job with its permit and its first runner on the way."""
    state = JobState(queued_at=now)
    rules.asked(state, now)
    assert rules.granted(state, "e/1", now) is None
    rules.launching(state, OURS, now)
    return state


def test_a_grant_ends_the_waiting() -> None:
    """With its time; the first of all grants is remembered."""
    state = JobState(queued_at=1.0)
    rules.asked(state, 2.0)
    rules.nudged(state, 3.0)
    rules.nudged(state, 4.0)
    assert (state.waiting_since, state.asked_at, state.nudged_at) == (2.0, 4.0, 0.0)
    assert rules.granted(state, "e/1", 5.0) is None
    assert (state.lease, state.last_lease, state.granted_at) == ("e/1", "e/1", 5.0)
    assert (state.waiting_since, state.first_granted_at) == (0.0, 5.0)
    rules.nudged(state, 6.0)
    assert rules.granted(state, "e/2", 7.0) is None
    assert (state.granted_at, state.nudged_at, state.first_granted_at) == (7.0, 0.0, 5.0)


def test_a_grant_said_twice_is_as_old_as_the_first_word() -> None:
    """And one that was given back is not taken again."""
    state = JobState(queued_at=1.0)
    rules.granted(state, "e/1", 5.0)
    rules.nudged(state, 6.0)
    assert rules.granted(state, "e/1", 7.0) is None
    assert (state.granted_at, state.nudged_at) == (5.0, 6.0)
    rules.released(state, "e/1")
    rules.asked(state, 8.0)
    assert rules.granted(state, "e/1", 9.0) == "e/1"
    assert (state.lease, state.waiting_since) == ("", 8.0)


def test_a_release_leaves_nothing_of_the_lease() -> None:
    """Nor of the place in line; that there was one is remembered."""
    state = launched()
    rules.nudged(state, 11.0)
    rules.released(state, "e/1")
    assert (state.lease, state.last_lease) == ("", "e/1")
    assert (state.waiting_since, state.granted_at, state.nudged_at) == (0.0, 0.0, 0.0)
    rules.nudged(state, 12.0)
    rules.asked(state, 13.0)
    rules.asked(state, 14.0)
    assert (state.waiting_since, state.asked_at, state.nudged_at) == (13.0, 14.0, 0.0)
    rules.released(state, "")
    assert state.waiting_since == 0.0


def test_a_launch_begins_anew() -> None:
    """Its number and its time count on; what was known of the last runner is forgotten."""
    state = launched()
    rules.runner_busy(state, OURS, "8")
    rules.retired(state, "busy", USUAL, 11.0)
    rules.runner_gone(state, OURS, USUAL, 12.0)
    rules.launching(state, SECOND, 13.0)
    assert (state.runner, state.runner_name, state.runner_took) == ("starting", SECOND, "")
    assert (state.launches, state.launched_at, state.first_launched_at) == (2, 13.0, 10.0)
    assert state.retire_tried_at == 0.0
    rules.runner_gone(state, SECOND, USUAL, 20.0)
    assert state.unserved is True
    assert state.runner_seconds == 2.0 + 7.0
    rules.launching(state, "penstock-7-3", 21.0)
    assert state.unserved is False
    rules.launch_undone(state)
    assert (state.runner, state.launches) == ("none", 2)


@pytest.mark.parametrize("of", ["launch", "provider"])
def test_the_last_five_reasons_are_kept(of: str) -> None:
    """The oldest goes first; an end without a reason adds none."""
    state, patience = JobState(queued_at=0.0), Patience(max_launches=99)
    for i in range(7):
        rules.launching(state, f"penstock-7-{i}", 0.0)
        if of == "launch":
            rules.launch_failed(state, f"no {i}", patience, 1.0)
        else:
            rules.runner_gone(state, f"penstock-7-{i}", patience, 1.0, f"no {i}")
    assert state.reasons == [f"no {i}" for i in range(2, 7)]
    rules.launching(state, OURS, 2.0)
    rules.runner_gone(state, OURS, patience, 3.0)
    assert len(state.reasons) == 5
    assert state.wasted == 8


def test_each_hold_up_is_counted() -> None:
    """The newest word on why, and until when, is the one that holds."""
    state = JobState(queued_at=0.0)
    rules.hold_up(state, "no room", 60.0)
    assert (state.held_up, state.not_before, state.held_up_times) == ("no room", 60.0, 1)
    rules.hold_up(state, "throttled", 50.0)
    assert (state.held_up, state.not_before, state.held_up_times) == ("throttled", 50.0, 2)


def test_only_our_own_runner_that_starts_can_become_busy() -> None:
    """Another's word is not ours, and one that has gone stays so."""
    state = launched()
    rules.runner_busy(state, FOREIGN, "7")
    assert (state.runner, state.runner_took) == ("starting", "")
    rules.runner_busy(state, OURS, "7")
    rules.runner_busy(state, OURS, "8")
    assert (state.runner, state.runner_took) == ("busy", "7")
    rules.runner_gone(state, OURS, USUAL, 12.0)
    rules.runner_busy(state, OURS, "9")
    assert (state.runner, state.runner_took) == ("gone", "7")


def test_a_runner_that_worked_was_not_in_vain() -> None:
    """Though for another job, which its own waits for still."""
    state = launched()
    rules.runner_busy(state, OURS, "8")
    rules.runner_gone(state, OURS, USUAL, 12.0)
    assert (state.phase, state.wasted, state.unserved) == ("queued", 0, False)


def test_a_runner_whose_short_job_is_told_after_its_end_was_not_in_vain() -> None:
    """The worker sees the end at once, GitHub's word of the job comes by the gateway."""
    state = launched()
    rules.runner_gone(state, OURS, Patience(max_launches=1), 12.0)
    assert state.failure == "1 runners took no job"
    rules.runner_busy(state, FOREIGN, "8")
    assert state.took_late == "", "another runner's word"
    rules.runner_busy(state, OURS, "8")
    assert (state.took_late, state.unserved) == ("8", True), "noted, to be entered in its turn"
    rules.heard_late(state)
    assert (state.runner, state.runner_took, state.took_late) == ("gone", "8", "")
    assert (state.wasted, state.unserved, state.failure) == (0, False, "")
    assert rules.decide(state, USUAL, 12.0).do in (rules.RELEASE, rules.ACQUIRE)
    rules.runner_busy(state, OURS, "9")
    assert state.took_late == "", "the first word counts"


def test_a_late_word_counts_once_though_github_was_asked_meanwhile() -> None:
    """The answer and the word come in one workflow task: one launch was not in vain, not two."""
    state = launched()
    rules.runner_gone(state, OURS, USUAL, 12.0)
    rules.runner_busy(state, OURS, "7")
    rules.looked_up(state, "in_progress", "", 13.0, OURS)
    rules.heard_late(state)
    assert (state.wasted, state.unserved, state.took_late) == (0, False, "")


def test_a_late_word_is_of_its_own_runner_alone() -> None:
    """It is forgotten with the next launch, if it was not entered."""
    state = launched()
    rules.runner_gone(state, OURS, USUAL, 12.0)
    rules.runner_busy(state, OURS, "8")
    rules.launching(state, SECOND, 13.0)
    assert (state.took_late, state.runner_took) == ("", "")
    rules.runner_busy(state, SECOND, "9")
    assert (state.took_late, state.runner_took) == ("", "9")


@pytest.mark.parametrize("runner", [OURS, FOREIGN])
def test_a_runner_whose_job_is_in_progress_was_not_in_vain(runner: str) -> None:
    """On whichever runner: nobody waits for another."""
    state = launched()
    rules.in_progress(state, runner, 11.0)
    rules.runner_gone(state, OURS, USUAL, 12.0)
    assert (state.runner, state.gone_at) == ("gone", 12.0)
    assert (state.wasted, state.unserved, state.failure) == (0, False, "")


@pytest.mark.parametrize(("launches", "failure"), [(2, ""), (1, "1 runners took no job")])
def test_as_many_runners_in_vain_as_there_may_be_are_a_failure(
    launches: int, failure: str
) -> None:
    """The last of them is one too many."""
    state = launched()
    rules.runner_gone(state, OURS, Patience(max_launches=launches), 12.0)
    assert (state.wasted, state.unserved, state.failure) == (1, True, failure)


def test_a_look_up_tells_the_end_with_its_time() -> None:
    """And keeps the runner that is known, if GitHub names none."""
    state = launched()
    rules.in_progress(state, OURS, 11.0)
    rules.looked_up(state, "completed", "failure", 12.0)
    assert (state.phase, state.conclusion, state.on_runner) == ("completed", "failure", OURS)
    assert (state.job_ended_at, state.looked_up_at) == (12.0, 12.0)
    state = launched()
    rules.in_progress(state, OURS, 11.0)
    rules.looked_up(state, "completed", "failure", 12.0, FOREIGN)
    assert state.on_runner == FOREIGN


def test_a_job_that_github_does_not_know_has_ended_now() -> None:
    """Nobody knows how."""
    state = launched()
    rules.in_progress(state, OURS, 11.0)
    rules.looked_up(state, "missing", "", 12.0)
    assert (state.phase, state.conclusion, state.on_runner) == ("completed", "unknown", OURS)
    assert (state.job_ended_at, state.looked_up_at) == (12.0, 12.0)


@pytest.mark.parametrize("status", ["in_progress", "completed"])
def test_a_look_up_that_finds_the_job_served_clears_its_runner(status: str) -> None:
    """That one was not in vain; those before it were."""
    state = launched()
    rules.launch_failed(state, "no capacity", USUAL, 11.0)
    rules.launching(state, SECOND, 12.0)
    rules.runner_gone(state, SECOND, Patience(max_launches=2), 13.0)
    assert (state.wasted, state.failure) == (2, "2 runners took no job: no capacity")
    rules.looked_up(state, status, "success", 14.0, SECOND)
    assert (state.wasted, state.unserved, state.failure) == (1, False, "")


def test_a_job_that_is_queued_again_is_on_no_runner() -> None:
    """What is in progress by an event is not so by a look: the look is newer."""
    state = launched()
    rules.in_progress(state, OURS, 11.0)
    rules.looked_up(state, "queued", "", 12.0)
    assert (state.phase, state.on_runner, state.looked_up_at) == ("queued", "", 12.0)
    rules.looked_up(state, "in_progress", "", 13.0, FOREIGN)
    assert (state.phase, state.on_runner, state.in_progress_at) == (
        "in_progress",
        FOREIGN,
        13.0,
    )
    rules.looked_up(state, "in_progress", "", 14.0, OURS)
    assert (state.on_runner, state.in_progress_at) == (FOREIGN, 13.0), "no news"
