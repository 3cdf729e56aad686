"""Which waits a job leaves to its semaphore's nudge, and what a nudge changes."""

import pytest

from policy import job as rules
from policy.job import Step
from policy.job_state import JobState, Patience

OURS = "penstock-7-1"


def launched() -> JobState:
    """A job that has just got its permit and launched its first runner."""
    state = JobState(queued_at=0.0)
    rules.asked(state, 0.0)
    rules.granted(state, "e/1", 0.0)
    rules.launching(state, OURS, 0.0)
    return state


def test_a_nudged_holder_looks_at_the_clock_itself_from_then_on() -> None:
    """Until then no timer; after it until the permit is back, and for the next one none again."""
    state, patience = launched(), Patience()
    waits = rules.decide(state, patience, 0.0)
    assert (waits.until, waits.backstop) == (600.0, True)
    rules.nudged(state, 598.0)
    waits = rules.decide(state, patience, 598.0)
    assert (waits.until, waits.backstop) == (600.0, False)
    rules.retired(state, "unknown", patience, 600.0)
    assert rules.decide(state, patience, 600.0) == Step(rules.WAIT, "its runner starts", 1200.0)
    rules.granted(state, "e/2", 700.0)
    assert rules.decide(state, patience, 700.0).backstop is False, "1200 comes before the nudge"
    rules.nudged(state, 1300.0)
    rules.retired(state, "gone", patience, 1300.0)
    rules.released(state, state.lease)
    assert state.nudged_at == 0.0
    assert not rules.decide(state, patience, 1300.0).backstop, "without a permit nobody nudges"
    rules.nudged(state, 1301.0)
    assert (state.nudged_at, state.asked_at) == (0.0, 0.0), "late news"


def test_a_nudged_waiter_is_as_good_as_one_that_asked() -> None:
    """The semaphore knows it; on the last hour before its end it looks at the clock itself."""
    state, patience = JobState(queued_at=0.0), Patience()
    rules.asked(state, 0.5)
    for hour in range(1, 23):
        rules.nudged(state, hour * 3600.0)
        waits = rules.decide(state, patience, hour * 3600.0)
        assert (waits.until, waits.backstop) == ((hour + 1) * 3600.0, True)
    rules.nudged(state, 23.5 * 3600.0)
    waits = rules.decide(state, patience, 23.5 * 3600.0)
    assert (waits.until, waits.backstop) == (24 * 3600.0, False)


@pytest.mark.parametrize(
    ("patience", "backstop"),
    [(Patience(), True), (Patience(finish=299), False), (Patience(finish=900), True)],
)
def test_a_short_patience_with_a_runners_end_is_kept_exactly(
    patience: Patience, backstop: bool
) -> None:
    """The usual one, and any longer, may be stretched to the nudge, ten minutes at most."""
    state = launched()
    rules.in_progress(state, OURS, 1.0)
    rules.runner_busy(state, OURS, "7")
    rules.completed(state, "success", OURS, 2.0)
    waits = rules.decide(state, patience, 2.0)
    assert (waits.until, waits.backstop) == (2.0 + patience.finish, backstop)


def test_short_patience_and_held_up_waits_keep_their_own_time() -> None:
    """A nudge would come too late for them, or not at all."""
    state = JobState(queued_at=1.0)
    rules.asked(state, 1.0)
    assert not rules.decide(state, Patience(reacquire=3500), 1.0).backstop
    rules.hold_up(state, "throttled", 50.0)
    waits = rules.decide(state, Patience(), 1.0)
    assert (waits.why, waits.backstop) == ("throttled", False)
    assert not rules.decide(launched(), Patience(start=500), 0.0).backstop
