"""Figures into HTML: every text is escaped, and what many look at is made once."""

import asyncio
import json
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.metrics import GatewayMetrics, totals
from api.page import figures
from api.page.charts import Chart
from api.page.feed import Feed, Reading
from api.page.figures import Links
from api.page.history import History
from api.page.view import View

FOLDER = Path(__file__).parent
SECTIONS = (
    "mode",
    "drain",
    "fleet",
    "pressure",
    "github",
    "debts",
    "hour",
    "repos",
    "waiting",
    "ended",
    "changes",
)
VIEWS_KEPT = 50  # of one reading


class Renderer:
    """The templates, with what they all may use."""

    def __init__(self, links: Links, version: str) -> None:
        self._env = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._shared = {"links": links, "version": version}
        self._env.filters.update(
            lasting=figures.lasting, clock=figures.clock, moment=figures.moment
        )

    def __call__(self, template: str, **shown: Any) -> str:
        """One template."""
        return self._env.get_template(f"{template}.html", globals=self._shared).render(**shown)


class Drawn:
    """The sections of one view of one reading, by name: HTML. None of it changes any more."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._news: WeakKeyDictionary[Drawn, str] = WeakKeyDictionary()

    def since(self, former: "Drawn") -> str:
        """The sections that differ from those, as an object of JSON; empty if none does.

        All who look saw the same before, so that it is put into words once.
        """
        if former not in self._news:
            seen = former.texts
            changed = {name: text for name, text in self.texts.items() if seen.get(name) != text}
            self._news[former] = json.dumps(changed, separators=(",", ":")) if changed else ""
        return self._news[former]


class Sections:
    """The parts of the page that are sent anew when they change."""

    def __init__(
        self, renderer: Renderer, feed: Feed, history: History, metrics: GatewayMetrics
    ) -> None:
        self._render = renderer
        self._feed = feed
        self._history = history
        self._metrics = metrics
        self._made: dict[View, asyncio.Task[Drawn]] = {}
        self._made_of = -1
        self._hour: tuple[int, list[Chart]] = (-1, [])

    async def of(self, reading: Reading, view: View) -> Drawn:
        """Each section's HTML; the same for all who look at the same."""
        if reading.number != self._made_of or len(self._made) >= VIEWS_KEPT:
            self._made, self._made_of = {}, reading.number
        if view not in self._made:
            self._made[view] = asyncio.create_task(self._draw(reading, view))
        return await asyncio.shield(self._made[view])

    async def _draw(self, reading: Reading, view: View) -> Drawn:
        """Section by section: a webhook that comes meanwhile waits for one of them at most."""
        refusals = totals(self._metrics.refused)
        shown = figures.figures(reading, self._feed.lists(view), view, refusals)
        shown |= {"charts": self._charts(), "sampled": bool(self._history.samples)}
        drawn = Drawn()
        for name in SECTIONS:
            await asyncio.sleep(0)
            drawn.texts[name] = self._render(f"sections/{name}", **shown)
        return drawn

    def _charts(self) -> list[Chart]:
        number, charts = self._hour
        if number != self._history.number:
            samples = self._history.samples
            charts = figures.hour(self._history, samples[-1].at if samples else 0.0)
            self._hour = self._history.number, charts
        return charts
