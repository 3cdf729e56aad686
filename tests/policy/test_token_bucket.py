"""The token bucket, against a log of all calls that went through."""

from hypothesis import given
from hypothesis import strategies as st

from policy.token_bucket import Deferred, Rate, Taken, take

START = 1_800_000_000.0


@given(
    st.integers(1, 12),
    st.sampled_from([1.0, 60.0, 3600.0]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 3)), min_size=1, max_size=60),
)
def test_no_window_ever_sees_more_than_rate_and_burst(
    burst: int, per_seconds: float, asked: list[tuple[float, int]]
) -> None:
    """In each window of length t: at most t × rate + burst calls."""
    rate, arrival, now = Rate(burst, per_seconds), 0.0, START
    log: list[tuple[float, int]] = []
    for pause, calls in asked:
        now += pause * rate.interval * 2
        verdict = take(arrival, rate, now, calls)
        if isinstance(verdict, Taken):
            arrival = verdict.arrival
            log.append((now, min(calls, burst)))
        for i, (since, _) in enumerate(log):
            passed = sum(n for _, n in log[i:])
            assert passed <= (now - since) / rate.interval + burst + 1e-3
    assert log, "the first call always passes"


@given(st.integers(1, 12), st.floats(0, 90), st.integers(1, 20))
def test_after_the_wait_that_it_names_a_call_passes(burst: int, ahead: float, calls: int) -> None:
    """Not before it, and it is never longer than a full refill past the state."""
    rate = Rate(burst, 60.0)
    verdict = take(START + ahead, rate, START, calls)
    if isinstance(verdict, Deferred):
        wait = verdict.retry_after
        assert 0 < wait <= ahead + 60.0
        assert isinstance(take(START + ahead, rate, START + wait, calls), Taken)
        early = take(START + ahead, rate, START + wait * 0.9 - 1e-3, calls)
        assert isinstance(early, Deferred)
    else:
        assert verdict.arrival >= START


def test_a_burst_passes_at_once_and_then_one_an_interval() -> None:
    """Ten a minute: ten now, the eleventh six seconds later."""
    rate, arrival = Rate(10, 60.0), 0.0
    for _ in range(10):
        verdict = take(arrival, rate, START)
        assert isinstance(verdict, Taken)
        arrival = verdict.arrival
    verdict = take(arrival, rate, START)
    assert isinstance(verdict, Deferred)
    assert round(verdict.retry_after, 3) == 6.0


def test_more_than_the_burst_counts_as_a_full_burst() -> None:
    """It would never pass otherwise."""
    verdict = take(0.0, Rate(3, 60.0), START, 99)
    assert verdict == take(0.0, Rate(3, 60.0), START, 3)


def test_a_clock_that_goes_back_a_little_gives_nothing_extra() -> None:
    """The state is a time: an earlier now only waits longer."""
    rate = Rate(1, 60.0)
    taken = take(0.0, rate, START)
    assert isinstance(taken, Taken)
    late = take(taken.arrival, rate, START - 30)
    assert isinstance(late, Deferred)
    assert round(late.retry_after, 3) == 90.0


@given(st.integers(1, 12), st.floats(31, 1e6), st.integers(1, 20))
def test_a_clock_that_was_far_ahead_stops_nobody(burst: int, ahead: float, calls: int) -> None:
    """What it wrote cannot be: it counts as nothing, and the next call as the first."""
    rate = Rate(burst, 60.0)
    taken = take(START + ahead + 60.0, rate, START, calls)
    assert taken == take(0.0, rate, START, calls)


def test_a_state_that_a_clock_a_little_ahead_wrote_still_counts() -> None:
    """Thirty seconds beyond a full bucket are believed, and waited for; not a moment more."""
    edge = START + 60.0 + 30.0
    assert take(edge, Rate(4, 60.0), START) == Deferred(45.0)
    assert take(edge + 0.001, Rate(4, 60.0), START) == Taken(START + 15.0)


def test_a_wait_of_a_moment_is_a_wait() -> None:
    """At a hundred calls a second the next one is ten milliseconds away."""
    verdict = take(START + 1.0, Rate(100, 1.0), START)
    assert isinstance(verdict, Deferred)
    assert round(verdict.retry_after, 3) == 0.01


def test_a_state_that_says_nothing_is_that_of_a_new_bucket() -> None:
    """Also for a clock that begins at nothing."""
    assert take(1e6, Rate(4, 60.0), 0.0) == take(0.0, Rate(4, 60.0), 0.0) == Taken(15.0)
