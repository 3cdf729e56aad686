"""Tables and pictures from what was measured; nothing is measured here.

docs/performance.md has one block for each section, between two comments; what stands outside them
is written by hand and has no figures of its own. `page` is a pure function of both, so that a test
can compare.
"""

import re
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

from benchmarks import pictures
from benchmarks.record import Figure, Section, Spread

BEGIN, END = "<!-- figures: {} -->", "<!-- end -->"
BLOCK = re.compile(r"<!-- figures: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
HEAD = ("figure", "runs", "min", "median", "max", "floor", "÷ floor", "promised", "kept")


class Unplaced(ValueError):
    """A section was measured that the page has no place for."""


def page(text: str, sections: dict[str, Section]) -> str:
    """The page with each block anew. Raises Unplaced."""
    places = BLOCK.findall(text)
    if missing := sorted(sections.keys() - set(places)):
        raise Unplaced(f"docs/performance.md has no place for {', '.join(missing)}")

    def block(found: re.Match[str]) -> str:
        name = found.group(1)
        inner = markdown(name, sections[name]) if name in sections else "Not measured yet."
        return f"{BEGIN.format(name)}\n{inner}\n{END}"

    return BLOCK.sub(block, text)


def write(path: Path, sections: dict[str, Section], folder: Path) -> None:
    """Page and pictures. Raises Unplaced."""
    path.write_text(page(path.read_text(encoding="utf-8"), sections), encoding="utf-8")
    folder.mkdir(exist_ok=True)
    for section in sections.values():
        for curve in section.curves:
            picture = folder / f"{curve.name}.svg"
            picture.write_text(pictures.drawn(curve), encoding="utf-8")


def rows(figures: list[Figure]) -> list[tuple[str, ...]]:
    """A table's cells."""
    made: list[tuple[str, ...]] = []
    for one in figures:
        kept = one.kept()
        made.append(
            (
                one.name + (f", {one.unit}" if one.unit else ""),
                str(one.runs),
                *_spread(one.spread, one.runs),
                f"{one.floor.name}: {number(one.floor.spread.median)}" if one.floor else "",
                number(one.floor.ratio.median) if one.floor else "",
                one.promise.text() if one.promise else "",
                "" if kept is None else "yes" if kept else "**no**",
            )
        )
    return made


def markdown(name: str, section: Section) -> str:
    """A section's block: the command, the run, the table, the pictures."""
    run = section.run
    quick = " (`--quick`)" if run.quick else ""
    lines = [
        f"`python -m benchmarks {name}`{quick}, {run.date}, {number(run.seconds)} s.  ",
        f"Commit `{run.commit}`; load of the machine before it: {run.load:g}.  ",
        f"{run.machine}; {run.versions}.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---" + "|---:" * 4 + "|---|---:|---|---|",
        *(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
            for row in rows(section.figures)
        ),
    ]
    for curve in section.curves:
        lines += ["", f"![{curve.title}](pictures/{curve.name}.svg)"]
    return "\n".join(lines)


def printed(name: str, section: Section) -> Table:
    """The same for a terminal, where there is less room."""
    table = Table(title=f"{name}: {section.title}, {section.run.seconds:.0f} s", box=SIMPLE)
    for column in ("figure", "median", "min – max", "÷ floor", "promised", "kept"):
        left = column in ("figure", "promised", "kept")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for said, _, least, median, most, _, ratio, promised, kept in rows(section.figures):
        between = f"{least} – {most}" if least else ""
        table.add_row(said, median, between, ratio, promised, kept.replace("**", ""))
    return table


def number(value: float) -> str:
    """As it is kept, with thousands set off.

    >>> [number(v) for v in (12345, 3.0, 0.01234, 47.25)]
    ['12,345', '3', '0.01234', '47.25']
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"


def _spread(spread: Spread, runs: int) -> tuple[str, str, str]:
    median = number(spread.median)
    return (number(spread.min), median, number(spread.max)) if runs > 1 else ("", median, "")
