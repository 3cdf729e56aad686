"""Numbers as coordinates: the page's pictures are SVG, made here and drawn by the templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 340.0, 96.0
MOST_CELLS = 24
CELL, STEP = 10, 12


@dataclass(frozen=True)
class Series:
    """One line: its values by time, None where nothing is known; `style` is a class of CSS."""

    name: str
    style: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """What is drawn of a series, and what is said of it."""

    name: str
    style: str
    paths: list[str]  # the points of a polyline each; gaps are between them
    last: str


@dataclass(frozen=True)
class Chart:
    """A picture of one hour."""

    id: str
    title: str
    unit: str
    lines: list[Line]
    top: str  # the value at the upper edge
    said: str  # for those who do not see it


def chart(
    id_: str,
    title: str,
    unit: str,
    times: Sequence[float],
    series: Sequence[Series],
    *,
    now: float,
    seconds: float,
) -> Chart:
    """The picture; all series share the times and the scale, which begins at 0."""
    known = [v for one in series for v in one.values if v is not None]
    top = ceiling(max(known, default=0.0))
    xs = [round(WIDTH * (1 - min(1.0, max(0.0, (now - at) / seconds))), 1) for at in times]
    lines = [
        Line(one.name, one.style, _paths(xs, one.values, top), _last(one.values, unit))
        for one in series
    ]
    said = "; ".join(f"{line.name} {line.last}" for line in lines)
    return Chart(id_, title, unit, lines, f"{_number(top)}{unit}", f"{title}, now: {said}")


def ceiling(value: float) -> float:
    """The round number, 1, 2 or 5 times a power of ten, that is not below the value.

    >>> [ceiling(v) for v in (0, 3, 7, 12, 480)]
    [1, 5, 10, 20, 500]
    """
    if value <= 1:
        return 1
    power = 10 ** floor(log10(value))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= value)


def _paths(xs: Sequence[float], values: Sequence[float | None], top: float) -> list[str]:
    paths: list[str] = []
    points: list[str] = []
    for x, value in [*zip(xs, values, strict=True), (0.0, None)]:
        if value is None:
            if len(points) == 1:  # a point alone would not be seen
                points.append(f"{float(points[0].split(',')[0]) + 1:g},{points[0].split(',')[1]}")
            if points:
                paths.append(" ".join(points))
            points = []
        else:
            points.append(f"{x:g},{round(HEIGHT * (1 - value / top), 1):g}")
    return paths


def _last(values: Sequence[float | None], unit: str) -> str:
    last = next((v for v in reversed(values) if v is not None), None)
    return "unknown" if last is None else f"{_number(last)}{unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or float(value).is_integer() else f"{value:.1f}"


@dataclass(frozen=True)
class Cells:
    """A repository's permits as squares: paths of those in use, free and over, and a line."""

    width: int
    used: str
    free: str
    over: str
    share: int | None  # where the share of the fleet ends; None beyond the picture


def cells(in_use: int, limit: int, share: int) -> Cells:
    """So many permits in use of so many; in squares as long as they fit, else in proportion."""
    most = max(in_use, limit, 1)
    scale = 1.0 if most <= MOST_CELLS else MOST_CELLS / most
    inside, outside = min(in_use, limit), max(0, in_use - limit)
    used = ceil(inside * scale) if inside else 0
    over = ceil(outside * scale) if outside else 0
    total = max(used + over, floor(max(limit, in_use) * scale))
    free = max(0, total - used - over)
    line = max(1, round(share * scale))
    shown = line <= MOST_CELLS
    return Cells(
        width=max(1, total, line if shown else 0) * STEP,
        used=_squares(0, used),
        free=_squares(used, free),
        over=_squares(used + free, over),
        share=line * STEP - 1 if shown else None,
    )


def _squares(first: int, count: int) -> str:
    """One path of squares side by side."""
    return "".join(f"M{(first + n) * STEP} 0h{CELL}v{CELL}h-{CELL}z" for n in range(count))
