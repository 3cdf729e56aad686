"""Whether two ways to be wrong take different times: Welch's t-test on cropped measurements.

The method is dudect's (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017):
two classes of input in random order, the slowest measurements of both cropped at one threshold,
because interrupts and not the code make them, and |t| < 4.5 as the bound. Welch's statistic:
t = (mean a - mean b) / sqrt(var a / n a + var b / n b) (B. L. Welch, 1947). A difference that is
there shows in every run; what else a busy machine does, in some: so the median of three is taken.
"""

import math
import statistics
import time
from collections.abc import Awaitable, Callable
from random import Random

BOUND = 4.5
CROPPED = 0.9  # the quickest nine tenths are kept
RUNS = 3


def t(a: list[float], b: list[float]) -> float:
    """Welch's statistic; 0 where nothing varies."""
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.fmean(a) - statistics.fmean(b)) / math.sqrt(spread) if spread else 0.0


def cropped(a: list[float], b: list[float]) -> tuple[list[float], list[float]]:
    """Both without what is over the threshold, which is one for both."""
    threshold = sorted(a + b)[int(CROPPED * (len(a) + len(b))) - 1]
    return [x for x in a if x <= threshold], [x for x in b if x <= threshold]


def compare(check: Callable[[str], object], one: str, other: str, tries: int) -> float:
    """|t| between the times that a function takes for one text and for the other."""
    seen: list[float] = []
    for run in range(RUNS):
        times: tuple[list[float], list[float]] = [], []
        for which, text in _inputs(one, other, tries, run):
            began = time.perf_counter_ns()
            check(text)
            times[which].append(time.perf_counter_ns() - began)
        seen.append(abs(t(*cropped(*times))))
    return statistics.median(seen)


async def compare_calls(
    call: Callable[[str], Awaitable[object]], one: str, other: str, tries: int
) -> float:
    """The same of something that is waited for."""
    seen: list[float] = []
    for run in range(RUNS):
        times: tuple[list[float], list[float]] = [], []
        for which, text in _inputs(one, other, tries, run):
            began = time.perf_counter_ns()
            await call(text)
            times[which].append(time.perf_counter_ns() - began)
        seen.append(abs(t(*cropped(*times))))
    return statistics.median(seen)


def _inputs(one: str, other: str, tries: int, run: int) -> list[tuple[int, str]]:
    """Both texts in random order, each time a copy: its place in memory must not be the answer."""
    chance = Random(run)
    order = [chance.getrandbits(1) for _ in range(tries)]
    return [(which, "".join(list(other if which else one))) for which in order]
