"""The gateway's metrics, in Prometheus' terms. No label takes its value from a payload."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class GatewayMetrics:
    """One registry a gateway, so that two in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.webhooks = Counter(
            "penstock_gateway_webhooks",
            "Webhook deliveries by what became of them.",
            ["outcome"],
            registry=self._registry,
        )
        self.refused = Counter(
            "penstock_gateway_refusals",
            "Job events answered with 429 or 503, by cause; each is a debt to be paid later.",
            ["cause"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "penstock_gateway_webhook_seconds",
            "Time from a webhook's arrival to its answer.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self._registry,
        )

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
