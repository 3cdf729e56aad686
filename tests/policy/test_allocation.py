"""The numbered laws of `allocate`, and a slow allocator that must agree with it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.allocation import Demand, Snapshot, allocate, allocation
from policy.limits import Limits, org_of
from policy.messages import Waiting
from policy.priority import AGE_STEP_SECONDS, PRIORITIES, effective_level

NOW = 10_000.0
REPOS = ["acme/a", "acme/b", "beta/c", "beta/d", "gamma/e"]


@st.composite
def snapshots(draw: st.DrawFn, *, sane: bool = False) -> Snapshot:
    """A fleet of a few repositories; `sane`: nothing in use is over a limit."""
    limits = Limits(
        draw(st.integers(0, 8)),
        draw(st.sampled_from([0.2, 0.5, 1.0])),
        draw(st.integers(0, 3)),
        draw(st.dictionaries(st.sampled_from(REPOS), st.integers(0, 5), max_size=3)),
        draw(st.dictionaries(st.sampled_from(["acme", "beta"]), st.integers(0, 5))),
        draw(st.dictionaries(st.sampled_from(REPOS), st.sampled_from([0.5, 2.0, 3.0]))),
    )
    snapshot = Snapshot(limits, limits.max_runners, [])
    if draw(st.booleans()):
        snapshot.capacity = draw(st.integers(0, limits.max_runners))
    if draw(st.integers(0, 4)) == 0:
        snapshot.cooling["acme"] = draw(st.sampled_from([NOW, NOW + 1]))
    for repo in draw(st.lists(st.sampled_from(REPOS), unique=True)):
        groups = [
            Waiting(name, draw(st.integers(1, 4)), NOW - draw(st.sampled_from([0, 5, 700, 2000])))
            for name in draw(st.lists(st.sampled_from(PRIORITIES), unique=True, max_size=3))
        ]
        most = min((room(snapshot, repo), 4)) if sane else 4
        used = draw(st.sampled_from([0.0, 5.0, 80.0]))
        snapshot.demands.append(Demand(repo, draw(st.integers(0, max(0, most))), groups, used))
    return snapshot


def org_room(snapshot: Snapshot, org: str) -> int:
    """The organization's limit now."""
    cooling = snapshot.cooling.get(org, 0) > NOW
    return 0 if cooling else snapshot.limits.org_cap(org)


def room(snapshot: Snapshot, repo: str) -> int:
    """How many more permits the repository could have by every limit, with what is in use."""
    used = {d.repo: d.in_use for d in snapshot.demands}
    org = sum(n for other, n in used.items() if org_of(other) == org_of(repo))
    return min(
        snapshot.capacity - sum(used.values()),
        org_room(snapshot, org_of(repo)) - org,
        snapshot.limits.repo_cap(repo) - used.get(repo, 0),
    )


def naive(snapshot: Snapshot) -> dict[str, int]:
    """One permit at a time to the best waiter of all; everything counted anew each time."""

    def weight(repo: str) -> float:
        return snapshot.limits.weights.get(repo, 1.0)

    given_out = {d.repo: 0 for d in snapshot.demands}
    lines = {
        d.repo: sorted(
            (effective_level(g.priority, g.oldest, NOW), g.oldest)
            for g in d.waiting
            for _ in range(g.count)
        )
        for d in snapshot.demands
    }
    while True:
        now_used = [
            Demand(d.repo, d.in_use + given_out[d.repo], d.waiting, d.used)
            for d in snapshot.demands
        ]
        seen = Snapshot(snapshot.limits, snapshot.capacity, now_used, snapshot.cooling)
        able = [
            (
                lines[d.repo][0][0],
                d.in_use / weight(d.repo),
                d.used / weight(d.repo),
                lines[d.repo][0][1],
                d.repo,
            )
            for d in now_used
            if lines[d.repo] and room(seen, d.repo) > 0
        ]
        if not able:
            return {d.repo: d.in_use for d in now_used}
        winner = min(able)[4]
        given_out[winner] += 1
        lines[winner].pop(0)


@given(snapshots())
def test_sums_stay_within_every_limit(snapshot: Snapshot) -> None:
    """Law 1, also when limits were set below what is in use."""
    answer = allocate(snapshot, NOW)
    assert set(answer) == {d.repo for d in snapshot.demands}
    assert sum(answer.values()) <= snapshot.capacity
    for repo, n in answer.items():
        assert 0 <= n <= snapshot.limits.repo_cap(repo)
        peers = sum(m for other, m in answer.items() if org_of(other) == org_of(repo))
        assert peers <= org_room(snapshot, org_of(repo))


@given(snapshots())
def test_nothing_new_is_given_while_more_is_in_use_than_allowed(snapshot: Snapshot) -> None:
    """Permits in use are never revoked: what is over a limit leaves no room for others."""
    result = allocation(snapshot, NOW)
    used = {d.repo: d.in_use for d in snapshot.demands}
    out = {repo: max(n, used[repo]) for repo, n in result.allotments.items()}
    if result.order:
        assert sum(out.values()) <= snapshot.capacity
    for repo in result.order:
        assert out[repo] <= snapshot.limits.repo_cap(repo)
        peers = sum(n for other, n in out.items() if org_of(other) == org_of(repo))
        assert peers <= org_room(snapshot, org_of(repo))


@given(snapshots(sane=True))
def test_permits_in_use_are_kept(snapshot: Snapshot) -> None:
    """Within its limits nobody loses a permit."""
    answer = allocate(snapshot, NOW)
    assert all(answer[d.repo] >= d.in_use for d in snapshot.demands)


@given(snapshots(sane=True))
def test_no_free_permit_stays_idle(snapshot: Snapshot) -> None:
    """Law 2, and law 4: whoever still waits could have none, whatever others lack."""
    answer = allocate(snapshot, NOW)
    after = [Demand(d.repo, answer[d.repo]) for d in snapshot.demands]
    seen = Snapshot(snapshot.limits, snapshot.capacity, after, snapshot.cooling)
    for demand in snapshot.demands:
        waits = sum(g.count for g in demand.waiting) - (answer[demand.repo] - demand.in_use)
        assert waits >= 0, "no permit for nobody"
        assert waits == 0 or room(seen, demand.repo) <= 0


@given(snapshots(sane=True))
def test_it_agrees_with_the_naive_allocator(snapshot: Snapshot) -> None:
    """Laws 2, 3 and 4 together, against the obvious and slow way."""
    assert allocate(snapshot, NOW) == naive(snapshot)


@given(snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_the_demands_does_not_matter(snapshot: Snapshot, dice: random.Random) -> None:
    """Law 6: the same input in any order, the same answer."""
    first = allocation(snapshot, NOW)
    assert allocation(snapshot, NOW) == first
    dice.shuffle(snapshot.demands)
    for demand in snapshot.demands:
        dice.shuffle(demand.waiting)
    assert allocation(snapshot, NOW) == first


def test_the_higher_priority_goes_first() -> None:
    """Law 3: one critical job before any number of older normal ones."""
    snapshot = Snapshot(
        Limits(1, 1.0),
        1,
        [
            Demand("acme/a", 0, [Waiting("normal", 9, NOW - 500)]),
            Demand("acme/b", 0, [Waiting("critical", 1, NOW)]),
        ],
    )
    assert allocate(snapshot, NOW) == {"acme/a": 0, "acme/b": 1}


def test_within_a_level_permits_are_shared_out_evenly() -> None:
    """Law 3: max–min fair over permits, then the oldest waiter, then the name."""
    many = [Waiting("normal", 9, NOW - 1)]
    demands = [Demand("acme/a", 0, many), Demand("acme/b", 2, many), Demand("acme/c", 0, many)]
    snapshot = Snapshot(Limits(6, 1.0, 6), 6, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 2, "acme/b": 2, "acme/c": 2}
    snapshot.capacity = 3
    demands[2].waiting = [Waiting("normal", 9, NOW - 2)]
    assert allocation(snapshot, NOW).order == ["acme/c"]


def test_a_repository_at_its_limit_holds_up_nobody() -> None:
    """Law 4: the first in line cannot use the permit, so the next one gets it."""
    demands = [
        Demand("acme/a", 1, [Waiting("critical", 5, 0.0)]),
        Demand("beta/c", 0, [Waiting("low", 1, NOW)]),
    ]
    snapshot = Snapshot(Limits(4, 1.0, 2, {"acme/a": 1}), 4, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 1, "beta/c": 1}


def test_an_organization_that_cools_down_gets_nothing_new() -> None:
    """And the others get what it cannot use."""
    demands = [
        Demand("acme/a", 0, [Waiting("critical", 5, 0.0)]),
        Demand("beta/c", 0, [Waiting("low", 1, NOW)]),
    ]
    snapshot = Snapshot(Limits(1, 1.0), 1, demands, {"acme": NOW + 5})
    assert allocate(snapshot, NOW) == {"acme/a": 0, "beta/c": 1}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_ageing_bounds_every_wait(priority: str) -> None:
    """Law 5: after three steps a job is before every critical one that came after it."""
    demands = [
        Demand("acme/old", 0, [Waiting(priority, 1, NOW - 3 * AGE_STEP_SECONDS)]),
        *(Demand(f"acme/{i}", 0, [Waiting("critical", 9, NOW - 60)]) for i in range(5)),
    ]
    assert allocation(Snapshot(Limits(1, 1.0), 1, demands), NOW).order == ["acme/old"]


def test_lowered_limits_take_from_the_largest_first() -> None:
    """A cut shares out evenly what remains."""
    demands = [Demand("acme/a", 4), Demand("acme/b", 1), Demand("beta/c", 2)]
    snapshot = Snapshot(Limits(8, 1.0, 8, {}, {"acme": 3}), 8, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 2, "acme/b": 1, "beta/c": 2}
    snapshot.capacity = 3
    assert allocate(snapshot, NOW) == {"acme/a": 1, "acme/b": 1, "beta/c": 1}


def test_the_larger_share_by_weight_is_cut_first() -> None:
    """Two permits at weight two are no more than one at weight one."""
    demands = [Demand("acme/a", 4), Demand("acme/b", 2)]
    snapshot = Snapshot(Limits(8, 1.0, 8, weights={"acme/a": 2.0}), 3, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 2, "acme/b": 1}


@pytest.mark.parametrize(
    ("capacity", "kept"), [(8, (4, 4)), (7, (4, 3)), (6, (4, 2)), (4, (3, 1)), (3, (2, 1))]
)
def test_a_cut_levels_shares_by_weight(capacity: int, kept: tuple[int, int]) -> None:
    """Four at weight two are a share of two: the four at weight one come down to it first."""
    demands = [Demand("acme/a", 4), Demand("acme/b", 4)]
    snapshot = Snapshot(Limits(8, 1.0, 8, weights={"acme/a": 2.0}), capacity, demands)
    assert tuple(allocate(snapshot, NOW).values()) == kept


def test_a_cut_counts_a_high_weight_as_a_small_share() -> None:
    """Eight at weight four are as two: three at weight one give first."""
    demands = [Demand("acme/a", 8), Demand("acme/b", 3)]
    snapshot = Snapshot(Limits(20, 1.0, 20, weights={"acme/a": 4.0}), 10, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 8, "acme/b": 2}


@pytest.mark.parametrize("limit", range(4))
def test_an_organization_keeps_no_more_than_its_limit(limit: int) -> None:
    """By one or by many over it, while the fleet has room for all."""
    snapshot = Snapshot(Limits(9, 1.0, 9, orgs={"acme": limit}), 9, [Demand("acme/a", 3)])
    assert allocate(snapshot, NOW) == {"acme/a": limit}


@pytest.mark.parametrize("limit", range(1, 6))
def test_an_organization_gets_no_more_than_its_limit(limit: int) -> None:
    """With what it has in use; each permit that it gets leaves it room for one less."""
    demands = [Demand(f"acme/{i}", 0, [Waiting("normal", 1, NOW)]) for i in range(4)]
    demands.append(Demand("acme/busy", 1))
    snapshot = Snapshot(Limits(9, 1.0, 9, orgs={"acme": limit}), 9, demands)
    assert allocation(snapshot, NOW).order == [f"acme/{i}" for i in range(limit - 1)]


def test_each_waiter_of_a_repository_counts_by_its_own_level() -> None:
    """Its critical one is before all others; its low one is behind them, as if it stood alone."""
    demands = [
        Demand("acme/a", 0, [Waiting("low", 1, NOW), Waiting("critical", 1, NOW)]),
        Demand("acme/b", 0, [Waiting("high", 1, NOW)]),
        Demand("acme/c", 0, [Waiting("normal", 1, NOW)]),
    ]
    order = allocation(Snapshot(Limits(9, 1.0, 9), 9, demands), NOW).order
    assert order == ["acme/a", "acme/b", "acme/c", "acme/a"]


def test_a_pause_is_over_at_its_last_moment() -> None:
    """An organization that cools down until now may have its permits now."""
    demands = [Demand("acme/a", 0, [Waiting("normal", 1, NOW)])]
    assert allocate(Snapshot(Limits(1, 1.0), 1, demands, {"acme": NOW}), NOW) == {"acme/a": 1}


def test_twice_the_weight_twice_the_permits() -> None:
    """Law 3: max–min fair over permits divided by weight."""
    many = [Waiting("normal", 20, NOW - 1)]
    demands = [Demand("acme/a", 0, many), Demand("acme/b", 0, many)]
    snapshot = Snapshot(Limits(9, 1.0, 9, weights={"acme/b": 2.0}), 9, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 3, "acme/b": 6}


def test_at_equal_shares_the_least_recent_use_goes_first() -> None:
    """Law 3: before the oldest waiter; divided by weight like the permits themselves."""
    demands = [
        Demand("acme/a", 0, [Waiting("normal", 1, NOW - 500)], used=30.0),
        Demand("acme/b", 0, [Waiting("normal", 1, NOW - 1)], used=20.0),
    ]
    snapshot = Snapshot(Limits(1, 1.0), 1, demands)
    assert allocation(snapshot, NOW).order == ["acme/b"]
    snapshot.limits.weights["acme/a"] = 2.0
    assert allocation(snapshot, NOW).order == ["acme/a"]


@given(snapshots(sane=True), st.sampled_from(REPOS))
def test_within_a_level_no_share_is_raised_past_a_smaller_one(
    snapshot: Snapshot, poorer: str
) -> None:
    """Law 3 as an inequality: no taker had a larger share than who got none."""
    for demand in snapshot.demands:
        demand.waiting = [Waiting("critical", 9, NOW)] if demand.waiting else []
    answer = allocation(snapshot, NOW)
    found = {d.repo: d for d in snapshot.demands}
    if poorer not in found or not found[poorer].waiting:
        return
    n = answer.allotments
    cap = snapshot.limits.repo_cap
    for repo in set(answer.order) - {poorer}:
        if org_of(repo) != org_of(poorer) or n[poorer] >= cap(poorer):
            continue  # another limit may have stopped it
        weight = snapshot.limits.weights
        given_at = (n[repo] - 1) / weight.get(repo, 1.0)
        assert given_at <= n[poorer] / weight.get(poorer, 1.0)


def test_an_over_limit_repository_gets_nothing_and_blocks_nobody() -> None:
    """Law 1 and 4 with a limit lowered under what is in use."""
    demands = [
        Demand("acme/a", 3, [Waiting("critical", 5, 0.0)]),
        Demand("beta/c", 0, [Waiting("low", 1, NOW)]),
    ]
    snapshot = Snapshot(Limits(4, 1.0, 2), 4, demands)
    assert allocate(snapshot, NOW) == {"acme/a": 2, "beta/c": 1}
