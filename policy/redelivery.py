"""Which failed deliveries GitHub is asked to send again, when, and how far its log is read.

Sources: GitHub's documentation, "Automatically redelivering failed deliveries" (group attempts by
guid; send one of each guid again of which no attempt went well) and "Redelivering webhooks" (for
three days). The pauses between attempts are ours. To handle an event twice is harmless, so that
what is not known for sure is sent once more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

EVENT = "workflow_job"
ADMITS = "queued"  # the action that wants capacity; all others free it, or want none
WINDOW_SECONDS = 3 * 86400.0
FIRST_PAUSE_SECONDS = 120.0
# A gateway refuses for a moment after the mode was set, and GitHub's log tells whole seconds.
HEARD_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 3600.0
# Attempts may be listed a little late: so much is read again.
OVERLAP_SECONDS = 300.0
# The gateway names at most 300 s and as much of chance: later, its word needs no looking up.
LONGEST_RETRY_AFTER_SECONDS = 600.0
CLOSED = 503  # the gateway drains, is in maintenance, or has no Temporal
NAMES_A_TIME = (429, CLOSED)
MOST_DEBTS = 1000  # that a checkpoint carries, for all hooks together
MOST_AT_ONCE = 30  # a run: 150 points, which fit into what the meter lets pass at once


@dataclass(frozen=True)
class Attempt:
    """One line of a hook's log. `at` is epoch seconds by GitHub's clock."""

    id: int
    guid: str
    at: float
    code: int  # 0: it timed out
    event: str
    action: str = ""
    redelivery: bool = False

    @property
    def ok(self) -> bool:
        """GitHub's own rule: an answer from 200 to 399."""
        return 200 <= self.code < 400


@dataclass
class Debt:
    """An event of which no attempt went well. Times are epoch seconds."""

    guid: str
    id: int  # the newest attempt, which is the one to send again
    at: float  # the oldest attempt
    action: str
    code: int
    answered_at: float  # the newest attempt
    tries: int = 0  # redeliveries that were answered
    asked_at: float = 0.0  # a redelivery whose answer is not known yet; 0: none
    not_before: float = 0.0  # the newest answer's Retry-After
    looked: bool = False  # that has been asked for


@dataclass
class HookLog:
    """How far one hook's log was read, and the debts found in it.

    All up to `read_to` (and `read_id`, of those in one second) was read, but for a gap that begins
    at `gap_cursor` and reaches down to `gap_until`: a log that is too long for one run is read on
    in the next ones, as long as a run can read more than what is new.
    """

    hook: str
    read_to: float = 0.0
    gap_cursor: str = ""
    gap_until: float = 0.0
    debts: list[Debt] = field(default_factory=list[Debt])
    read_id: int = 0


class Reading:
    """One run's reading of one log, page by page, the newest first."""

    def __init__(self, log: HookLog, now: float) -> None:
        self._log = log
        self._floor = now - WINDOW_SECONDS
        self._until = max(log.read_to - OVERLAP_SECONDS, self._floor)
        self._newest = self._known = (log.read_to, log.read_id)
        self._reached = False  # what was known before this run
        self._in_gap = False
        self._debts = {debt.guid: debt for debt in log.debts}
        self._heard = {debt.guid: (debt.answered_at, debt.id) for debt in log.debts}
        self._paid: set[str] = set()
        self.cursor: str | None = ""  # of the next page, empty for the first; None: all is read

    def page(self, attempts: list[Attempt], following: str) -> None:
        """Take a page in; `following` is the cursor of the next one, empty if there is none."""
        for attempt in attempts:
            self._take(attempt)
        seen = [(attempt.at, attempt.id) for attempt in attempts]
        self._newest = max([self._newest, *seen])
        oldest = min(seen, default=(0.0, 0))
        self._reached |= oldest <= self._known
        over = not following or oldest[0] < self._until
        if self._in_gap or not self._log.gap_cursor:
            self.cursor = None if over else following
            if over:
                self._log.gap_cursor = ""
        elif over or self._reached:
            # What is unread goes before what is read again.
            self._in_gap = True
            self.cursor = self._log.gap_cursor
            self._until = max(self._log.gap_until, self._floor)
        else:
            self.cursor = following

    def lost(self) -> None:
        """GitHub does not know the gap's cursor any more: the gap is read from the top again."""
        self._newest = self._until, 0
        self._log.gap_cursor, self.cursor = "", None

    @property
    def owed(self) -> int:
        """How many debts are known by now."""
        return len(self._debts)

    @property
    def in_gap(self) -> bool:
        """Whether the next page is one that an earlier run left unread."""
        return self._in_gap

    def end(self) -> None:
        """No more pages for now: note in the log what was read, and what was found."""
        log = self._log
        if self.cursor == "":
            return
        if self.cursor is not None and self._in_gap:
            log.gap_cursor = self.cursor
        elif self.cursor is not None and not self._reached:
            log.gap_until = min(self._until, log.gap_until if log.gap_cursor else self._until)
            log.gap_cursor = self.cursor
        log.read_to, log.read_id = self._newest
        log.debts = sorted(self._debts.values(), key=lambda debt: debt.at)

    def _take(self, attempt: Attempt) -> None:
        guid = attempt.guid
        if attempt.ok:
            self._paid.add(guid)
            self._debts.pop(guid, None)
        if attempt.event != EVENT or guid in self._paid or attempt.at < self._floor:
            return
        debt = self._debts.get(guid)
        if debt is None:
            debt = self._debts[guid] = Debt(
                guid, attempt.id, attempt.at, attempt.action, attempt.code, attempt.at
            )
        # GitHub's times are whole seconds: of two attempts in one the later number is the later.
        this = attempt.at, attempt.id
        if this <= self._heard.get(guid, (0.0, 0)):
            return  # read again, because of the overlap
        debt.at = min(debt.at, attempt.at)
        debt.tries += attempt.redelivery
        if this > (debt.answered_at, debt.id):
            debt.id, debt.code, debt.answered_at = attempt.id, attempt.code, attempt.at
            debt.asked_at, debt.not_before, debt.looked = 0.0, 0.0, False


def pause(tries: int) -> float:
    """Seconds from an attempt's failure to the next one, after so many tries of ours."""
    if not tries:
        return 0.0
    # Capped before it is raised: a number of many digits helps nobody.
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 10))


def ready_at(debt: Debt) -> float:
    """When it may be sent again. An answer that never comes is waited for an hour."""
    if debt.asked_at:
        return debt.asked_at + LONGEST_PAUSE_SECONDS
    return max(debt.answered_at + pause(debt.tries), debt.not_before)


def wants_look(debt: Debt, now: float) -> bool:
    """Whether the answer's Retry-After may still matter, and is not known."""
    young = now < debt.answered_at + LONGEST_RETRY_AFTER_SECONDS
    return debt.code in NAMES_A_TIME and young and not debt.looked


def lift(log: HookLog, since: float) -> None:
    """Work is taken again `since` then: a 503 before is void, with its time and its pauses.

    A recovery that runs at once after `resume` meets gateways that have not heard of it; what
    they refuse is no try of the event's.
    """
    if not since:
        return
    for debt in log.debts:
        if debt.code == CLOSED and debt.answered_at < since + HEARD_SECONDS:
            debt.not_before, debt.looked, debt.tries = 0.0, True, 0


def write_off(log: HookLog, now: float) -> int:
    """Drop the debts that GitHub does not send any more; how many."""
    kept = [debt for debt in log.debts if debt.at > now - WINDOW_SECONDS]
    gone = len(log.debts) - len(kept)
    log.debts = kept
    return gone


def due(logs: Iterable[HookLog], now: float, room: int) -> list[tuple[HookLog, Debt]]:
    """What may be sent again now, the oldest first; those that want capacity up to the room."""
    every = [(log, debt) for log in logs for debt in log.debts if ready_at(debt) <= now]
    chosen: list[tuple[HookLog, Debt]] = []
    for log, debt in sorted(every, key=lambda one: (one[1].at, one[1].id)):
        if debt.action == ADMITS:
            room -= 1
            if room < 0:
                continue
        chosen.append((log, debt))
    return chosen
