"""The gateway's metrics, in Prometheus' terms. No label takes its value from a payload."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from policy.figures import Distribution, Figure
from policy.metrics import family
from policy.pressure import TRIGGERS

CAUSES = (*TRIGGERS, "throttled", "draining", "maintenance", "temporal", "fault")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class GatewayMetrics:
    """One registry a gateway, so that two in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.webhooks = self._counter("penstock_gateway_webhooks")
        self.refused = self._counter("penstock_gateway_refusals")
        self.unkept = self._counter("penstock_gateway_dead_letters_unkept")
        self.seconds = Histogram(
            "penstock_gateway_webhook_seconds",
            family("penstock_gateway_webhook_seconds").help,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self._registry,
        )
        self._connections = self._gauge("penstock_gateway_connections")
        self._turned_away = self._counter("penstock_gateway_turned_away")
        self.pressure = self._gauge("penstock_gateway_pressure")
        self.pressure_changes = self._counter("penstock_gateway_pressure_changes")
        self.webhooks.labels("accepted")  # at 0, so that a rate of both can be told from the first
        for cause in CAUSES:
            self.refused.labels(cause)
        for trigger in TRIGGERS:
            self.pressure.labels(trigger).set(0)

    def turned_away(self, why: str) -> None:
        """Count one that was not served."""
        self._turned_away.labels(why).inc()

    def follow(
        self, count: Callable[[Literal["waiting", "idle", "unread", "answering"]], int]
    ) -> None:
        """Show the numbers of connections that `count` gives."""
        for state in ("waiting", "idle", "unread", "answering"):
            self._connections.labels(state).set_function(partial(count, state))

    def pressure_changed(self, trigger: str, up: bool) -> None:
        """A trigger went up or down."""
        self.pressure.labels(trigger).set(up)
        self.pressure_changes.labels(trigger).inc()

    def figures(self) -> list[Figure | Distribution]:
        """What CloudWatch is told: the counters."""
        return [
            Figure(metric.name, sample.value, tuple(sample.labels.values()))
            for metric in self._registry.collect()
            if metric.type == "counter"
            for sample in metric.samples
            if sample.name.endswith("_total")
        ]

    def _counter(self, name: str) -> Counter:
        of = family(name)
        return Counter(of.name, of.help, of.labels, registry=self._registry)

    def _gauge(self, name: str) -> Gauge:
        of = family(name)
        return Gauge(of.name, of.help, of.labels, registry=self._registry)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)


def totals(counter: Counter) -> dict[str, float]:
    """A counter's values by its one label."""
    return {
        next(iter(sample.labels.values())): sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
