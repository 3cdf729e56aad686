"""The time to drain: never wrong in kind, and close to a simulation in size."""

import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.drain import PRIOR, Load, estimate, residual
from policy.semaphore import quantiles

LIVES = sorted(60.0 + 30.0 * i for i in range(11))


def loads() -> st.SearchStrategy[Load]:
    """A repository's running and waiting jobs."""
    return st.builds(
        Load,
        st.just("acme/a"),
        st.lists(st.floats(0, 5000), max_size=4),
        st.integers(0, 400),
        st.integers(1, 5),
        st.lists(st.floats(1, 5000), min_size=1, max_size=11).map(sorted),
        st.integers(0, 64),
    )


@given(st.lists(loads(), max_size=4))
def test_it_is_ordered_and_zero_only_when_empty(work: list[Load]) -> None:
    """p50 ≤ p90 ≤ upper; something to do takes time."""
    answer = estimate(work)
    assert 0 <= answer.p50 <= answer.p90 <= answer.upper
    busy = any(load.ages or load.waiting for load in work)
    assert (answer.upper > 0) is busy
    assert (answer.method == "empty") is not busy


@given(st.lists(st.floats(0, 300), max_size=4), st.integers(0, 120), st.integers(1, 4))
def test_more_waiters_never_end_sooner(ages: list[float], waiting: int, permits: int) -> None:
    """And more permits never later, as long as the running ones fit."""
    few = estimate([Load("acme/a", ages, waiting, permits, LIVES, 30)])
    more = estimate([Load("acme/a", ages, waiting + 1, permits, LIVES, 30)])
    assert few.p50 <= more.p50 + 0.1
    assert few.p90 <= more.p90 + 0.1


def test_another_repository_never_ends_the_whole_sooner() -> None:
    """The fleet is empty when its last repository is."""
    one = Load("acme/a", [10.0], 3, 2, LIVES, 30)
    alone, both = estimate([one]), estimate([one, Load("acme/b", [], 20, 1, LIVES, 30)])
    assert both.p50 > alone.p50


@pytest.mark.parametrize(
    ("load", "others", "method"),
    [
        (Load("a", [1.0], 0, 1, LIVES, 20), [], "repository"),
        (Load("a", [1.0], 0, 1, LIVES, 5), [Load("b", [], 0, 1, LIVES, 20)], "fleet"),
        (Load("a", [1.0], 0, 1, LIVES, 5), [], "repository-few"),
        (Load("a", [1.0], 0, 1), [Load("b", [], 0, 1, LIVES, 5)], "fleet-few"),
        (Load("a", [1.0], 0, 1), [], "prior"),
    ],
)
def test_few_samples_fall_back(load: Load, others: list[Load], method: str) -> None:
    """Repository, fleet, whatever there is, and the prior of the literature."""
    answer = estimate([load, *others])
    assert answer.method == method
    assert answer.samples == load.samples + sum(o.samples for o in others)


def test_the_prior_is_three_minutes_for_half_of_the_jobs() -> None:
    """A single new job without any history."""
    assert estimate([Load("a", [0.0], 0, 1)]).p50 == 180.0
    assert sorted(PRIOR) == PRIOR


@given(st.floats(0, 1000), st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_what_is_left_is_never_nothing(age: float, q: float) -> None:
    """Even a job older than all that is known goes on, and higher quantiles last longer."""
    assert residual(LIVES, age, q) > 0
    assert residual(LIVES, age, 0.5) <= residual(LIVES, age, 0.9) <= residual(LIVES, age, 1.0)


def test_the_residual_agrees_with_a_simulation() -> None:
    """Of the lives longer than the age, half are over by p50 and nine tenths by p90."""
    dice = random.Random(5)
    drawn = sorted(dice.lognormvariate(5.2, 0.8) for _ in range(20_000))
    for age in (0.0, 100.0, 300.0):
        left = drawn[bisect_right(drawn, age) :]
        for q in (0.5, 0.9):
            found = residual(drawn, age, q)
            share = bisect_right(left, age + found) / len(left)
            assert abs(share - q) < 0.01


def test_eleven_quantiles_tell_nearly_as_much() -> None:
    """What a semaphore reports, against all its samples: within a fifth at p50."""
    dice = random.Random(6)
    drawn = sorted(dice.gammavariate(4.0, 60.0) for _ in range(2000))
    told = quantiles(drawn)
    for age in (0.0, 100.0, 250.0):
        left = drawn[bisect_right(drawn, age) :]
        truth = left[len(left) // 2] - age
        assert abs(residual(told, age, 0.5) - truth) < 0.2 * (truth + age)


def test_a_queue_agrees_with_a_simulation() -> None:
    """Forty waiters on four permits, lives that vary little: within a tenth of Monte Carlo."""
    dice = random.Random(7)
    lives = sorted(dice.uniform(90.0, 110.0) for _ in range(500))
    ends: list[float] = []
    for _ in range(400):
        free = [0.0] * 4
        for _ in range(40):
            free.sort()
            free[0] += dice.choice(lives)
        ends.append(max(free))
    ends.sort()
    answer = estimate([Load("a", [], 40, 4, quantiles(lives), 64)])
    assert answer.p50 == pytest.approx(ends[200], rel=0.1)
    assert answer.p90 == pytest.approx(ends[360], rel=0.1)


def test_a_long_queue_is_reckoned_in_rounds() -> None:
    """Ten thousand waiters on ten permits: a thousand lives, at no cost."""
    assert estimate([Load("a", [], 10_000, 10, [60.0] * 11, 64)]).p50 == 60_000.0
    assert estimate([Load("a", [], 10_001, 10, [60.0] * 11, 64)]).p50 == 60_060.0
    assert estimate([Load("a", [0.0] * 3, 1, 2, [60.0] * 11, 64)]).p50 == 120.0
