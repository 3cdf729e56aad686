"""Deliveries that failed: found in GitHub's logs, and sent again by GitHub at our wish."""

from dataclasses import dataclass, field

from temporalio import activity

from activities.deliveries import Deliveries, HookFinder, place_of
from activities.errors import GitHubInvalid, GitHubNotFound, GitHubRefused
from activities.parts import ENDS, Failures
from policy import redelivery
from policy.recovery import Purse, turn
from policy.redelivery import ADMITS, MOST_AT_ONCE, MOST_DEBTS, Debt, HookLog, Reading

MOST_LOGS = 1000
NONE_FOUND = "none of ours is to be seen: name them by recovery.hooks; the token wants their scope"


@dataclass(frozen=True)
class RedeliveryOrder:
    """How much may be done; `logs` and `after` (a place) are the last run's.

    `open_since` is when the mode became normal (epoch seconds); 0 in any other mode.
    """

    room: int
    points: int
    logs: list[HookLog] = field(default_factory=list[HookLog])
    after: str = ""
    open_since: float = 0.0


@dataclass(frozen=True)
class Redelivered:
    """What was done; `admitted` of the `sent` want capacity. `owed` deliveries are left."""

    logs: list[HookLog] = field(default_factory=list[HookLog])
    after: str = ""
    sent: int = 0
    admitted: int = 0
    owed: int = 0
    written_off: int = 0
    points: int = 0
    failures: list[str] = field(default_factory=list[str])


class RedeliveryActivities:
    """Reads the logs of all webhooks that are ours, then has sent again what is due."""

    def __init__(self, deliveries: Deliveries, finder: HookFinder) -> None:
        self._deliveries = deliveries
        self._finder = finder

    @activity.defn(name="redeliver")
    async def redeliver(self, order: RedeliveryOrder) -> Redelivered:
        """The oldest first. Whatever stops it, what was done is told; the next run goes on."""
        return await _Run(self._deliveries, self._finder, order).result()


class _Run:
    """One run: its logs, its points, what it did."""

    def __init__(self, deliveries: Deliveries, finder: HookFinder, order: RedeliveryOrder) -> None:
        self._deliveries = deliveries
        self._finder = finder
        self._room = order.room
        self._open_since = order.open_since
        self._purse = Purse(order.points)
        self._logs = {log.hook: log for log in order.logs}
        self._after = order.after
        self._failures = Failures()
        self._sent = 0
        self._admitted = 0
        self._written_off = 0

    async def result(self) -> Redelivered:
        """Read, write off, pay."""
        try:
            await self._read()
            await self._pay()
        except ENDS as error:
            self._failures.add("stopped", error)
        # Those with debts first; of the others those that were read last.
        logs = sorted(self._logs.values(), key=lambda log: (not log.debts, -log.read_to))
        return Redelivered(
            logs[:MOST_LOGS],
            self._after,
            self._sent,
            self._admitted,
            sum(len(log.debts) for log in logs),
            self._written_off,
            self._purse.spent,
            self._failures.lines,
        )

    async def _read(self) -> None:
        places = await self._finder.places()
        await self._read_all(places)
        if places and self._finder.found_none(places):
            self._failures.add("webhooks", NONE_FOUND)

    async def _read_all(self, places: list[str]) -> None:
        self._logs = {h: log for h, log in self._logs.items() if place_of(h) in places}
        for place in turn(places, self._after):
            try:
                hooks = await self._finder.hooks(place, self._purse)
                if hooks is None:
                    return
                for hook in hooks:
                    await self._read_log(hook)
            except GitHubRefused as error:
                self._finder.forget(place)
                absent = isinstance(error, GitHubNotFound) and not self._finder.must_have_one(
                    place
                )
                if not absent:
                    self._failures.add(place, error)
            if not self._purse.left:
                # What is left of this place is read on in its next turn.
                self._after = place
                return
            self._after = place

    async def _read_log(self, hook: str) -> None:
        log = self._logs.setdefault(hook, HookLog(hook))
        reading = Reading(log, self._deliveries.now())
        most = MOST_DEBTS - sum(len(one.debts) for one in self._logs.values() if one is not log)
        try:
            while reading.cursor is not None and reading.owed < most and self._purse.take(1):
                try:
                    page = await self._deliveries.page(hook, reading.cursor)
                except GitHubRefused:
                    if not reading.in_gap:
                        raise
                    reading.lost()
                else:
                    reading.page(page.attempts, page.following)
        finally:
            reading.end()
            self._written_off += redelivery.write_off(log, self._deliveries.now())

    async def _pay(self) -> None:
        for log in self._logs.values():
            redelivery.lift(log, self._open_since)
        now = self._deliveries.now()
        refusing: set[str] = set()
        for log, debt in redelivery.due(self._logs.values(), now, self._room):
            if self._sent >= MOST_AT_ONCE:
                return
            if log.hook in refusing:
                continue
            try:
                if await self._may_be_sent(log, debt):
                    await self._send(log, debt)
            except GitHubNotFound:  # GitHub has forgotten it
                log.debts.remove(debt)
                self._written_off += 1
            except GitHubInvalid as error:
                self._failures.add(log.hook, error)
                debt.asked_at = now  # not again within the hour
            except GitHubRefused as error:
                self._failures.add(log.hook, error)
                refusing.add(log.hook)

    async def _may_be_sent(self, log: HookLog, debt: Debt) -> bool:
        """Not before the time that the receiver named, which stands in the log."""
        now = self._deliveries.now()
        if redelivery.wants_look(debt, now):
            if not self._purse.take(1):
                return False
            seconds = await self._deliveries.retry_after(log.hook, debt.id)
            debt.not_before, debt.looked = debt.answered_at + seconds, True
        return redelivery.ready_at(debt) <= now

    async def _send(self, log: HookLog, debt: Debt) -> None:
        await self._deliveries.redeliver(log.hook, debt.id)
        debt.asked_at = self._deliveries.now()
        self._sent += 1
        self._admitted += debt.action == ADMITS
