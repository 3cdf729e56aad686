"""CloudWatch's dashboard, as the body that PutDashboard takes.

Source: AWS, "Dashboard body structure and syntax". Repositories are found by search, so that the
dashboard need not change with them.
"""

from dataclasses import dataclass
from typing import Any

from policy.metrics import BY_CLOUDWATCH, DIMENSIONS

WIDTH, HEIGHT, ACROSS = 8, 6, 3


@dataclass(frozen=True)
class Line:
    """A metric under a statistic. `by`: one line for each value of this dimension."""

    metric: str
    statistic: str = "Maximum"
    by: str = ""


@dataclass(frozen=True)
class Panel:
    """A graph of some lines."""

    title: str
    lines: tuple[Line, ...]


PANELS = (
    Panel(
        "Permits in use, and how many there are",
        (Line("Running"), Line("EffectiveCapacity"), Line("MaxRunners")),
    ),
    Panel("Waiting", (Line("QueueDepth"),)),
    Panel("Oldest wait", (Line("OldestWait"),)),
    Panel("In use by repository", (Line("RepositoryRunning", by="repo"),)),
    Panel("Waiting by repository", (Line("RepositoryWaiting", by="repo"),)),
    Panel("In use by organization", (Line("OrganizationRunning", by="org"),)),
    Panel("Webhooks by outcome", (Line("Webhooks", "Sum", "outcome"),)),
    Panel("Refused, by cause", (Line("Refusals", "Sum", "cause"),)),
    Panel("Part of launches that failed", (Line("ErrorRate"),)),
    Panel("Launch latency", (Line("LaunchLatency", "p50"), Line("LaunchLatency", "p90"))),
    Panel("GitHub's limit left, by identity", (Line("GitHubBudget", "Minimum", "identity"),)),
    Panel("Credentials: at hand or asked for", (Line("TokenLookups", "Sum", "result"),)),
    Panel("Time to drain", (Line("DrainEstimate", by="estimate"), Line("LastDrain"))),
    Panel("Mode", (Line("Mode", by="mode"),)),
    Panel("Temporal answers", (Line("TemporalReachable"), Line("FleetAnswers", "Minimum"))),
)


def body(namespace: str, region: str, period: int) -> dict[str, Any]:
    """The whole dashboard. `period` is in seconds."""
    return {
        "widgets": [_widget(n, panel, namespace, region, period) for n, panel in enumerate(PANELS)]
    }


def _widget(number: int, panel: Panel, namespace: str, region: str, period: int) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": WIDTH * (number % ACROSS),
        "y": HEIGHT * (number // ACROSS),
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": panel.title,
            "region": region,
            "view": "timeSeries",
            "period": period,
            "metrics": [_line(line, namespace, period) for line in panel.lines],
        },
    }


def _line(line: Line, namespace: str, period: int) -> list[Any]:
    family = BY_CLOUDWATCH[line.metric]
    if not line.by:
        return [namespace, line.metric, {"stat": line.statistic}]
    # A search names all the dimensions of what it looks for.
    named = ",".join(DIMENSIONS[label] for label in family.labels)
    query = f'{{{namespace},{named}}} MetricName="{line.metric}"'
    found = f"SEARCH('{query}', '{line.statistic}', {period})"
    label = f"${{PROP('Dim.{DIMENSIONS[line.by]}')}}"
    return [{"expression": found, "label": label, "id": f"{line.metric.lower()}_{line.by}"}]
