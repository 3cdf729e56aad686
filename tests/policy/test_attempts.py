"""Guessing is soon refused unheard; others are not, and memory does not grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.attempts import Attempts, failed, shut
from policy.token_bucket import Rate

RATE = Rate(10, 60.0)
NOW = 1_800_000_000.0


def test_ten_failures_then_silence_for_a_while() -> None:
    """The eleventh is not heard for six seconds; then one more may fail."""
    made = Attempts(RATE)
    for _ in range(10):
        assert shut(made, "192.0.2.1", NOW) == 0
        failed(made, "192.0.2.1", NOW)
    assert shut(made, "192.0.2.1", NOW) == pytest.approx(6.0)
    assert shut(made, "192.0.2.2", NOW) == 0, "another address pays for it"
    assert shut(made, "192.0.2.1", NOW + 6) == 0
    failed(made, "192.0.2.1", NOW + 6)
    assert shut(made, "192.0.2.1", NOW + 6) == pytest.approx(6.0)


def test_failures_under_way_do_not_lengthen_the_silence() -> None:
    """Those that were let in before the last one was counted."""
    made = Attempts(RATE)
    for _ in range(30):
        failed(made, "192.0.2.1", NOW)
    assert shut(made, "192.0.2.1", NOW) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("a proxy's word", "another", False),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    """An IPv6 network of 64 bits is one: who has an address there has all of them."""
    made = Attempts(Rate(1, 60.0))
    failed(made, one, NOW)
    assert bool(shut(made, other, NOW)) == same


def test_memory_is_bounded_and_forgets_the_oldest_failure() -> None:
    """A new failure renews an address's place."""
    made = Attempts(Rate(1, 60.0), kept=2)
    failed(made, "a", NOW)
    failed(made, "b", NOW)
    failed(made, "a", NOW + 61)
    failed(made, "c", NOW + 61)
    assert list(made.arrivals) == ["a", "c"]
    assert not shut(made, "b", NOW + 61)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_in_no_minute_more_failures_are_heard_than_twice_the_burst(gaps: list[float]) -> None:
    """A token bucket's law: burst, and what a minute refills."""
    made, now, heard = Attempts(RATE), NOW, list[float]()
    for gap in gaps:
        now += gap
        if not shut(made, "192.0.2.1", now):
            heard.append(now)
            failed(made, "192.0.2.1", now)
    for began in heard:
        assert sum(began <= at < began + 60 for at in heard) <= 20


def test_an_address_that_is_unknown_is_heard_at_any_time() -> None:
    """Also where time begins; the bucket is whole."""
    made = Attempts(Rate(1, 1.0), 10)
    assert shut(made, "192.0.2.1", 0.0) == 0.0
    failed(made, "192.0.2.1", 0.0)
    assert shut(made, "192.0.2.1", 0.0) == 1.0
