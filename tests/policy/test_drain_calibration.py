"""The estimate is calibrated: 500 simulated drains of fixed seeds (docs/drain-estimate.md)."""

import pytest

from benchmarks.drain_calibration import DRAINS, FIRST_SEED, coverage, drains, error


@pytest.fixture(scope="module")
def found():
    """The drains of the documented table."""
    return drains(DRAINS, FIRST_SEED)


def test_nine_tenths_of_the_drains_are_over_by_p90(found) -> None:
    """85 to 95 %, over all shapes; also where few durations are known, 80 % at least."""
    assert 0.85 <= coverage(found) <= 0.95
    assert 0.85 <= coverage([d for d in found if d.samples >= 20]) <= 0.95
    assert coverage([d for d in found if d.samples < 20]) >= 0.80


def test_half_of_the_drains_are_close_to_p50(found) -> None:
    """Where at least 20 durations are known: the median error is under a quarter."""
    assert error([d for d in found if d.samples >= 20]) < 0.25


def test_half_of_the_drains_are_over_by_p50(found) -> None:
    """It is a median, not a bound."""
    assert 0.4 <= sum(d.truth <= d.p50 for d in found) / len(found) <= 0.6
