"""How launches went: windows of counts, told as state."""

from policy import launches
from policy.launches import Span, Tally

NOW = 10_000.0


def test_launches_are_counted_in_spans_of_ten_seconds() -> None:
    """And what is older than five minutes is forgotten."""
    spans: list[Span] = []
    for second, ok in ((0, True), (9, False), (10, True), (11, True), (300, False)):
        spans = launches.count(spans, NOW + second, ok=ok)
    assert spans == [Span(NOW + 10, 2, 0), Span(NOW + 300, 0, 1)]
    assert launches.recent(spans, NOW + 309.9) == spans
    assert launches.recent(spans, NOW + 310) == spans[1:]


def test_a_clock_that_is_set_back_loses_no_count() -> None:
    """It counts where the clock was before."""
    spans = launches.count([], NOW, ok=True)
    spans = launches.count(spans, NOW - 60, ok=False)
    assert spans == [Span(NOW, 1, 1)]


def test_a_tally_is_of_spans_that_began_in_time() -> None:
    """And tells whether a rate is passed."""
    spans = [Span(0.0, 1, 1), Span(10.0, 18, 1)]
    assert launches.tally(spans, 0.0) == Tally(19, 2)
    seen = launches.tally(spans, 5.0)
    assert (seen, seen.samples) == (Tally(18, 1), 19)
    assert seen.over(0.05)
    assert not Tally(19, 1).over(0.05)
    assert not Tally().over(0.05)


def test_the_last_failure_is_found() -> None:
    """None where there is none."""
    assert launches.last_failure([Span(0.0, 1, 1), Span(10.0, 0, 2), Span(20.0, 3, 0)]) == 10.0
    assert launches.last_failure([Span(20.0, 3, 0)]) is None
