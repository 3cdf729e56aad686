"""The time to drain: never wrong in kind, and close to a simulation in size."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import drain
from policy.drain import Estimate, Load, estimate, forecast, times_to_permits
from policy.semaphore import quantiles

LIVES = sorted(60.0 + 30.0 * i for i in range(11))


def time_to_permit(loads: list[Load], repo: str, position: int, capacity: int) -> Estimate:
    """One waiter's time."""
    (found,) = times_to_permits(loads, [(repo, position)], capacity)
    assert found is not None
    return found


def loads() -> st.SearchStrategy[Load]:
    """A repository's running and waiting jobs."""
    return st.builds(
        Load,
        st.sampled_from(["acme/a", "acme/b", "beta/c"]),
        st.lists(st.floats(0, 5000), max_size=4),
        st.integers(0, 40),
        st.integers(0, 5),
        st.lists(st.floats(0, 5000), min_size=1, max_size=11).map(sorted),
        st.integers(0, 64),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(loads(), max_size=3, unique_by=lambda load: load.repo), st.integers(0, 8))
def test_it_is_ordered_and_zero_only_when_empty(work: list[Load], capacity: int) -> None:
    """p50 ≤ p90 ≤ upper for the whole and each part; something that runs takes time."""
    answer = forecast(work, capacity)
    whole = answer.whole
    assert 0 <= whole.p50 <= whole.p90 <= whole.upper
    assert all(
        0 <= part.p50 <= part.p90 <= part.upper <= whole.upper for part in answer.repos.values()
    )
    runs = [load for load in work if load.ages]
    starts = [load for load in work if load.waiting and load.permits and capacity]
    assert (whole.upper > 0) is bool(runs or starts)
    busy = [load for load in work if load.ages or (load.waiting and capacity)]
    assert sorted(answer.repos) == sorted(load.repo for load in busy)
    assert (whole.method == "empty") is not busy


def test_the_same_question_has_the_same_answer() -> None:
    """No chance is involved: a query may be replayed."""
    work = [Load("acme/a", [5.0, 70.0], 9, 3, LIVES, 30), Load("acme/b", [], 4, 2, LIVES, 8)]
    assert forecast(work, 4) == forecast(work, 4)


def test_more_waiters_never_end_sooner() -> None:
    """A whole round more is seen in every quantile."""
    few = estimate([Load("acme/a", [9.0], 4, 2, LIVES, 30)], 4)
    more = estimate([Load("acme/a", [9.0], 8, 2, LIVES, 30)], 4)
    assert few.p50 < more.p50
    assert few.p90 < more.p90


def test_the_fleet_is_empty_when_its_last_repository_is() -> None:
    """And a narrow fleet takes longer than the repositories' own limits say."""
    one, other = Load("acme/a", [10.0], 3, 2, LIVES, 30), Load("b/b", [], 20, 10, LIVES, 30)
    wide, narrow = forecast([one, other], 30), forecast([one, other], 2)
    assert wide.whole.p50 == pytest.approx(max(p.p50 for p in wide.repos.values()), rel=0.1)
    assert narrow.whole.p50 > 2 * wide.whole.p50


@pytest.mark.parametrize(
    ("load", "others", "method"),
    [
        (Load("o/a", [1.0], 0, 1, LIVES, 20), [], "repository"),
        (Load("o/a", [1.0], 0, 1, LIVES, 5), [Load("o/b", [], 0, 1, LIVES, 20)], "organization"),
        (Load("o/a", [1.0], 0, 1, LIVES, 5), [Load("p/b", [], 0, 1, LIVES, 20)], "fleet"),
        (Load("o/a", [1.0], 0, 1, LIVES, 5), [], "repository-few"),
        (Load("o/a", [1.0], 0, 1), [Load("p/b", [], 0, 1, LIVES, 5)], "fleet-few"),
        (Load("o/a", [1.0], 0, 1), [], "prior"),
    ],
)
def test_few_samples_fall_back(load: Load, others: list[Load], method: str) -> None:
    """Repository, organization, fleet, whatever there is, and the prior of the literature."""
    answer = estimate([load, *others], 6)
    assert answer.method == method
    assert answer.samples == load.samples + sum(o.samples for o in others)


def test_the_pool_counts_each_repository_by_its_samples() -> None:
    """Sixty quick runs beside five long ones are mostly quick."""
    quick = Load("o/b", [], 0, 1, [10.0] * 11, 60)
    slow = Load("o/c", [], 0, 1, [1000.0] * 11, 5)
    assert estimate([Load("o/a", [0.0], 0, 1), quick, slow], 6).p50 < 20


def test_in_maintenance_what_waits_never_starts() -> None:
    """Only what runs has an end, and the method says so."""
    answer = forecast([Load("o/a", [1.0], 5, 2, LIVES, 30), Load("o/b", [], 5, 2, LIVES, 30)], 0)
    assert answer.whole.method == "paused+repository"
    assert answer.whole.upper < 2 * LIVES[-1]
    assert list(answer.repos) == ["o/a"]


def test_a_queue_agrees_with_a_simulation() -> None:
    """Forty waiters on four permits, lives that vary little: within a tenth of Monte Carlo."""
    dice = random.Random(7)
    lives = sorted(dice.uniform(90.0, 110.0) for _ in range(500))
    ends: list[float] = []
    for _ in range(400):
        free = [0.0] * 4
        for _ in range(40):
            free.sort()
            free[0] += dice.choice(lives)
        ends.append(max(free))
    ends.sort()
    answer = estimate([Load("a/a", [], 40, 4, quantiles(lives), 64)], 9)
    assert answer.p50 == pytest.approx(ends[200], rel=0.1)
    assert answer.p90 == pytest.approx(ends[360], rel=0.1)


def test_a_long_queue_is_reckoned_in_groups() -> None:
    """Ten thousand waiters on ten permits: a thousand lives, in few plays."""
    work = [Load("a/a", [], 10_000, 10, [60.0] * 11, 64)]
    assert estimate(work, 20).p50 == pytest.approx(60_000.0, rel=0.03)
    parts = drain._parts(work)
    assert parts[0].chunks <= drain.MOST_WAITERS
    assert drain._plays(parts) * parts[0].chunks <= drain.STEPS


def test_a_waiter_is_told_its_own_turn() -> None:
    """The first gets what comes free first, later ones later, whoever stands behind them."""
    mine = Load("o/a", [30.0, 30.0], 3, 2, [60.0] * 11, 30)
    other = Load("o/b", [], 50, 1, [60.0] * 11, 30)
    first = time_to_permit([mine, other], "o/a", 1, 3)
    third = time_to_permit([mine, other], "o/a", 3, 3)
    assert first.p50 == pytest.approx(30.0, rel=0.1)
    assert third.p50 == pytest.approx(90.0, rel=0.1)
    assert first.method == "repository"


def test_a_waiter_of_a_full_fleet_waits_for_others() -> None:
    """A repository without a permit of its own, beside one that has them all."""
    other = Load("o/b", [10.0], 50, 4, [60.0] * 11, 30)
    mine = Load("o/a", [], 1, 2, [60.0] * 11, 30)
    assert time_to_permit([other, mine], "o/a", 1, 1).p50 == pytest.approx(50.0, rel=0.1)
    assert time_to_permit([other], "o/new", 1, 1).p50 == pytest.approx(50.0, rel=0.1)
    assert time_to_permit([], "o/new", 1, 1).p50 == 0.0


def test_who_may_have_no_permit_has_no_time() -> None:
    """A repository whose limit is 0; those beside it have theirs."""
    none = Load("o/none", [], 3, 0, [60.0] * 11, 30)
    mine = Load("o/a", [10.0], 3, 1, [60.0] * 11, 30)
    asked = [("o/none", 1), ("o/a", 2), ("o/none", 3)]
    first, second, third = times_to_permits([none, mine], asked, 1)
    assert (first, third) == (None, None)
    assert second is not None
    assert second.p50 == pytest.approx(110.0, rel=0.1)


def test_many_are_told_what_each_alone_is_told() -> None:
    """In the order asked, twice if asked twice; of equals the first asked is served first."""
    a = Load("o/a", [30.0], 9, 1, [60.0] * 11, 30)
    b = Load("o/b", [0.0], 9, 1, [60.0] * 11, 30)
    asked = [("o/b", 3), ("o/a", 1), ("o/b", 1), ("o/a", 1)]
    found = times_to_permits([a, b], asked, 2)
    alone = [times_to_permits([a, b], [one], 2)[0] for one in asked]
    assert [one and one.p50 for one in found] == pytest.approx(
        [one and one.p50 for one in alone], rel=0.1
    )
    assert found[1] == found[3]
    assert times_to_permits([a, b], [], 2) == []


def test_places_within_a_group_share_its_time() -> None:
    """Of a long queue several waiters in a row are played as one."""
    load = Load("o/a", [], 3 * drain.MOST_WAITERS, 1, [60.0] * 11, 30)
    found = times_to_permits([load], [("o/a", n) for n in (1, 3, 4, load.waiting)], 1)
    assert found[0] == found[1]
    assert found[2] is not None
    assert found[2].p50 == pytest.approx(180.0, rel=0.1)
