"""How long runners live: a distribution from few numbers, and what is left at a given age.

The k-th smallest of n samples stands at the level k/(n+1) (expected coverage of order statistics,
David & Nagaraja, Order Statistics, 2.5). Between the carried quantiles, and above the largest, ln
life is a straight line over the normal quantile of the level: exact for log-normal lives, as job
durations nearly are, and heavier above wherever the upper quantiles say so. A runner of age t:
P(R ≤ x) = (F(t+x) − F(t)) / (1 − F(t)).
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from statistics import NormalDist

LONGEST_SECONDS = 5 * 24 * 3600.0  # GitHub ends a job on a self-hosted runner then (docs: limits)
SHORTEST_SECONDS = 0.001
TAIL_FROM = 0.7  # the tail is as steep as the quantiles from here to the largest
STEEPEST = 1.2
FLATTEST = 0.05
_NORMAL = NormalDist()

# Without samples: log-normal of median 3 min and sigma 1.2, the figure of the field's literature
# for CI jobs; eleven quantiles from 2 % to 98 %.
PRIOR = [180.0 * math.exp(1.2 * z) for z in (
    -2.05, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 2.05,
)]  # fmt: skip
PRIOR_SAMPLES = 3  # how much the prior is worth: its scale is anybody's guess


@dataclass(frozen=True)
class Lives:
    """A distribution: ln of ascending lives (s) and the normal quantiles of their levels."""

    logs: tuple[float, ...]
    z: tuple[float, ...]
    tail: float  # the slope of ln life over z above the largest
    mean: float
    deviation: float
    scale_error: float  # standard error of the logarithm of the scale, from the number of samples

    @classmethod
    def of(cls, quantiles: list[float], samples: int) -> "Lives":
        """From ascending, evenly spaced quantiles (0 % … 100 %) of so many samples."""
        values = [max(SHORTEST_SECONDS, q) for q in quantiles]
        logs = tuple(math.log(value) for value in values)
        last = max(1, len(values) - 1)
        z = tuple(
            _NORMAL.inv_cdf((1 + i * (samples - 1) / last) / (samples + 1))
            for i in range(len(values))
        )
        start = round(TAIL_FROM * last)
        run = z[-1] - z[start] if len(z) > start else 0.0
        tail = (logs[-1] - logs[start]) / run if run > 0 else STEEPEST
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        return cls(
            logs,
            z,
            min(STEEPEST, max(FLATTEST, tail)),
            mean,
            deviation,
            min(1.0, max(0.1, deviation / mean)) / math.sqrt(samples),
        )

    def below(self, age: float) -> float:
        """F(age): the share of lives that are no longer."""
        log = math.log(max(SHORTEST_SECONDS, age))
        if log >= self.logs[-1]:
            return _NORMAL.cdf(self.z[-1] + (log - self.logs[-1]) / self.tail)
        place = bisect_right(self.logs, log)
        if not place:
            return 0.0
        return _NORMAL.cdf(_between(self.logs, self.z, place, log))

    def life(self, level: float) -> float:
        """F⁻¹(level), seconds; below the smallest known life, that one."""
        z = _NORMAL.inv_cdf(min(1 - 1e-9, max(1e-9, level)))
        if z >= self.z[-1]:
            return min(LONGEST_SECONDS, math.exp(self.logs[-1] + self.tail * (z - self.z[-1])))
        place = bisect_right(self.z, z)
        if not place:
            return math.exp(self.logs[0])
        return math.exp(_between(self.z, self.logs, place, z))

    def left(self, age: float, level: float) -> float:
        """The quantile of the time left at this age; positive whatever the age."""
        known = self.below(age)
        return max(SHORTEST_SECONDS, self.life(known + level * (1 - known)) - age)


def _between(at: tuple[float, ...], of: tuple[float, ...], place: int, x: float) -> float:
    """Linear between the points before and at `place`."""
    part = (x - at[place - 1]) / (at[place] - at[place - 1])
    return of[place - 1] + part * (of[place] - of[place - 1])
