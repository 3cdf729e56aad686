"""Figures → what PutMetricData takes, within its bounds.

Source: AWS, "PutMetricData" (CloudWatch API reference): at most 1,000 metrics and 1 MB a call, 30
dimensions and 150 different values a metric, values between -2^360 and 2^360 and no NaN,
dimensions of 1 to 1,024 ASCII characters. Counters go as the difference to what was sent before:
under the statistic Sum the counts of several processes add up by themselves. Gauges of the fleet
are the same from each worker: under Maximum it does not matter how many tell them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from policy import metrics
from policy.figures import Distribution, Figure
from policy.metrics import DIMENSIONS, Family

MOST_METRICS = 1_000
MOST_BYTES = 900_000  # of 1 MB: the size is reckoned, not measured
MOST_VALUES = 150
MOST_DIMENSIONS = 30  # no metric here has more than two
LONGEST_DIMENSION = 1_024
GREATEST = 2.0**360
# Of one metric in AWS's query form, the widest there is: its keys, the unit, the time.
_FIXED, _A_DIMENSION, _A_VALUE = 400, 160, 150

Key = tuple[str, tuple[str, ...], float]


@dataclass(frozen=True)
class Datum:
    """One entry of a call. `values` with how often each was seen; `settles` of what was told."""

    name: str
    unit: str
    values: tuple[tuple[float, int], ...]
    dimensions: tuple[tuple[str, str], ...] = ()
    settles: Mapping[Key, float] = field(default_factory=dict[Key, float], compare=False)

    @property
    def size(self) -> int:
        """The most bytes that it takes on the way."""
        named = sum(_A_DIMENSION + 3 * (len(k) + len(v)) for k, v in self.dimensions)
        return _FIXED + 3 * len(self.name) + named + _A_VALUE * len(self.values)


def data(figures: Iterable[Figure | Distribution], sent: Mapping[Key, float]) -> list[Datum]:
    """All that is to be published; `sent` are the counters as they were told until now.

    A counter that has not moved is left out, but for totals: alarms want to see the 0.
    """
    found: list[Datum] = []
    totals: dict[str, float] = {}
    for figure in figures:
        family = metrics.family(figure.name)
        if not family.cloudwatch:
            continue
        if isinstance(figure, Distribution):
            found += _of_distribution(figure, family, sent)
        elif not _can_be(figure.value):
            continue
        elif family.kind == "gauge":
            dimensions = _dimensions(family.labels, figure.labels)
            values = ((float(figure.value), 1),)
            found.append(Datum(family.cloudwatch, family.unit, values, dimensions))
        else:
            found += _of_counter(figure, family, sent)
            if family.total:
                totals[family.name] = totals.get(family.name, 0.0) + figure.value
    for name, value in totals.items():
        found += _of_counter(Figure(name, value), metrics.family(name), sent, always=True)
    return found


def batches(every: Iterable[Datum]) -> list[list[Datum]]:
    """Calls of the allowed size."""
    found: list[list[Datum]] = []
    size = 0
    for datum in every:
        if not found or len(found[-1]) >= MOST_METRICS or size + datum.size > MOST_BYTES:
            found.append([])
            size = 0
        found[-1].append(datum)
        size += datum.size
    return found


def _of_counter(
    figure: Figure, family: Family, sent: Mapping[Key, float], *, always: bool = False
) -> list[Datum]:
    key = (figure.name, figure.labels, 0.0)
    more = figure.value - sent.get(key, 0.0)
    if not more and family.labels and not always:
        return []
    dimensions = _dimensions(family.labels, figure.labels) if figure.labels else ()
    settles = {key: float(figure.value)}
    return [Datum(family.cloudwatch, family.unit, ((more, 1),), dimensions, settles)]


def _of_distribution(seen: Distribution, family: Family, sent: Mapping[Key, float]) -> list[Datum]:
    new: list[tuple[float, int, Key]] = []
    for value, number in sorted(seen.counts.items()):
        key = (seen.name, (), value)
        if more := number - int(sent.get(key, 0)):
            new.append((value, more, key))
    return [
        Datum(
            family.cloudwatch,
            family.unit,
            tuple((value, more) for value, more, _ in part),
            settles={key: float(seen.counts[value]) for value, _, key in part},
        )
        for part in (new[at : at + MOST_VALUES] for at in range(0, len(new), MOST_VALUES))
    ]


def _can_be(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= GREATEST


def _dimensions(labels: tuple[str, ...], values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (DIMENSIONS[label], _plain(value)) for label, value in zip(labels, values, strict=True)
    )


def _plain(value: str) -> str:
    """What a dimension can be: printable ASCII, not empty, no colon in front."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in value)[:LONGEST_DIMENSION]
    return shown.lstrip(":").strip() or "unnamed"
