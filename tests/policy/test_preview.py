"""What a change of limits would do is told before it is done."""

from policy.allocation import Demand, Snapshot
from policy.limits import Limits
from policy.messages import Waiting
from policy.preview import capacity_after, preview

NOW = 1000.0


def demand(repo: str, in_use: int, waiting: int) -> Demand:
    """So many permits in use, so many waiters."""
    return Demand(repo, in_use, [Waiting("normal", waiting, NOW - 10)] if waiting else [])


def test_more_room_is_shared_by_those_who_wait() -> None:
    """The sums, and each repository concerned; who is not concerned is left out."""
    old, new = Limits(4, 1.0, 2), Limits(6, 1.0, 2, {"a/a": 4})
    now_ = Snapshot(old, 4, [demand("a/a", 2, 5), demand("b/b", 2, 0), demand("c/c", 0, 0)])
    told = preview(old, new, now_, NOW)
    assert (told.capacity_before, told.capacity_after) == (4, 6)
    assert (told.permits_before, told.permits_after, told.over) == (4, 6, 0)
    (effect,) = told.effects
    assert (effect.repo, effect.limit_before, effect.limit_after) == ("a/a", 2, 4)
    assert (effect.permits_before, effect.permits_after, effect.waiting) == (2, 4, 5)


def test_what_is_in_use_beyond_a_lower_limit_is_named() -> None:
    """It is not revoked; the ones with most beyond come first."""
    old, new = Limits(9, 1.0, 3), Limits(9, 1.0, 3, {"a/a": 2, "b/b": 0})
    now_ = Snapshot(old, 9, [demand("a/a", 3, 0), demand("b/b", 3, 2), demand("c/c", 3, 1)])
    told = preview(old, new, now_, NOW)
    assert [(e.repo, e.over) for e in told.effects] == [("b/b", 3), ("a/a", 1)]
    assert told.over == 4


def test_what_back_pressure_took_stays_taken() -> None:
    """So does what maintenance took."""
    old = Limits(10)
    assert capacity_after(10, old, Limits(12)) == 12
    assert capacity_after(5, old, Limits(12)) == 5
    assert capacity_after(5, old, Limits(3)) == 3
    assert capacity_after(0, old, Limits(12)) == 0
