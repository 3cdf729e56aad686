"""A working day in virtual time on the real policies (benchmarks/day.py)."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from benchmarks.day import normal_day

SEEDS = (7, 8, 9)


@pytest.fixture(scope="module")
def days():
    """Played side by side."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return dict(zip(SEEDS, pool.map(normal_day, SEEDS), strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_on_a_normal_day_hardly_a_job_is_refused_and_none_is_lost(days, seed):
    """With four matrices of 256 jobs; what is refused is of low priority and comes back."""
    day = days[seed]
    assert day.longest_queue > 100, "the matrices pass the threshold"
    assert 0 < day.refused_part < 0.01
    assert day.lost == 0
