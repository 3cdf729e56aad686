"""A curve as a picture: SVG by matplotlib, the same bytes for the same curve.

The picture brings its own ground and follows the reader's light or dark scheme, so that it can be
read on any page. Labels are text, and what it shows is said in its title for those who do not see
it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false
# (matplotlib's own stubs leave the types of their keyword arguments open.)

import io
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.record import Curve

INK, GROUND = "#1f2328", "#ffffff"
LINES = ("#0969da", "#bc4c00", "#1a7f37", "#8250df")
MARKS = ("o", "s", "^", "D")
# The dark scheme's colours, in the same order.
DARK = {
    INK: "#e6edf3",
    GROUND: "#0d1117",
    **dict(zip(LINES, ("#58a6ff", "#f0883e", "#3fb950", "#bc8cff"), strict=True)),
}
NONE = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # of matplotlib's own
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "penstock",  # the same names of clip paths each time
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def drawn(curve: Curve) -> str:
    """The picture. Raises ValueError for more lines than can be told apart."""
    if len(curve.lines) > len(LINES):
        raise ValueError(f"{curve.name}: more than {len(LINES)} lines")
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 3.6), facecolor=GROUND, layout="constrained")
        axes = figure.add_subplot(facecolor=GROUND)
        for line, colour, mark in zip(curve.lines, LINES, MARKS, strict=False):
            xs, ys = [x for x, _ in line.points], [y for _, y in line.points]
            axes.plot(xs, ys, marker=mark, color=colour, label=line.name)
        at = sorted({x for line in curve.lines for x, _ in line.points})
        if at and at[0] > 0 and at[-1] >= 20 * at[0]:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        if len(at) <= 8:
            axes.set_xticks(at)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, color=INK, alpha=0.15, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(xlabel=curve.x, ylabel=curve.y)
        axes.set_title(curve.title, fontsize=11)
        if len(curve.lines) > 1:
            axes.legend(frameon=False)
        written = io.StringIO()
        FigureCanvasSVG(figure).print_svg(written, metadata=NONE)
    return _in_both_schemes(written.getvalue(), curve)


def _in_both_schemes(svg: str, curve: Curve) -> str:
    """Colours become variables; a title says what is shown."""
    said = "; ".join(
        f"{line.name}: " + ", ".join(f"{y:g} at {x:,g}" for x, y in line.points)
        for line in curve.lines
    )
    light = "".join(f"--{c[1:]}:{c};" for c in DARK)
    dark = "".join(f"--{c[1:]}:{other};" for c, other in DARK.items())
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    for colour in DARK:
        svg = svg.replace(colour, f"var(--{colour[1:]})")
    start = svg.index("<svg")
    head = svg.index(">", start) + 1
    text = f"<title>{escape(f'{curve.title} ({curve.y} by {curve.x})')}</title>"
    text += f"<desc>{escape(said)}</desc>"
    whole = svg[start:head] + text + style + svg[head:]
    return "\n".join(line.rstrip() for line in whole.splitlines()) + "\n"
