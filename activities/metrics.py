"""What a worker knows of the fleet, of GitHub and of itself, in Prometheus' terms."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from policy import metrics
from policy.figures import Distribution, Figure

Figures = Iterable[Figure | Distribution]


class WorkerMetrics(Collector):
    """Read when asked, so that metrics and state cannot differ.

    `identity` is `app`, `person` or `installation:` and an organization that installed the App.
    """

    def __init__(self, read: Callable[[], Figures]) -> None:
        """`read` is called at each scrape, on the server's thread."""
        self._read = read

    @classmethod
    def registry(cls, read: Callable[[], Figures]) -> CollectorRegistry:
        """A registry with these metrics alone. Nothing is read yet."""
        made = CollectorRegistry(auto_describe=False)
        made.register(cls(read))
        return made

    def collect(self) -> Iterator[Metric]:
        """As Prometheus wants it."""
        yield from families(self._read())


def families(figures: Figures) -> list[Metric]:
    """Figures by their metric, in the registry's order; a metric without figures is left out."""
    found: dict[str, list[Figure | Distribution]] = {}
    for figure in figures:
        found.setdefault(figure.name, []).append(figure)
    return [_family(family, found[family.name]) for family in metrics.ALL if family.name in found]


def _family(family: metrics.Family, figures: Iterable[Figure | Distribution]) -> Metric:
    if family.kind == "distribution":
        made = HistogramMetricFamily(family.name, family.help)
        for figure in figures:
            if isinstance(figure, Distribution):
                made.add_metric([], figure.buckets, figure.sum)
        return made
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    plain = kind(family.name, family.help, labels=family.labels)
    for figure in figures:
        if isinstance(figure, Figure):
            plain.add_metric(figure.labels, float(figure.value))
    return plain
