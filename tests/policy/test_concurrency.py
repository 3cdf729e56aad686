"""When a semaphore is asked, and what is written of what it says."""

import dataclasses

import pytest

from policy.concurrency import FRESH_SECONDS, NOTHING, Hint, Picture, Row, is_due, next_row

NOW = 2_000_000.0
ROW = Row("acme/api", 1, 2, 3, "e1", 7, NOW)
LIKE_ROW = Hint(1, 2)


@pytest.mark.parametrize(
    ("row", "hints", "limit", "later", "due"),
    [
        (ROW, (LIKE_ROW, LIKE_ROW), 3, 1, False),
        (ROW, (Hint(1, 5), LIKE_ROW), 3, 1, True),  # the Fleet heard something
        (ROW, (Hint(1, 5), Hint(1, 5)), 3, 1, False),  # it hears late of waiters
        (ROW, (Hint(2, 2), Hint(2, 2)), 3, 1, True),  # of what runs it hears exactly
        (ROW, (LIKE_ROW, LIKE_ROW), 4, 1, True),
        (ROW, (LIKE_ROW, LIKE_ROW), 3, FRESH_SECONDS, True),
        (dataclasses.replace(ROW, running=0), (Hint(0, 2), Hint(0, 2)), 3, FRESH_SECONDS, True),
        (dataclasses.replace(ROW, running=0, waiting=0), (NOTHING, NOTHING), 3, 9999, False),
        (None, (NOTHING, LIKE_ROW), 3, 1, False),
        (None, (LIKE_ROW, LIKE_ROW), 3, 1, True),
    ],
)
def test_a_semaphore_is_asked_where_its_row_may_be_wrong(row, hints, limit, later, due):
    """And where a row that counts something gets old. `hints`: the Fleet's last two."""
    assert is_due(row, *hints, limit, NOW + later) is due


def test_a_row_that_will_do_is_left_alone():
    """Until it gets old."""
    same = Picture(1, 2, "e1")
    assert next_row(ROW, "acme/api", same, 3, NOW + 1) is None
    assert next_row(ROW, "acme/api", Picture(1, 2), None, NOW + 1) is None, "nothing new is known"
    old = next_row(ROW, "acme/api", same, 3, NOW + FRESH_SECONDS)
    assert old == dataclasses.replace(ROW, version=8, written_at=NOW + FRESH_SECONDS)


def test_what_is_true_takes_the_place_of_what_was():
    """One version on; what is not known stays."""
    new = next_row(ROW, "acme/api", Picture(0, 0, "e2"), 5, NOW + 1)
    assert new == Row("acme/api", 0, 0, 5, "e2", 8, NOW + 1)
    ended = next_row(ROW, "acme/api", Picture(0, 0), None, NOW + 1)
    assert ended == Row("acme/api", 0, 0, 3, "e1", 8, NOW + 1)


def test_a_first_row_has_a_version_of_its_own():
    """One made anew after a deletion is not taken for the old one; a stranger's is taken over."""
    first = next_row(None, "acme/api", Picture(0, 0, "e1"), 3, NOW)
    again = next_row(None, "acme/api", Picture(0, 0, "e1"), 3, NOW + 1)
    assert first
    assert again
    assert 0 < first.version < again.version
    stranger = Row("acme/api", 0, 0, -1, "e1", 0, NOW)
    ours = next_row(stranger, "acme/api", Picture(0, 0, "e1"), None, NOW)
    assert ours == Row("acme/api", 0, 0, 0, "e1", first.version, NOW)
