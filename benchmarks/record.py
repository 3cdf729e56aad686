"""What was measured, as data: figures, curves, the run they come from, and the one JSON file.

docs/performance.json keeps the newest run of each section, with the machine, the commit and the
load it was made under, so that a long benchmark can be made in parts. benchmarks/report.py draws
the documentation's tables and pictures from it and measures nothing.
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
FILE = ROOT / "docs" / "performance.json"
PICTURES = ROOT / "docs" / "pictures"
DIGITS = 4  # significant ones


@dataclass(frozen=True)
class Spread:
    """Of one value a run."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises ValueError if there is none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(*map(rounded, (min(values), statistics.median(values), max(values))))


@dataclass(frozen=True)
class Floor:
    """What the figure is held against: measured in the same run, on the same server."""

    name: str
    spread: Spread
    ratio: Spread  # figure ÷ floor, taken run by run: a machine whose speed drifts matters less


@dataclass(frozen=True)
class Promise:
    """A bound for the median: of the ratio where `of_ratio`, else of the figure itself."""

    at_most: float | None = None
    at_least: float | None = None
    of_ratio: bool = False

    def text(self) -> str:
        """As a table shows it."""
        bound, sign = (self.at_least, "≥") if self.at_most is None else (self.at_most, "≤")
        return f"{'ratio ' if self.of_ratio else ''}{sign} {bound:g}"


@dataclass(frozen=True)
class Figure:
    """One figure: its unit, how many runs it was measured in, and what was promised."""

    name: str
    unit: str  # "" for a ratio or a count
    runs: int
    spread: Spread
    floor: Floor | None = None
    promise: Promise | None = None

    def kept(self) -> bool | None:
        """Whether the promise holds; None where nothing was promised."""
        if self.promise is None:
            return None
        of = self.floor.ratio if self.promise.of_ratio and self.floor else self.spread
        most, least = self.promise.at_most, self.promise.at_least
        return (most is None or of.median <= most) and (least is None or of.median >= least)


@dataclass(frozen=True)
class Line:
    """One line of a picture."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One picture: how something grows; `name` is the picture's file."""

    name: str
    title: str
    x: str
    y: str
    lines: list[Line]


@dataclass(frozen=True)
class Run:
    """How a section was measured."""

    date: str
    commit: str
    machine: str
    versions: str
    load: float  # of the machine in the minute before
    seconds: float
    quick: bool = False


@dataclass(frozen=True)
class Section:
    """The newest run of one section."""

    title: str
    run: Run
    figures: list[Figure] = field(default_factory=list[Figure])
    curves: list[Curve] = field(default_factory=list[Curve])


@dataclass
class Found:
    """What a section has measured so far; its functions add to it. `quick`: less of each."""

    quick: bool = False
    figures: list[Figure] = field(default_factory=list[Figure])
    curves: list[Curve] = field(default_factory=list[Curve])

    def figure(
        self,
        name: str,
        values: Sequence[float] | float,
        unit: str = "",
        *,
        floor: tuple[str, Sequence[float] | float] | None = None,
        at_most: float | None = None,
        at_least: float | None = None,
        of_ratio: bool = False,
    ) -> None:
        """Add a figure: a value a run; `floor` is a name and as many values.

        Raises ValueError without values, or if a floor has not one for each, or has a 0.
        """
        each = _each(values)
        held = None
        if floor is not None:
            below = _each(floor[1])
            if not all(below):
                raise ValueError(f"{name}: a floor of 0 is none")
            ratios = [a / b for a, b in zip(each, below, strict=True)]
            held = Floor(floor[0], Spread.of(below), Spread.of(ratios))
        promised = None
        if at_most is not None or at_least is not None:
            promised = Promise(
                None if at_most is None else rounded(at_most),
                None if at_least is None else rounded(at_least),
                of_ratio,
            )
        self.figures.append(Figure(name, unit, len(each), Spread.of(each), held, promised))

    def curve(self, name: str, title: str, x: str, y: str, lines: Sequence[Line]) -> None:
        """Add a picture."""
        drawn = [
            Line(line.name, [(rounded(a), rounded(b)) for a, b in line.points]) for line in lines
        ]
        self.curves.append(Curve(name, title, x, y, drawn))


def rounded(value: float) -> float:
    """To four significant digits; whole numbers stay whole.

    >>> [rounded(v) for v in (0.0123456, 3.0, 51234.5, 0.0)]
    [0.01235, 3, 51230, 0]
    """
    if not value or not math.isfinite(value):
        return value or 0
    short = round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))
    return int(short) if short == int(short) else short


def load(path: Path) -> dict[str, Section]:
    """The sections in the file; none if there is no file. Raises ValueError for another's file."""
    if not path.exists():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))["sections"]
        return {name: _section(value) for name, value in given.items()}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no file of ours ({error!r}): remove it") from None


def save(path: Path, sections: dict[str, Section]) -> None:
    """All of them, as text that shows well in a diff."""
    plain = {name: asdict(section) for name, section in sections.items()}
    text = json.dumps({"sections": plain}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _each(values: Sequence[float] | float) -> list[float]:
    return [float(values)] if isinstance(values, int | float) else [float(v) for v in values]


def _section(value: dict[str, Any]) -> Section:
    return Section(
        value["title"],
        Run(**value["run"]),
        [_figure(one) for one in value["figures"]],
        [
            Curve(
                one["name"],
                one["title"],
                one["x"],
                one["y"],
                [
                    Line(line["name"], [(float(a), float(b)) for a, b in line["points"]])
                    for line in one["lines"]
                ],
            )
            for one in value["curves"]
        ],
    )


def _figure(value: dict[str, Any]) -> Figure:
    floor = cast("dict[str, Any] | None", value["floor"])
    promise = cast("dict[str, Any] | None", value["promise"])
    return Figure(
        value["name"],
        value["unit"],
        value["runs"],
        Spread(**value["spread"]),
        Floor(floor["name"], Spread(**floor["spread"]), Spread(**floor["ratio"]))
        if floor
        else None,
        Promise(**promise) if promise else None,
    )
