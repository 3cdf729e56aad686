"""How long runners live, from eleven numbers."""

import math
import random
from bisect import bisect_right
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.lives import FLATTEST, LONGEST_SECONDS, PRIOR, PRIOR_SAMPLES, STEEPEST, Lives
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


def levels(quantiles_: int, samples: int) -> list[float]:
    """Where so many quantiles of so many samples stand: the k-th smallest of n at k/(n+1)."""
    last = quantiles_ - 1
    return [(1 + i * (samples - 1) / last) / (samples + 1) for i in range(quantiles_)]


def log_normal(sigma: float, of: list[float]) -> list[float]:
    """The lives at these levels, of a median of e⁵ seconds."""
    return [math.exp(5 + sigma * NormalDist().inv_cdf(level)) for level in of]


@pytest.mark.parametrize(("known", "samples"), [(3, 3), (3, 9), (4, 4), (11, 20), (11, 64)])
@pytest.mark.parametrize("sigma", [0.2, 0.8, 1.1])
def test_log_normal_lives_are_known_exactly(known: int, samples: int, sigma: float) -> None:
    """From any few of their quantiles: between them and above the largest, and both ways."""
    at = levels(known, samples)
    lives = Lives.of(log_normal(sigma, at), samples)
    for level in (*at, 0.5, (at[0] + at[1]) / 2, (at[-2] + at[-1]) / 2, 0.99, 0.9999):
        (life,) = log_normal(sigma, [level])
        assert lives.life(level) == pytest.approx(life, rel=1e-6)
        assert lives.below(life) == pytest.approx(level, rel=1e-6)
        age = life / 2 if life / 2 >= lives.life(0.0) else life
        half_of_those_left = lives.below(age) + 0.5 * (1 - lives.below(age))
        (end,) = log_normal(sigma, [half_of_those_left])
        assert lives.left(age, 0.5) == pytest.approx(end - age, rel=1e-6)


def test_each_known_life_stands_at_its_level() -> None:
    """Whatever their shape; below the smallest there is nothing but it, at a level of nothing."""
    known = [1.0, 5.0, 6.0, 50.0, 500.0]
    lives = Lives.of(known, 19)
    assert [lives.life(level) for level in levels(5, 19)] == pytest.approx(known)
    assert [lives.below(life) for life in known] == pytest.approx([0.05, 0.275, 0.5, 0.725, 0.95])
    assert lives.life(0.01) == lives.life(0.0) == pytest.approx(1.0)
    assert lives.below(0.99) == lives.below(0.0) == 0.0


def test_no_life_is_shorter_than_a_millisecond() -> None:
    """A runner that ended at once left a life of nothing, which has no logarithm."""
    lives = Lives.of([0.0, 10.0], 2)
    assert lives.life(0.0) == pytest.approx(0.001)
    assert lives.left(1e9, 0.5) == 0.001, "and who outlived all bounds is about to end"


@pytest.mark.parametrize(
    ("upper", "tail"), [(0.8, 0.8), (0.01, FLATTEST), (0.06, 0.06), (1.19, 1.19), (3.0, STEEPEST)]
)
def test_the_tail_is_as_steep_as_the_upper_quantiles(upper: float, tail: float) -> None:
    """The largest four of eleven say how it goes on, within bounds; what is below says nothing."""
    at = levels(11, 64)
    known = [100.0] * 7 + log_normal(upper, at[7:])
    lives = Lives.of(sorted(known), 64)
    beyond = NormalDist().inv_cdf(0.999) - NormalDist().inv_cdf(at[-1])
    assert lives.life(0.999) == pytest.approx(known[-1] * math.exp(tail * beyond))


def test_two_lives_are_a_line_with_the_steepest_tail() -> None:
    """Between them the middle is the geometric one; above, none says how it goes on."""
    lives = Lives.of([100.0, 400.0], 2)
    assert lives.life(0.5) == pytest.approx(200.0)
    assert lives.life(2 / 3) == pytest.approx(400.0)
    beyond = NormalDist().inv_cdf(0.9) - NormalDist().inv_cdf(2 / 3)
    assert lives.life(0.9) == pytest.approx(400.0 * math.exp(STEEPEST * beyond))


@pytest.mark.parametrize(
    ("known", "samples", "error"),
    [
        ([100.0, 300.0], 4, 0.25),
        ([100.0, 300.0], 25, 0.1),
        ([100.0, 100.0], 4, 0.05),
        ([1.0] * 9 + [1e6], 4, 0.5),
    ],
)
def test_the_scale_is_the_surer_the_more_lives_are_known_and_the_closer_they_are(
    known: list[float], samples: int, error: float
) -> None:
    """Their deviation over their mean, between 0.1 and 1, over the root of their number."""
    assert Lives.of(known, samples).scale_error == pytest.approx(error)


def test_mean_and_deviation_are_those_of_the_quantiles() -> None:
    """For sums of many lives, where the shape no longer matters."""
    lives = Lives.of([100.0, 200.0, 600.0], 3)
    assert (lives.mean, lives.deviation) == pytest.approx((300.0, math.sqrt(140_000 / 3)))
