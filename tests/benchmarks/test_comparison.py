"""What is told of a limit from when slots were held."""

import pytest

from benchmarks.comparison import ELEPHANT, LIMIT, MICE, SLOTS, Held, most, seen


def test_the_most_at_once_is_counted_as_they_come_and_go():
    """Who begins as another ends was never beside it."""
    assert most([]) == 0
    assert most([Held("a", 0, 2), Held("a", 2, 3), Held("a", 1, 2)]) == 2


def test_equal_shares_within_the_limits_are_seen_as_such():
    """One slot each, job after job."""
    held = [Held(repo, n, n + 1) for repo in (ELEPHANT, *MICE) for n in range(5)]
    found = seen(held, 0.0)
    assert (found.jain, found.over_repo, found.over_all) == (1.0, 0, 0)
    assert found.jobs_per_second == pytest.approx(len(held) / 5)
    assert found.mouse_wait == 4


def test_who_comes_first_and_takes_all_is_seen_too():
    """All slots for one until it is done, then for the next."""
    held = [Held(ELEPHANT, 0, 1) for _ in range(SLOTS + 1)]
    held += [Held(mouse, 1 + n, 2 + n) for n, mouse in enumerate(MICE)]
    found = seen(held, 0.0)
    assert found.over_all == 1
    assert found.over_repo == SLOTS + 1 - LIMIT
    assert found.mouse_wait == len(MICE)
