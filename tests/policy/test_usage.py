"""Recent use: permit-seconds with a half-life."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.usage import HALF_LIFE_SECONDS, Usage, hold, used

NOW = 10_000.0


def test_nothing_used_is_nothing() -> None:
    """A repository never seen before."""
    assert used(Usage(), NOW) == 0.0


def test_use_halves_in_a_half_life() -> None:
    """After ten minutes without a permit half of it is left."""
    assert used(Usage(100.0, NOW, 0), NOW + HALF_LIFE_SECONDS) == pytest.approx(50.0)


def test_a_permit_held_for_ever_comes_to_a_ceiling() -> None:
    """r · h / ln 2."""
    ceiling = 2 * HALF_LIFE_SECONDS / math.log(2)
    assert used(Usage(0.0, NOW, 2), NOW + 1e6) == pytest.approx(ceiling)


def test_a_second_is_a_permit_second() -> None:
    """Short beside the half-life, nothing fades."""
    assert used(Usage(0.0, NOW, 3), NOW + 1.0) == pytest.approx(3.0, rel=1e-3)


def test_a_clock_that_goes_back_changes_nothing() -> None:
    """No time has passed then."""
    assert used(Usage(7.0, NOW, 1), NOW - 5) == 7.0


@given(st.lists(st.tuples(st.floats(0.1, 500), st.integers(0, 5)), min_size=1, max_size=8))
def test_use_is_the_decayed_integral_of_what_was_held(steps: list[tuple[float, int]]) -> None:
    """However the time is cut up, against a sum of small steps."""
    usage, now, exact = Usage(), NOW, 0.0
    for seconds, held in steps:
        hold(usage, held, now)
        parts = 200
        dt = seconds / parts
        for _ in range(parts):
            exact = exact * 0.5 ** (dt / HALF_LIFE_SECONDS) + held * dt
        now += seconds
    assert used(usage, now) == pytest.approx(exact, rel=0.01, abs=0.1)
