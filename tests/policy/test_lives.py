"""How long runners live, from eleven numbers."""

import math
import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.lives import LONGEST_SECONDS, PRIOR, PRIOR_SAMPLES, Lives
from policy.semaphore import quantiles

KNOWN = st.lists(st.floats(0, 1e5), min_size=1, max_size=11).map(sorted)
LEVELS = st.floats(0, 1)


@given(KNOWN, st.integers(1, 64), st.floats(0, 1e6), LEVELS, LEVELS)
def test_what_is_left_is_never_nothing_and_grows_with_the_level(
    known: list[float], samples: int, age: float, low: float, high: float
) -> None:
    """Even a job older than all that is known goes on."""
    lives = Lives.of(known, samples)
    low, high = sorted((low, high))
    assert 0 < lives.left(age, low) <= lives.left(age, high) * (1 + 1e-9) + 1e-3
    assert 0 <= lives.below(age) <= 1


@given(KNOWN, st.integers(1, 64), LEVELS)
def test_no_life_is_longer_than_github_allows(
    known: list[float], samples: int, level: float
) -> None:
    """Five days; and none is shorter than the shortest known."""
    life = Lives.of(known, samples).life(level)
    assert known[0] * 0.999 <= life <= max(LONGEST_SECONDS, known[-1])


@pytest.mark.parametrize("age", [0.0, 100.0, 300.0])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_the_time_left_agrees_with_a_simulation(age: float, level: float) -> None:
    """Of 20,000 lives longer than the age, that share has ended by then."""
    dice = random.Random(5)
    drawn = sorted(dice.lognormvariate(5.2, 0.8) for _ in range(20_000))
    lives = Lives.of(quantiles(drawn), len(drawn))
    left = drawn[bisect_right(drawn, age) :]
    share = bisect_right(left, age + lives.left(age, level)) / len(left)
    assert share == pytest.approx(level, abs=0.04)


def test_the_tail_goes_on_as_steep_as_it_came() -> None:
    """Log-normal lives: a life of one in a thousand, from the quantiles of sixty-four."""
    sample = [math.exp(5 + 0.8 * z / 20) for z in range(-43, 44)]  # z from −2.15 to 2.15
    lives = Lives.of(quantiles(sample), 64)
    assert lives.life(0.999) == pytest.approx(math.exp(5 + 0.8 * 3.09), rel=0.35)


def test_one_sample_is_very_uncertain() -> None:
    """No slope is known, so that the tail is steep."""
    lives = Lives.of([100.0], 1)
    assert lives.life(0.5) == pytest.approx(100.0)
    assert lives.life(0.9) > 300.0


def test_the_prior_is_three_minutes_for_half_of_the_jobs() -> None:
    """Without any history."""
    assert Lives.of(PRIOR, PRIOR_SAMPLES).life(0.5) == pytest.approx(180.0)
    assert sorted(PRIOR) == PRIOR
