"""What a worker knows of GitHub, in Prometheus' terms."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from activities.meter import Meter


class GitHubMetrics(Collector):
    """Read from the meter when asked, so that metrics and state cannot differ.

    `identity` is `app`, `person` or `installation:` and an organization that installed the App.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    @classmethod
    def registry(cls, meter: Meter) -> CollectorRegistry:
        """A registry with these metrics alone."""
        made = CollectorRegistry()
        made.register(cls(meter))
        return made

    def collect(self) -> Iterator[Metric]:
        """As Prometheus wants it."""
        labels = ["identity", "resource"]
        limit = GaugeMetricFamily(
            "penstock_github_rate_limit", "Calls that GitHub allows in an hour.", labels=labels
        )
        left = GaugeMetricFamily(
            "penstock_github_rate_limit_remaining",
            "Calls left of them, by GitHub's last answer.",
            labels=labels,
        )
        reset = GaugeMetricFamily(
            "penstock_github_rate_limit_reset_seconds",
            "When they are all there again, epoch seconds.",
            labels=labels,
        )
        for key, budget in sorted(self._meter.budgets.items()):
            limit.add_metric(key, budget.limit)
            left.add_metric(key, budget.remaining)
            reset.add_metric(key, budget.reset)
        calls = CounterMetricFamily(
            "penstock_github_calls", "Calls to GitHub, by what became of them.", labels=["result"]
        )
        for result, number in sorted(self._meter.results.items()):
            calls.add_metric([result], number)
        points = CounterMetricFamily(
            "penstock_github_points",
            "Points of GitHub's secondary limit spent: 1 for a read, 5 for a write.",
        )
        points.add_metric([], self._meter.points)
        yield from (limit, left, reset, calls, points)
