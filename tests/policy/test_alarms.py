"""The alarms and the dashboard name what is measured, at the thresholds that operators set."""

import re

import pytest

from policy import alarms, dashboard
from policy.metrics import BY_CLOUDWATCH, BY_NAME, DIMENSIONS
from policy.thresholds import Thresholds

SIX = {
    "high-queue-depth",
    "high-rejection-rate",
    "draining-active",
    "error-rate",
    "github-budget-low",
    "temporal-unreachable",
}


def test_there_are_six_at_the_users_thresholds() -> None:
    """Each says what to do."""
    found = {a.name: a for a in alarms.alarms(Thresholds(max_queue_depth=7, max_error_rate=0.2))}
    assert set(found) == SIX
    assert found["high-queue-depth"].threshold == 7.0
    assert found["error-rate"].threshold == 0.2
    for alarm in found.values():
        assert alarm.what
        assert alarm.todo
        assert alarm.because
        assert len(alarm.description) <= 1024
        assert alarm.minutes == (0 if alarm.name == "high-rejection-rate" else alarm.periods)


def test_they_look_at_what_is_told() -> None:
    """Their metrics and dimensions are in the registry, their expressions know their measures."""
    for alarm in alarms.alarms(Thresholds()):
        for name, measure in alarm.measures:
            family = BY_CLOUDWATCH[measure.metric]
            named = {key for key, _ in measure.dimensions}
            assert named == {DIMENSIONS[label] for label in family.labels} or family.total
            assert (measure.statistic == "Sum") == (family.kind == "counter")
            assert not alarm.expression or name in alarm.expression
        assert (len(alarm.measures) > 1) == bool(alarm.expression)
        words = set(re.findall(r"[a-z]+", alarm.expression))
        assert words <= {name for name, _ in alarm.measures}
        assert not alarm.live or alarm.live in BY_NAME


@pytest.mark.parametrize(("told", "looked"), [(10, 60), (60, 60), (61, 120), (300, 300)])
def test_they_look_no_oftener_than_is_told(told: int, looked: int) -> None:
    """In whole minutes, as CloudWatch wants it."""
    for alarm in alarms.alarms(Thresholds()):
        assert alarm.period(told) == max(looked, alarm.over)


def test_the_dashboard_shows_what_is_told() -> None:
    """Each panel's metrics are in the registry, and no two panels overlap."""
    body = dashboard.body("Penstock", "eu-central-1", 60)
    places = {(w["x"], w["y"]) for w in body["widgets"]}
    assert len(places) == len(dashboard.PANELS)
    assert all(w["x"] + w["width"] <= 24 for w in body["widgets"])
    for panel in dashboard.PANELS:
        for line in panel.lines:
            family = BY_CLOUDWATCH[line.metric]
            assert bool(line.by) == bool(family.labels)
            assert not line.by or line.by in family.labels
    text = str(body)
    assert "{Penstock,Kind,Result}" in text
    ids = re.findall(r"'id': '([^']+)'", text)
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z][a-zA-Z0-9_]*", one) for one in ids)


ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"
# Name, threshold, periods of seconds, missing data, expression, Prometheus' threshold; measures.
ALARMS = [
    ("high-queue-depth", ABOVE, 7.0, 5, 60, "ignore", "", "penstock_fleet_max_queue_depth"),
    (
        *("high-rejection-rate", ABOVE, 10.0, 1, 300, "notBreaching"),
        (
            "IF(FILL(refused,0)+FILL(accepted,0)>=20,"
            "100*FILL(refused,0)/(FILL(refused,0)+FILL(accepted,0)),0)"
        ),
        "",
    ),
    ("draining-active", "GreaterThanOrEqualToThreshold", 1.0, 1, 60, "ignore", "", ""),
    (
        *("error-rate", ABOVE, 0.2, 3, 60, "ignore"),
        *("IF(samples>=20,value,0)", "penstock_fleet_max_error_rate"),
    ),
    ("github-budget-low", BELOW, 10.0, 3, 60, "notBreaching", "", ""),
    ("temporal-unreachable", BELOW, 1.0, 3, 60, "breaching", "", ""),
]
MEASURES = [
    [("value", "QueueDepth", "Maximum", ())],
    [
        ("refused", "Refusals", "Sum", ()),
        ("accepted", "Webhooks", "Sum", (("Outcome", "accepted"),)),
    ],
    [("value", "Mode", "Maximum", (("Mode", "draining"),))],
    [("value", "ErrorRate", "Maximum", ()), ("samples", "RecentLaunches", "Maximum", ())],
    [("value", "GitHubBudgetLowest", "Minimum", ())],
    [("value", "TemporalReachable", "Maximum", ())],
]


def test_each_alarm_to_the_letter() -> None:
    """What CloudWatch is told, but for the sentences; those are there, and end as sentences do."""
    found = alarms.alarms(Thresholds(max_queue_depth=7, max_error_rate=0.2))
    assert [
        (a.name, a.comparison, a.threshold, a.periods, a.over, a.missing, a.expression, a.live)
        for a in found
    ] == ALARMS
    assert [
        [(name, m.metric, m.statistic, m.dimensions) for name, m in a.measures] for a in found
    ] == MEASURES
    for alarm in found:
        assert alarm.what.endswith(".")
        assert alarm.todo.endswith(".")
        assert " " in alarm.because
        assert not alarm.because.endswith(".")
        assert alarm.description == f"{alarm.what} {alarm.todo} (docs/metrics.md)"


def test_a_panel_to_the_letter() -> None:
    """One that searches, and one of two lines, each in its place."""
    widgets = dashboard.body("Penstock", "eu-central-1", 60)["widgets"]
    common = {"region": "eu-central-1", "view": "timeSeries", "period": 60}
    search = "SEARCH('{Penstock,Repository} MetricName=\"RepositoryWaiting\"', 'Maximum', 60)"
    line = {
        "expression": search,
        "label": "${PROP('Dim.Repository')}",
        "id": "repositorywaiting_repo",
    }
    assert widgets[4] == {
        "type": "metric",
        "x": 8,
        "y": 6,
        "width": 8,
        "height": 6,
        "properties": {"title": "Waiting by repository", **common, "metrics": [[line]]},
    }
    latency = [["Penstock", "LaunchLatency", {"stat": f"p{n}"}] for n in (50, 90)]
    assert widgets[9] == {
        "type": "metric",
        "x": 0,
        "y": 18,
        "width": 8,
        "height": 6,
        "properties": {"title": "Launch latency", **common, "metrics": latency},
    }
