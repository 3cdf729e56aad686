"""What many pages cost: one reading for all, and updates that stay small on a large fleet."""

import asyncio
import json
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from api.access import Caller
from api.metrics import GatewayMetrics
from api.mode import ModeView
from api.page.feed import DRAIN_SECONDS, LONGEST_SECONDS, Feed, Lists, Reading, pause
from api.page.figures import Links
from api.page.history import History, Sample, Sampler, allowances_of, spent
from api.page.live import MOST_PAGES, events
from api.page.render import SECTIONS, Drawn, Renderer, Sections
from api.page.sessions import Session
from api.page.view import View
from tests.page.support import repo

REPOSITORIES, PAGES = 500, 20
LARGEST = 200_000  # bytes


def status_of(repos: list[dict[str, Any]]) -> dict[str, Any]:
    """As the admin interface tells it."""
    load = {"up": False, "since": None, "load": 0.5}
    return {
        "mode": "normal",
        "since": 1000.0,
        "reason": "",
        "limits": {
            "max_runners": 1000,
            "max_repo_share": 0.01,
            "default": 2,
            "repos": {},
            "orgs": {},
            "weights": {},
        },
        "capacity": 1000,
        "effective_cause": "",
        "deadline_at": 0.0,
        "on_deadline": "",
        "running": sum(one["running"] for one in repos),
        "waiting": sum(one["waiting"] for one in repos),
        "reserved": 1000,
        "settled": True,
        "unmet": False,
        "cooling": {"organization-3": 2000.0},
        "repos": repos,
        "audit": [{"at": 1.0, "actor": "key ann", "what": "x" * 500, "reason": "y" * 500}] * 10,
        "pressure": {
            "strategy": "queue",
            "max_queue_depth": 100,
            "max_concurrency_percent": 80.0,
            "max_error_rate": 0.05,
            "degraded": False,
            "running": 1000,
            "waiting": 5000,
            "launches": {"ok": 100, "failed": 1},
            "triggers": dict.fromkeys(("depth", "flood", "concurrency", "errors"), load),
        },
    }


def drain_of(told: dict[str, Any]) -> dict[str, Any]:
    """As the admin interface tells it."""
    part = {"repo": "a/b", "running": 1, "waiting": 9, "p90": 9.0, "method": "repository"}
    return {
        **{key: told[key] for key in ("mode", "since", "reason", "running", "waiting")},
        "drained": False,
        "eta_seconds": {"p50": 60.0, "p90": 90.0, "upper": 120.0},
        "eta_at": 1060.0,
        "method": "repository",
        "samples": 64,
        "blocking": [part] * 5,
    }


def jobs(count: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Waiting and ended jobs with long words."""
    common = {
        "repo": repo(0)["repo"],
        "job_id": "29679449526",
        "workflow_id": f"runner-job/{repo(0)['repo']}/29679449526",
    }
    waits = {
        **common,
        "priority": "normal",
        "priority_now": "high",
        "waited_seconds": 100.0,
        "why": f"5 of 10 in line of {repo(0)['repo']}; it is at its limit of 2 (2 in use)",
        "estimate": {"p50": 1.0, "p90": 2.0},
    }
    ended = {**common, "started_at": 1.0, "ended_at": 2.0, "ended": "completed"}
    result = {"outcome": "failed", "conclusion": "", "waited": 1.0, "ran": 1.0, "runner": "r" * 60}
    return (
        {"waiting": 5000, "jobs": [waits] * count},
        [{**ended, **result, "reason": "z" * 900}] * count,
    )


class Fleet:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.told = status_of([repo(n) for n in range(REPOSITORIES)])

    async def status(self) -> dict[str, Any]:
        """A part of it has changed each time."""
        self.asked += 1
        return {
            **{key: value for key, value in self.told.items() if key != "pressure"},
            "running": self.asked,
        }

    async def drain_status(self) -> dict[str, Any]:
        """The estimate."""
        return drain_of(self.told)

    async def view(self) -> dict[str, Any]:
        """This gateway's load."""
        return self.told["pressure"]

    async def current(self) -> ModeView:
        """The mode."""
        return ModeView()

    async def page(self, _after: object, _most: int) -> Any:
        """No dead letters."""
        return SimpleNamespace(letters=[], total=0)

    async def read(self, _most: int, _repo: str = "") -> list[dict[str, Any]]:
        """The last jobs."""
        return jobs(3)[1]

    def get_workflow_handle(self, _id: str) -> "Fleet":
        """Nobody waits in these semaphores."""
        return self

    async def query(self, *_: object, **__: object) -> list[Any]:
        """Nobody."""
        return []


class Runs:
    """The recovery's."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        self.runs = list(runs)

    async def read(self, most: int) -> list[dict[str, Any]]:
        """The last ones."""
        return self.runs[:most]


def sections_of(fleet: Any) -> tuple[Feed, Sections, History, GatewayMetrics]:
    """A page on this fleet."""
    of: Any = SimpleNamespace(
        client=fleet,
        fleet=fleet,
        mode=fleet,
        pressure=fleet,
        letters=fleet,
        ended=fleet,
        recoveries=Runs(),
    )
    feed, history, metrics = Feed(of), History(), GatewayMetrics()
    links = Links("https://github.com", "https://temporal.example.org", "default")
    return feed, Sections(Renderer(links, "1"), feed, history, metrics), history, metrics


SESSION = Session(Caller("key ann", "ann", "read"), "", time.time() + 3600)


async def test_an_update_of_a_large_fleet_is_small():
    """500 repositories, 5,000 waiting jobs, a full hour: all sections together under 200 kB."""
    feed, sections, history, _ = sections_of(Fleet())
    for n in range(240):
        at = 10_000.0 + 15 * n
        history.add(Sample(at, n * 7 % 999, n * 13 % 4999, 1000, n / 3, n / 2, n, n, n, n))
    told = status_of([repo(n) for n in range(REPOSITORIES)])
    assert told["waiting"] == 5000
    feed._lists[""] = Lists(0.0, None, 0.0, *jobs(20))
    letter = {"repo": "a/b", "job_id": "1", "reason": "r" * 500, "times": 2}
    letters = {"total": 9000, "dead_letters": [letter] * 20}
    reading = Reading(1, 2000.0, ModeView(), told, drain_of(told), letters=letters)
    made = await sections.of(reading, View())
    assert set(made.texts) == set(SECTIONS)
    assert len(json.dumps(made.texts).encode()) < LARGEST
    assert await sections.of(reading, View()) is made, "who looks at the same shares it"
    assert "page 1 of 13" in made.texts["repos"]
    other = await sections.of(reading, View(search="name-499"))
    assert "1 repository with" in other.texts["repos"]
    nothing = Drawn()
    assert json.loads(made.since(nothing)) == made.texts
    assert made.since(nothing) is made.since(nothing), "and so is what is sent"
    assert "repos" in json.loads(other.since(made))
    assert "hour" not in json.loads(other.since(made))
    assert made.since(made) == ""


async def test_many_pages_share_one_reading():
    """Twenty streams, each with its updates: the Fleet is asked once a second for all of them."""
    began = time.monotonic()
    fleet = Fleet()
    feed, sections, _, _ = sections_of(fleet)
    stopping = asyncio.Event()

    async def look() -> int:
        seen = 0
        async for said in events(feed, sections, View(), SESSION, stopping):
            if said.startswith("event: sections") and '"fleet"' in said:
                seen += 1
                if seen == 2:
                    break
        return seen

    assert await asyncio.gather(*(look() for _ in range(PAGES))) == [2] * PAGES
    assert fleet.asked <= 3 + time.monotonic() - began
    assert MOST_PAGES >= PAGES


async def test_a_stream_ends_with_its_session_and_with_the_gateway():
    """A session that is over is told so; a gateway that stops waits for no page."""
    feed, sections, _, _ = sections_of(Fleet())
    over = Session(SESSION.caller, "", 0.0)
    said = [text async for text in events(feed, sections, View(), over, asyncio.Event())]
    assert said[-1].startswith("event: over")
    stopping = asyncio.Event()
    async for _ in events(feed, sections, View(), SESSION, stopping):
        stopping.set()
    assert feed.watchers == 0


async def test_a_silent_fleet_holds_up_no_page():
    """The page comes all the same, with what is known and that it may be old."""
    fleet = Fleet()
    feed, sections, _, _ = sections_of(fleet)
    known = await feed.now(View())
    answers, asked = asyncio.Event(), fleet.status

    async def silent() -> dict[str, Any]:
        await answers.wait()
        return await asked()

    fleet.status = silent
    feed.stale()
    late = await feed.now(View(), late=0.01)
    assert late.status == known.status
    assert "has not answered yet" in (await sections.of(late, View())).texts["mode"]
    answers.set()
    heard = await sections.of(await feed.now(View()), View())
    assert "has not answered" not in heard.texts["mode"]


async def test_an_hour_is_remembered_and_no_more():
    """A sample knows the webhooks since the former one, and the waits of the jobs that ended."""
    fleet = Fleet()
    feed, sections, history, metrics = sections_of(fleet)
    ended: Any = fleet
    sampler = Sampler(history, feed.now, ended, metrics)
    metrics.webhooks.labels("accepted").inc(3)
    metrics.webhooks.labels("refused_503").inc()
    await sampler.sample()
    feed.stale()
    await sampler.sample()
    first, second = history.samples
    assert (first.taken, first.refused, second.taken) == (3, 1, 0)
    assert (first.running, second.running) == (1, 2)
    for _ in range(300):
        history.add(second)
    assert len(history.samples) == 240
    assert "polyline" in (await sections.of(await feed.now(), View())).texts["hour"]


def test_what_takes_long_is_read_seldom():
    """Of a large, busy fleet a fiftieth of the time, at least once a minute."""
    assert pause(DRAIN_SECONDS, 0.01) == DRAIN_SECONDS
    assert pause(DRAIN_SECONDS, 0.2) == 10.0
    assert pause(DRAIN_SECONDS, 9.0) == LONGEST_SECONDS


async def test_calls_to_github_are_counted_by_what_its_limits_have_left():
    """Not across a reset, and not before the first word."""

    def left(remaining: int, reset: float = 100.0, identity: str = "installation:a") -> Any:
        known = {"identity": identity, "resource": "core", "limit": 50}
        return allowances_of({"github": [{**known, "remaining": remaining, "reset_at": reset}]})

    assert spent(left(40), left(33)) == 7
    assert spent(left(3), left(50)) == 0, "the hour is over"
    assert spent(left(3), left(48, reset=200.0)) == 2
    assert spent(left(40), left(30, identity="installation:b")) == 0
    assert spent({}, {}) == len(allowances_of({})) == 0


async def test_the_last_recovery_is_shown_and_what_stopped_it():
    """Beside the dead letters: what GitHub was asked for again, what is still owed."""
    run = {
        "ended": "completed",
        "ended_at": 0.0,
        "mode": "normal",
        "deliveries_redelivered": 31,
        "deliveries_owed": 17,
        "letters_replayed": 2,
        "jobs_started": 0,
        "failures": {"deliveries": ["no <rights>"]},
    }
    feed, sections, _, _ = sections_of(Fleet())
    of: Any = feed._sources
    of.recoveries = Runs(run)
    reading = await feed.now(View())
    text = (await sections.of(reading, View())).texts["debts"]
    assert "redelivered by GitHub <b>31</b>, owed still <b>17</b>" in text
    assert "no &lt;rights&gt;" in text
    ended = replace(reading, number=99, recovery={**run, "ended": "terminated"})
    text = (await sections.of(ended, View())).texts["debts"]
    assert "its last run: terminated" in text
    none = replace(reading, number=100, recovery=None)
    assert "none has ended yet" in (await sections.of(none, View())).texts["debts"]
