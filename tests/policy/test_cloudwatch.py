"""Figures → calls that AWS takes."""

import math

from hypothesis import given
from hypothesis import strategies as st

from policy import cloudwatch, metrics
from policy.cloudwatch import Datum, Key
from policy.figures import Distribution, Figure


def told(figures, sent: dict[Key, float] | None = None) -> list[Datum]:
    """The data, entered into `sent` as a publisher does once they were taken."""
    sent = {} if sent is None else sent
    found = cloudwatch.data(figures, sent)
    for datum in found:
        sent.update(datum.settles)
    return found


def test_a_gauge_goes_as_it_is() -> None:
    """With its unit, and its labels as dimensions; what CloudWatch is not told is left out."""
    found = told(
        [
            Figure("penstock_repo_running", 3, ("acme/a",)),
            Figure("penstock_temporal_up", True),
            Figure("penstock_fleet_max_queue_depth", 100),
        ]
    )
    assert found == [
        Datum("RepositoryRunning", "Count", ((3.0, 1),), (("Repository", "acme/a"),)),
        Datum("TemporalReachable", "None", ((1.0, 1),)),
    ]


def test_counters_go_as_differences() -> None:
    """What has not moved is left out; one without labels is told all the same."""
    sent: dict[Key, float] = {}
    first = [
        Figure("penstock_github_calls", 4, ("answered",)),
        Figure("penstock_github_points", 7),
    ]
    assert [d.values for d in told(first, sent)] == [((4, 1),), ((7, 1),)]
    then = [
        Figure("penstock_github_calls", 4, ("answered",)),
        Figure("penstock_github_calls", 1, ("limited",)),
        Figure("penstock_github_points", 7),
    ]
    found = told(then, sent)
    assert [(d.dimensions, d.values) for d in found] == [
        ((("Result", "limited"),), ((1, 1),)),
        ((), ((0, 1),)),
    ]


def test_a_total_is_told_beside_its_parts_also_when_it_is_nothing() -> None:
    """An alarm looks at it."""
    sent: dict[Key, float] = {}
    causes = [
        Figure("penstock_gateway_refusals", n, (c,)) for c, n in (("depth", 2), ("fault", 0))
    ]
    found = told(causes, sent)
    assert [(d.dimensions, d.values[0][0]) for d in found] == [((("Cause", "depth"),), 2), ((), 2)]
    assert [(d.dimensions, d.values[0][0]) for d in told(causes, sent)] == [((), 0)]
    assert cloudwatch.data([], sent) == []


def test_what_was_not_taken_is_told_again() -> None:
    """Nothing is settled by being reckoned."""
    figures = [Figure("penstock_github_points", 7)]
    sent: dict[Key, float] = {}
    assert cloudwatch.data(figures, sent) == cloudwatch.data(figures, sent)
    assert not sent


def test_a_distribution_goes_value_by_value() -> None:
    """With how often each came since; at most 150 different ones a metric."""
    sent: dict[Key, float] = {}
    name = "penstock_launch_seconds"
    assert told([Distribution(name, {0.5: 2, 1.0: 1})], sent)[0].values == ((0.5, 2), (1.0, 1))
    assert told([Distribution(name, {0.5: 2, 1.0: 4})], sent)[0].values == ((1.0, 3),)
    assert told([Distribution(name, {0.5: 2, 1.0: 4})], sent) == []
    many = told([Distribution(name, {float(n): 1 for n in range(10, 410)})], sent)
    assert [len(d.values) for d in many] == [150, 150, 100]


def test_numbers_that_aws_refuses_are_left_out() -> None:
    """Not the whole call with them."""
    for value in (math.nan, math.inf, -math.inf, 2.0**361):
        assert told([Figure("penstock_fleet_running", value)]) == []
    assert told([Figure("penstock_fleet_running", -(2.0**360))])


def test_dimensions_are_what_aws_takes() -> None:
    """ASCII, not empty, no colon in front, 1,024 characters at most."""
    for given_, taken in (
        ("ä:b", "?:b"),
        ("::", "unnamed"),
        ("", "unnamed"),
        ("x" * 2000, "x" * 1024),
    ):
        (datum,) = told([Figure("penstock_repo_running", 1, (given_,))])
        assert datum.dimensions == (("Repository", taken),)


@given(
    st.lists(
        st.tuples(st.integers(1, 1024), st.integers(1, 150)),
        max_size=4000,
    ).map(lambda made: made * 3)
)
def test_calls_keep_to_their_bounds(made: list[tuple[int, int]]) -> None:
    """1,000 metrics, 1 MB; in order, none lost."""
    every = [
        Datum("RepositoryRunning", "Count", ((1.0, 1),) * values, (("Repository", "r" * length),))
        for length, values in made
    ]
    calls = cloudwatch.batches(every)
    assert [datum for call in calls for datum in call] == every
    for call in calls:
        assert 0 < len(call) <= 1000
        assert sum(datum.size for datum in call) <= 1_000_000


def test_many_small_metrics_fill_a_call() -> None:
    """And no more."""
    every = [Datum("Running", "Count", ((1.0, 1),))] * 2001
    assert [len(call) for call in cloudwatch.batches(every)] == [1000, 1000, 1]


def test_no_metric_has_too_many_dimensions() -> None:
    """And each label that is told has a name there."""
    for family in metrics.ALL:
        assert len(family.labels) <= cloudwatch.MOST_DIMENSIONS
        if family.cloudwatch:
            assert all(label in metrics.DIMENSIONS for label in family.labels)
    assert len(metrics.BY_NAME) == len(metrics.ALL)
    assert len(metrics.BY_CLOUDWATCH) == sum(bool(f.cloudwatch) for f in metrics.ALL)


def test_what_is_left_out_leaves_out_nothing_behind_it() -> None:
    """A figure that is not told, one that cannot be, distributions: each with name and unit."""
    found = told(
        [
            Figure("penstock_fleet_max_queue_depth", 100),
            Figure("penstock_fleet_running", math.nan),
            Figure("penstock_fleet_running", 2),
            Distribution("penstock_launch_seconds", {0.5: 2}),
            Figure("penstock_github_points", 7),
        ]
    )
    assert found == [
        Datum("Running", "Count", ((2.0, 1),)),
        Datum("LaunchLatency", "Seconds", ((0.5, 2),)),
        Datum("GitHubPoints", "Count", ((7, 1),)),
    ]


def test_what_was_told_is_known_by_name_and_labels() -> None:
    """A gauge settles nothing; a counter and its total each for itself."""
    (gauge,) = told([Figure("penstock_fleet_running", 2)])
    assert not gauge.settles
    part, total = told([Figure("penstock_gateway_refusals", 2, ("depth",))])
    assert part.settles == {("penstock_gateway_refusals", ("depth",), 0.0): 2.0}
    assert total.settles == {("penstock_gateway_refusals", (), 0.0): 2.0}


def test_a_call_is_full_at_its_bytes() -> None:
    """Filled to the last byte, and with room anew in the next one."""
    datum = Datum("Running", "Count", ((1.0, 1),) * 150)
    fit = cloudwatch.MOST_BYTES // datum.size
    assert [len(call) for call in cloudwatch.batches([datum] * (2 * fit + 1))] == [fit, fit, 1]


def test_every_printable_letter_stays() -> None:
    """The first and the last of ASCII's; colons go in front alone."""
    for given_, taken in ((" a~", "a~"), ("a b", "a b"), (":a:", "a:"), ("XX:", "XX:")):
        (datum,) = told([Figure("penstock_repo_running", 1, (given_,))])
        assert datum.dimensions == (("Repository", taken),)
