"""What is known → figures: nothing is invented, nothing counted twice, and few enough."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import allotment, figures, gauges, metrics
from policy.figures import Distribution, Figure, Worker
from policy.fleet import FleetState
from policy.gate import Budget
from policy.launches import Launches, Span
from policy.limits import Limits
from policy.messages import Report, Waiting
from tests.policy.test_fleet import NOW, state

TOLD = {
    "mode": "draining",
    "running": 3,
    "waiting": 9,
    "capacity": 4,
    "max_runners": 6,
    "error_rate": 0.25,
    "max_queue_depth": 100,
    "max_error_rate": 0.05,
    "launches": 20,
    "cooling": 1,
    "drain": {"p50": 60.0, "p90": 90.0},
    "last_drain_seconds": 0.0,
    "repos": [
        ["acme/a", 2, 5, 2, 6, 12.5],
        ["acme/b", 1, 0, 2, 6, 0.0],
        ["beta/c", 0, 4, 1, 3, 40.0],
    ],
}


def by_name(found) -> dict[tuple[str, ...], float]:
    """Figures by metric and labels; each is there once."""
    made = {(f.name, *f.labels): f.value for f in found if isinstance(f, Figure)}
    assert len(made) == sum(isinstance(f, Figure) for f in found)
    return made


def test_the_fleets_answer_is_told_whole() -> None:
    """Sums over an organization's repositories; a drain that never was has no time."""
    found = by_name(figures.of_fleet(TOLD))
    assert found["penstock_fleet_running",] == 3
    assert found["penstock_fleet_waiting",] == 9
    assert found["penstock_fleet_oldest_wait_seconds",] == 40.0
    assert found["penstock_org_running", "acme"] == 3
    assert found["penstock_org_waiting", "acme"] == 5
    assert found["penstock_org_limit", "beta"] == 3
    assert found["penstock_repo_limit", "beta/c"] == 1
    assert found["penstock_fleet_drain_estimate_seconds", "p90"] == 90.0
    assert [found["penstock_fleet_mode", m] for m in ("normal", "draining", "maintenance")] == [
        False,
        True,
        False,
    ]
    assert ("penstock_fleet_last_drain_seconds",) not in found
    told = by_name(figures.of_fleet({**TOLD, "last_drain_seconds": 7.5}))
    assert told["penstock_fleet_last_drain_seconds",] == 7.5


def test_a_semaphores_own_word_on_its_waiters_counts() -> None:
    """In every sum that they are in."""
    found = by_name(figures.of_fleet(TOLD, {"acme/a": 6}))
    assert found["penstock_repo_waiting", "acme/a"] == 6
    assert found["penstock_org_waiting", "acme"] == 6
    assert found["penstock_fleet_waiting",] == 10


def test_those_with_most_waiters_are_asked() -> None:
    """And nobody who has none."""
    assert figures.busiest(TOLD, 9) == ["acme/a", "beta/c"]
    assert figures.busiest(TOLD, 1) == ["acme/a"]


def test_gauges_are_the_fleets_state() -> None:
    """As the status tells it."""
    made = state()
    made.launches = [Launches("w", [Span(NOW - 10, ok=3, failed=1)])]
    told = gauges.gauges(made, NOW)
    assert told["repos"] == [["acme/a", 1, 3, 2, 6, 9.0]]
    assert (told["running"], told["waiting"], told["capacity"]) == (1, 3, 6)
    assert (told["launches"], told["error_rate"]) == (4, 0.25)
    assert told["drain"]["p90"] >= told["drain"]["p50"] > 0
    assert "drain" not in gauges.gauges(made, NOW, estimate=False)
    assert by_name(figures.of_fleet(told))
    empty = gauges.gauges(FleetState(Limits(6)), NOW)
    assert empty["repos"] == []
    assert empty["error_rate"] == 0.0


def test_every_metric_of_the_fleet_and_of_a_worker_is_told() -> None:
    """The registry names nothing that nobody measures, and every label has its value."""
    worker = Worker(
        {"ok": 2},
        {0.5: 2},
        {("registration", "hit"): 3},
        {"answered": 4},
        7,
        {("app", "core"): Budget(100, 40, NOW + 60)},
    )
    found = [
        *figures.of_worker(worker, NOW),
        *figures.of_temporal(reachable=True, fleet=True),
        *figures.of_fleet({**TOLD, "last_drain_seconds": 1.0}),
    ]
    told = {f.name for f in found}
    assert told == {m.name for m in metrics.GITHUB + metrics.WORKER + metrics.FLEET}
    for figure in found:
        if isinstance(figure, Figure):
            assert len(figure.labels) == len(metrics.family(figure.name).labels)


def test_what_is_left_at_github_is_the_scarcest_limit() -> None:
    """Whole again once its hour is over; an identity that never called has lost nothing."""
    budgets = {
        ("app", "core"): Budget(100, 40, NOW + 60),
        ("app", "runners"): Budget(10, 1, NOW + 60),
        ("person", "core"): Budget(100, 0, NOW - 1),
        ("odd", "core"): Budget(0, 0, NOW + 60),
    }
    found = by_name(figures.of_worker(Worker(budgets=budgets), NOW))
    assert found["penstock_github_budget_percent", "app"] == 10.0
    assert found["penstock_github_budget_percent", "person"] == 100.0
    assert found["penstock_github_budget_percent", "odd"] == 100.0
    assert found["penstock_github_budget_lowest_percent",] == 10.0
    assert found["penstock_github_rate_limit_remaining", "app", "core"] == 40
    none = by_name(figures.of_worker(Worker(), NOW))
    assert none["penstock_github_budget_lowest_percent",] == 100.0
    assert none["penstock_launches", "failed"] == 0


def test_few_are_told_one_by_one_and_the_rest_as_one() -> None:
    """The busiest; sums stay what they were."""
    found = by_name(figures.bounded(figures.of_fleet(TOLD), 1))
    assert found["penstock_repo_waiting", "acme/a"] == 5
    assert found["penstock_repo_waiting", "other"] == 4
    assert found["penstock_repo_running", "other"] == 1
    assert found["penstock_repo_limit", "other"] == 3
    assert ("penstock_repo_waiting", "beta/c") not in found
    assert found["penstock_org_running", "other"] == 0
    every = by_name(figures.bounded(figures.of_fleet(TOLD), 50))
    assert not any(labels == ("other",) for _, *labels in every)


def test_identities_with_the_least_left_are_told() -> None:
    """The others' parts have no sum; what has no such label stays."""
    budgets = {(f"installation:{n}", "core"): Budget(100, n, NOW + 9) for n in range(10, 15)}
    every = figures.of_worker(Worker(budgets=budgets), NOW)
    found = figures.bounded(every, 2)
    named = by_name(found)
    kept = [labels[0] for name, *labels in named if name == "penstock_github_budget_percent"]
    assert kept == ["installation:10", "installation:11"]
    assert any(isinstance(f, Distribution) for f in found)
    assert named["penstock_github_budget_lowest_percent",] == 10.0


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30),
    st.integers(0, 12),
)
def test_the_bound_holds_and_loses_nobody(rows: list[tuple[int, int]], most: int) -> None:
    """No more than so many names and one for the others; the sum is that of all."""
    repos = [[f"o{n % 7}/r{n}", r, w, 2, 6, 0.0] for n, (r, w) in enumerate(rows)]
    waiting = sum(w for _, w in rows)
    told = {**TOLD, "repos": repos, "waiting": waiting, "running": sum(r for r, _ in rows)}
    found = by_name(figures.bounded(figures.of_fleet(told), most))
    for kind in ("repo", "org"):
        these = {k: v for k, v in found.items() if k[0] == f"penstock_{kind}_waiting"}
        assert sum(these.values()) == waiting
        assert len(these) <= most + 1


@given(st.floats(0.0, 1e6))
def test_times_are_kept_to_two_digits(seconds: float) -> None:
    """Within 5 % where they lie within the bounds; few different ones in all."""
    kept = figures.rounded(seconds)
    inside = min(figures.MOST_SECONDS, max(figures.LEAST_SECONDS, seconds))
    assert math.isclose(kept, inside, rel_tol=0.051)


def test_times_that_cannot_be_are_kept_as_the_nearest_that_can() -> None:
    """A clock that went back, a job that waited for ever."""
    assert figures.rounded(-5.0) == figures.LEAST_SECONDS
    assert figures.rounded(1e9) == figures.MOST_SECONDS
    kept = {figures.rounded(10 ** (n / 1000)) for n in range(-6000, 6000)}
    assert len(kept) <= 7 * 90


def test_a_distribution_is_its_values() -> None:
    """Prometheus' buckets count what is no more than their bound."""
    seen = Distribution("penstock_launch_seconds", {0.04: 1, 0.5: 2, 400.0: 1})
    buckets = dict(seen.buckets)
    assert (buckets["0.05"], buckets["0.5"], buckets["300.0"]) == (1, 3, 3)
    assert buckets["+Inf"] == seen.count == 4
    assert seen.sum == pytest.approx(401.04)


def test_a_workers_figures_to_the_letter() -> None:
    """Each number under its own name and labels."""
    worker = Worker(
        {"ok": 2, "failed": 1},
        {0.5: 2},
        {("registration", "hit"): 3},
        {"answered": 4},
        7,
        {("app", "core"): Budget(100, 40, NOW + 60)},
    )
    assert figures.of_worker(worker, NOW) == [
        Figure("penstock_launches", 2, ("ok",)),
        Figure("penstock_launches", 1, ("failed",)),
        Distribution("penstock_launch_seconds", {0.5: 2}),
        Figure("penstock_token_lookups", 3, ("registration", "hit")),
        Figure("penstock_github_calls", 4, ("answered",)),
        Figure("penstock_github_points", 7),
        Figure("penstock_github_rate_limit", 100, ("app", "core")),
        Figure("penstock_github_rate_limit_remaining", 40, ("app", "core")),
        Figure("penstock_github_rate_limit_reset_seconds", NOW + 60, ("app", "core")),
        Figure("penstock_github_budget_percent", 40.0, ("app",)),
        Figure("penstock_github_budget_lowest_percent", 40.0),
    ]
    assert figures.of_temporal(reachable=True, fleet=False) == [
        Figure("penstock_temporal_up", True),
        Figure("penstock_fleet_up", False),
    ]


def test_the_fleets_own_figures_to_the_letter() -> None:
    """As its answer has them; nobody waits, so the oldest has waited 0 s."""
    found = by_name(figures.of_fleet({**TOLD, "repos": []}))
    for name, value in (
        ("oldest_wait_seconds", 0.0),
        ("capacity", 4),
        ("max_runners", 6),
        ("max_queue_depth", 100),
        ("max_error_rate", 0.05),
        ("error_rate", 0.25),
        ("recent_launches", 20),
        ("cooling_orgs", 1),
    ):
        assert found[f"penstock_fleet_{name}",] == value


def test_a_limit_is_whole_in_the_second_of_its_reset() -> None:
    """And of one call: what is left of it counts."""
    budgets = {("a", "core"): Budget(100, 0, NOW), ("b", "core"): Budget(1, 0, NOW + 1)}
    found = by_name(figures.of_worker(Worker(budgets=budgets), NOW))
    assert found["penstock_github_budget_percent", "a"] == 100.0
    assert found["penstock_github_budget_percent", "b"] == 0.0


def test_of_an_identitys_limits_the_scarcest_counts_wherever_it_stands() -> None:
    """The first of them by name here."""
    budgets = {("a", "core"): Budget(10, 1, NOW + 1), ("a", "runners"): Budget(10, 9, NOW + 1)}
    found = by_name(figures.of_worker(Worker(budgets=budgets), NOW))
    assert found["penstock_github_budget_percent", "a"] == 10.0


def test_the_busiest_are_asked_first_ties_by_name() -> None:
    """Whatever runs."""
    rows = [["c/c", 9, 1, 2, 6, 0.0], ["b/b", 0, 7, 9, 9, 0.0], ["a/a", 5, 1, 2, 6, 0.0]]
    assert figures.busiest({"repos": rows}, 9) == ["b/b", "a/a", "c/c"]


def test_those_told_one_by_one_have_the_most_at_work_and_waiting() -> None:
    """Of repositories and organizations alike; ties by name."""
    rows = [["a/x", 1, 0, 2, 6, 0.0], ["b/x", 1, 2, 2, 6, 0.0], ["c/x", 2, 1, 2, 6, 0.0]]
    rows.append(["d/x", 0, 0, 2, 6, 0.0])
    told = {**TOLD, "repos": rows, "waiting": 3}
    for most, kept in ((1, {"b"}), (2, {"b", "c"}), (3, {"a", "b", "c"})):
        found = by_name(figures.bounded(figures.of_fleet(told), most))
        for name, suffix in (("penstock_repo_limit", "/x"), ("penstock_org_limit", "")):
            these = {key[1].removesuffix(suffix) for key in found if key[0] == name}
            assert these == {*kept, "other"}


def test_identities_are_told_by_what_is_left_not_by_name() -> None:
    """The scarcest last by name."""
    budgets = {(f"i{n}", "core"): Budget(100, 50 - n, NOW + 9) for n in range(5)}
    named = by_name(figures.bounded(figures.of_worker(Worker(budgets=budgets), NOW), 1))
    kept = [labels[0] for name, *labels in named if name == "penstock_github_budget_percent"]
    assert kept == ["i4"]


def test_gauges_have_each_repositorys_own_limits_and_oldest() -> None:
    """By name; to a tenth of a second, and 0 where nobody waits."""
    made = FleetState(Limits(9, 1.0, 2, repos={"acme/b": 3}, orgs={"acme": 4}))
    made.book.epoch = "f1"
    for repo, waiting in (("beta/a", []), ("acme/b", [Waiting("low", 2, NOW - 3.26)])):
        allotment.receive(made.book, Report(repo, "e1", 1, waiting=waiting))
    assert gauges.gauges(made, NOW, estimate=False)["repos"] == [
        ["acme/b", 0, 2, 3, 4, 3.3],
        ["beta/a", 0, 0, 2, 9, 0.0],
    ]
