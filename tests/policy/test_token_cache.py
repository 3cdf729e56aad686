"""When a cached runner token serves."""

import pytest

from policy.token_cache import Freshness, freshness

MINUTE = 60.0


@pytest.mark.parametrize(
    ("age", "life", "expected"),
    [
        (0, 60, "fresh"),
        (44.9, 60, "fresh"),
        (45, 60, "refresh"),
        (49.9, 60, "refresh"),
        (50, 60, "stale"),
        (8.9, 10, "fresh"),
        (9, 10, "stale"),
        (0, 0, "stale"),
    ],
)
def test_a_token_is_refreshed_before_it_is_stale(
    age: float, life: float, expected: Freshness
) -> None:
    """45 min fresh, 5 min more while a new one is fetched; a short one until a minute before."""
    assert freshness(1000.0, 1000.0 + life * MINUTE, 1000.0 + age * MINUTE) == expected
