"""Figures as data: floors, ratios, promises, and the file that keeps them."""

import pytest

from benchmarks import record, report
from benchmarks.record import Found, Line, Run, Section

RUN = Run("2026-01-01 00:00 UTC", "abc", "2 × CPU", "Python 3", 0.5, 12.0)


def test_a_ratio_is_taken_run_by_run():
    """A machine that is half as quick in one run is so for both."""
    found = Found()
    found.figure("jobs", [10, 40, 20], "jobs/s", floor=("bare", [20, 80, 40]))
    (figure,) = found.figures
    assert figure.runs == 3
    assert (figure.spread.min, figure.spread.median, figure.spread.max) == (10, 20, 40)
    assert figure.floor
    assert figure.floor.ratio == record.Spread(0.5, 0.5, 0.5)
    assert figure.kept() is None


@pytest.mark.parametrize(
    ("promise", "kept"),
    [
        ({"at_most": 20}, True),
        ({"at_most": 19}, False),
        ({"at_least": 21}, False),
        ({"at_least": 0.5, "of_ratio": True}, True),
        ({"at_least": 0.6, "of_ratio": True}, False),
        ({}, None),
    ],
)
def test_a_promise_bounds_the_median_of_figure_or_ratio(promise, kept):
    """Judged, and shown."""
    found = Found()
    found.figure("jobs", [10, 40, 20], floor=("bare", [20, 80, 40]), **promise)
    assert found.figures[0].kept() is kept
    (row,) = report.rows(found.figures)
    assert row[-1] == {True: "yes", False: "**no**", None: ""}[kept]


def test_what_cannot_be_a_figure_is_refused():
    """No value, or a floor of other runs."""
    with pytest.raises(ValueError, match="nothing was measured"):
        Found().figure("none", [])
    with pytest.raises(ValueError, match="shorter"):
        Found().figure("uneven", [1, 2], floor=("bare", [1]))
    with pytest.raises(ValueError, match="floor of 0"):
        Found().figure("over nothing", 1, floor=("bare", 0))


def test_the_file_keeps_what_it_is_given(tmp_path):
    """Every field comes back; another's file is named."""
    found = Found()
    found.figure("a", [1.23456, 2], "ms", floor=("b", [3, 4]), at_most=5, of_ratio=True)
    found.figure("c", 7)
    found.curve("grows", "It grows", "jobs", "s", [Line("one", [(1, 0.123456), (10, 2)])])
    kept = {"path": Section("A way", RUN, found.figures, found.curves)}
    path = tmp_path / "figures.json"
    assert record.load(path) == {}
    record.save(path, kept)
    assert record.load(path) == kept
    path.write_text('{"sections": []}')
    with pytest.raises(ValueError, match=r"figures\.json is no file of ours"):
        record.load(path)
