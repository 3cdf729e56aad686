"""The statistic behind the figure of the signature's check."""

import math

import pytest

from benchmarks import welch


def test_the_statistic_is_welchs():
    """Means 2 and 4, variances 1 and 4, three of each: -2 / sqrt(5/3)."""
    assert welch.t([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(-2 / math.sqrt(5 / 3))
    assert welch.t([2.0, 2.0], [2.0, 2.0]) == 0.0


def test_what_is_slow_is_cropped_by_one_threshold():
    """A tenth of all, whoever has it."""
    quick, slow = [1.0] * 50, [2.0] * 40 + [9.0] * 10
    assert welch.cropped(quick, slow) == (quick, [2.0] * 40)
    quick, slow = [1.0] * 49 + [9.0], [2.0] * 42 + [8.0] + [9.0] * 7
    assert welch.cropped(quick, slow) == ([1.0] * 49, [2.0] * 42)
    assert welch.cropped([3.0] * 5, [3.0] * 5) == ([3.0] * 5, [3.0] * 5)


def test_each_try_has_a_text_of_its_own():
    """Both classes, in an order that is no pattern; equal texts, but not the same object."""
    seen = []
    welch.compare(seen.append, "a signature", "another one", 200)
    assert {*seen} == {"a signature", "another one"}
    assert len({id(text) for text in seen}) == len(seen) == 200 * welch.RUNS
    runs = [[text == "a signature" for text in seen[n * 200 : (n + 1) * 200]] for n in range(3)]
    assert all(60 < sum(ones) < 140 for ones in runs)
    assert runs[0] != sorted(runs[0])
    assert runs[0] != runs[1] != runs[2]
