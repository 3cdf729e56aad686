"""Fewer permits while launches fail."""

from policy import slowdown
from policy.launches import Span, count
from policy.slowdown import Slowdown

NOW, FULL, RATE = 10_000.0, 12, 0.05


def failing(seconds: float, number: int = 20, failed: int = 2) -> list[Span]:
    """So many launches at once."""
    return [Span(NOW + seconds, number - failed, failed)]


def test_a_rate_of_few_launches_says_nothing() -> None:
    """Nor does one that is borne."""
    well = Slowdown()
    assert slowdown.step(well, failing(0, 19, 19), FULL, RATE, NOW) == well
    assert slowdown.step(well, failing(0, 20, 1), FULL, RATE, NOW) == well
    assert slowdown.next_look(well) is None


def test_the_capacity_is_halved_at_once_and_its_cause_is_told() -> None:
    """Once for the same launches."""
    slow = slowdown.step(Slowdown(), failing(0), FULL, RATE, NOW)
    assert (slow.capacity, slow.cause) == (6, "2 of 20 launches failed (10 %)")
    assert slowdown.next_look(slow) == NOW + 60
    assert slowdown.step(slow, failing(0), FULL, RATE, NOW + 59) == slow
    assert slowdown.step(slow, failing(-1), FULL, RATE, NOW + 60).capacity == 7


def test_each_healthy_minute_gives_one_back() -> None:
    """An unhealthy one gives nothing; at full speed old failures are forgotten."""
    spans = failing(-1)
    slow = slowdown.step(Slowdown(), spans, FULL, RATE, NOW)
    seen = [slow.capacity]
    for minute in range(1, 8):
        now = NOW + 60 * minute
        if minute == 2:
            spans = count(spans, now - 30, ok=False)
        slow = slowdown.step(slow, spans, FULL, RATE, now)
        seen.append(slow.capacity)
    assert seen == [6, 7, 7, 8, 9, 10, 11, None]
    again = slowdown.step(slow, failing(400), FULL, RATE, NOW + 421)
    assert again.capacity is None, "launches before the recovery do not count twice"
    assert slowdown.step(slow, failing(421), FULL, RATE, NOW + 421).capacity == 6


def test_failures_that_go_on_halve_it_again_but_never_under_one() -> None:
    """A fleet that launches nothing would never learn that it is well again."""
    slow, seen = Slowdown(), list[int | None]()
    for minute in range(6):
        spans = failing(60 * minute, 20, 20)
        slow = slowdown.step(slow, spans, FULL, RATE, NOW + 60 * minute)
        seen.append(slow.capacity)
    assert seen == [6, 3, 1, 1, 1, 1]
    alone = slowdown.step(Slowdown(), failing(0), 1, RATE, NOW)
    assert alone.capacity is None, "one cannot be halved"


def test_a_limit_that_was_lowered_meanwhile_ends_it() -> None:
    """The slow-down is not held under a limit that is lower itself."""
    slow = slowdown.step(Slowdown(), failing(-1), FULL, RATE, NOW)
    assert slowdown.step(slow, [], 5, RATE, NOW + 60).capacity is None
