"""One reading for all who look: the fleet once a second, its lists as often as they change.

Every number is from the readers of the admin interface (api/admin), called in this process. While
nobody looks nothing is read, but for the history's sample.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.service import RPCError

from activities.dead_letters import DeadLetters, LettersUnavailable
from api.admin import dead_letters, status, waiting
from api.admin.ended import Ended
from api.admin.recoveries import Recoveries
from api.fleet_client import FleetClient, FleetUnavailable
from api.mode import ModeView, ModeWatch
from api.page.view import View
from api.pressure import PressureWatch
from api.problems import Problem

logger = logging.getLogger(__name__)
T = TypeVar("T")

EVERY_SECONDS = 1.0
LATE_SECONDS = 2.0
LATE = "the Fleet has not answered yet: what is shown may be old"
DRAIN_SECONDS = 5.0  # the estimate plays the whole queue through
FEW_JOBS = 100  # for which that costs nothing
LISTS_SECONDS = 5.0
PART = 1 / 50  # of the time, at most, is spent on waiting for either of the two
LONGEST_SECONDS = 60.0  # they are never older than that for being costly
LETTERS_SECONDS = 30.0  # a look at a queue of SQS reads all of it
WAITING_SHOWN = 20
ENDED_SHOWN = 15
LETTERS_SHOWN = 20
SEARCHES_KEPT = 50


@dataclass(frozen=True)
class Lists:
    """Jobs of the repositories searched for; None until they are known."""

    at: float = -1e9  # monotonic
    stamp: object = None  # what they depend on
    took: float = 0.0  # seconds
    waiting: dict[str, Any] | None = None
    ended: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Reading:
    """All that is known at one moment; `status` is None while the Fleet does not answer."""

    number: int = 0
    at: float = 0.0  # epoch seconds
    mode: ModeView = field(default_factory=ModeView)
    status: dict[str, Any] | None = None
    drain: dict[str, Any] | None = None
    trouble: str = ""
    letters: dict[str, Any] | None = None
    letters_trouble: str = ""
    recovery: dict[str, Any] | None = None  # its last run


@dataclass(frozen=True)
class Sources:
    """What is read."""

    client: Client
    fleet: FleetClient
    mode: ModeWatch
    pressure: PressureWatch
    letters: DeadLetters
    ended: Ended
    recoveries: Recoveries


class Feed:
    """Reads while somebody looks, and wakes all who do."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._last = Reading()
        self._read_at = self._drain_at = self._letters_at = -1e9
        self._drain_pause = DRAIN_SECONDS
        self._reading: asyncio.Task[Reading] | None = None
        self._lists: dict[str, Lists] = {}
        self._listing: dict[str, asyncio.Task[None]] = {}
        self._looking_up: asyncio.Task[None] | None = None
        self._watchers: dict[object, View] = {}
        self._loop: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.readings = 0  # how often the Fleet was asked

    @property
    def watchers(self) -> int:
        """How many look."""
        return len(self._watchers)

    async def now(
        self, view: View | None = None, *, patience: float = 0.4, late: float = LATE_SECONDS
    ) -> Reading:
        """A reading that is a second old at most; its lists, if they come within `patience`.

        If the Fleet does not answer within `late`, what is known, and that it may be old.
        """
        if time.monotonic() - self._read_at >= EVERY_SECONDS:
            asked = asyncio.create_task(self._share())
            if not (await asyncio.wait({asked}, timeout=late))[0]:
                mode = await self._sources.mode.current()
                return replace(self._last, number=-time.monotonic_ns(), mode=mode, trouble=LATE)
            await asked  # for what it may raise
        if view is not None:
            tasks = self._list(view), self._look_up()
            unknown = self.lists(view).waiting is None, self._last.letters is None
            awaited = [t for t, new in zip(tasks, unknown, strict=True) if t and new]
            if awaited:
                await asyncio.wait(awaited, timeout=patience)
        return self._last

    def stale(self) -> None:
        """Something was changed, or is to be: the next reading is a new one."""
        self._read_at = -1e9

    def lists(self, view: View) -> Lists:
        """The jobs of a view, as they were last read."""
        return self._lists.get(view.search, Lists())

    def watch(self, view: View) -> object:
        """Somebody looks, until `leave` is told what this answers."""
        who = object()
        self._watchers[who] = view
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._run())
        return who

    def leave(self, who: object) -> None:
        """He looks no more."""
        self._watchers.pop(who, None)

    async def after(self, number: int, patience: float) -> Reading | None:
        """The next reading after that one; None if there is none within so many seconds."""
        if self._last.number <= number:
            try:
                async with asyncio.timeout(patience):
                    await self._news.wait()
            except TimeoutError:
                return None
        return self._last

    async def _run(self) -> None:
        while self._watchers:
            began = time.monotonic()
            try:
                await self._share()
                self._look_up()
                for view in set(self._watchers.values()):
                    self._list(view)
            except Exception:
                logger.exception("the operations page cannot be read")
            await asyncio.sleep(max(0.05, EVERY_SECONDS - (time.monotonic() - began)))

    async def _share(self) -> Reading:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._ended)
        return await asyncio.shield(self._reading)

    def _ended(self, task: asyncio.Task[Reading]) -> None:
        self._reading = None
        if not task.cancelled() and (error := task.exception()):
            logger.error("the fleet cannot be read: %r", error)

    async def _read(self) -> Reading:
        self.readings += 1
        from_, last = self._sources, self._last
        mode = await from_.mode.current()
        try:
            told = await status.read(from_.fleet, from_.pressure)
            mode = ModeView(told["mode"], told["since"], told["reason"])
            drain = await self._drain(told)
            made = replace(last, status=told, drain=drain, trouble="")
        except FleetUnavailable as error:
            made = replace(last, status=None, drain=None, trouble=str(error))
        made = replace(made, mode=mode, at=time.time())
        self._read_at = time.monotonic()
        self._publish(made)
        return made

    async def _drain(self, told: dict[str, Any]) -> dict[str, Any]:
        """The estimate; of a large fleet not each second, unless the mode has changed."""
        last = self._last.drain
        fresh = time.monotonic() - self._drain_at < self._drain_pause
        few = told["running"] + told["waiting"] <= FEW_JOBS
        same = last is not None and (last["mode"], last["since"]) == (told["mode"], told["since"])
        if last is not None and same and fresh and not few:
            return last
        began = time.monotonic()
        answer = await self._sources.fleet.drain_status()
        self._drain_at = time.monotonic()
        self._drain_pause = pause(DRAIN_SECONDS, self._drain_at - began)
        return answer

    def _publish(self, made: Reading) -> None:
        self._last = replace(made, number=self._last.number + 1)
        self._news.set()
        self._news = asyncio.Event()

    def _list(self, view: View) -> asyncio.Task[None] | None:
        """Have the jobs of a view read again if they may have changed."""
        told, search = self._last.status, view.search
        if told is None or search in self._listing:
            return self._listing.get(search)
        repos = [one for one in told["repos"] if view.shows(one["repo"])]
        held = self._lists.get(search, Lists())
        age = time.monotonic() - held.at
        stamp = (
            told["mode"],
            sum(one["running"] for one in repos),
            sum(one["waiting"] for one in repos),
        )
        # Of a large fleet something changes all the time.
        large = told["running"] + told["waiting"] > FEW_JOBS
        rest = pause(LISTS_SECONDS, held.took) if large else LISTS_SECONDS
        if age < EVERY_SECONDS or (age < rest and (large or stamp == held.stamp)):
            return None
        task = self._background(self._read_lists(search, repos, stamp))
        self._listing[search] = task
        task.add_done_callback(lambda _: self._listing.pop(search, None))
        return task

    async def _read_lists(self, search: str, repos: list[dict[str, Any]], stamp: object) -> None:
        held, began = self.lists(View(search)), time.monotonic()
        client = self._sources.client
        # Temporal's list knows whole names alone: of a part of one, what the whole fleet ended.
        only = repos[0]["repo"] if search and len(repos) == 1 else ""
        most = ENDED_SHOWN if only or not search else 50
        waits, ended = await asyncio.gather(
            _or(held.waiting, waiting.read(client, repos, WAITING_SHOWN)),
            _or(held.ended, self._sources.ended.read(most, only)),
        )
        ended = [job for job in ended or [] if search in job["repo"]][:ENDED_SHOWN]
        self._lists.pop(search, None)  # so that the newest is the last
        now = time.monotonic()
        self._lists[search] = Lists(now, stamp, now - began, waits, ended)
        while len(self._lists) > SEARCHES_KEPT:
            self._lists.pop(next(iter(self._lists)))
        self._publish(self._last)

    def _look_up(self) -> asyncio.Task[None] | None:
        """Have the debts read again if it is time."""
        if self._looking_up is not None:
            return self._looking_up
        if time.monotonic() - self._letters_at < LETTERS_SECONDS:
            return None
        self._looking_up = self._background(self._read_letters())
        self._looking_up.add_done_callback(lambda _: setattr(self, "_looking_up", None))
        return self._looking_up

    async def _read_letters(self) -> None:
        runs = await _or(None, self._sources.recoveries.read(1))
        try:
            told = await dead_letters.read(self._sources.letters, LETTERS_SHOWN)
            made = replace(self._last, letters=told, letters_trouble="")
        except LettersUnavailable as error:
            made = replace(self._last, letters_trouble=str(error))
        made = replace(made, recovery=runs[0] if runs else made.recovery)
        self._letters_at = time.monotonic()
        self._publish(made)

    def _background(self, work: Awaitable[None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except Exception:
                logger.exception("a list of the operations page cannot be read")

        return asyncio.create_task(guarded())


def pause(least: float, took: float) -> float:
    """Seconds until that is read again which took so long: who looks must not slow what works."""
    return min(LONGEST_SECONDS, max(least, took / PART))


async def _or(former: T | None, asked: Awaitable[T]) -> T | None:
    """What is answered; what was known before if nothing is."""
    try:
        return await asked
    except (Problem, RPCError):
        return former


Read = Callable[[], Awaitable[Reading]]
