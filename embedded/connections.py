"""All connections of one listener: how many there may be, and who goes first when it is full.

A connection waits for a request (new, or with a part of one), is idle (kept alive after an
answer), unread (its answer waits to be taken) or answering. Whoever comes when the listener is
full takes the place of the client that has kept us waiting longest, for one thing or another; so
slow clients shut nobody out, however many they are. Only if every connection is being answered,
which is real load, the newcomer is turned away.
"""

import logging
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

logger = logging.getLogger(__name__)

State = Literal["waiting", "idle", "unread", "answering"]
# Files that are no connections: Temporal, the store, logs, those that are being shown out.
OTHER_FILES = 256
PARTING_AT_MOST = 128
SAID_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class ServerLimits:
    """What one listener bears; times in seconds."""

    connections: int = 2000
    buffered_bytes: int = 64 * 1024 * 1024  # of unfinished bodies, all together
    header_bytes: int = 16 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    send_seconds: float = 30.0
    keep_alive_seconds: int = 5


class Connection(Protocol):
    """What is asked of one."""

    held: int  # bytes of an unfinished body

    def make_room(self) -> None:
        """Go, and leave `Connections`, at once."""
        ...


class Connections:
    """Who is connected, in which state, the longest in it first."""

    def __init__(
        self, limits: ServerLimits, turned_away: Callable[[str], None] = lambda _why: None
    ) -> None:
        self.limits = limits
        self.turned_away = turned_away
        self.closing = False
        self.parting = 0
        self._states: dict[Connection, State] = {}
        self._counts: Counter[State] = Counter()
        self._delaying: dict[Connection, None] = {}  # all but those answering, the longest first
        self._bytes = 0
        self._turn = 0
        self._said_at = float("-inf")

    def count(self, state: State) -> int:
        """How many are in it."""
        return self._counts[state]

    def admit(self, connection: Connection) -> bool:
        """Let a new one in, in a slow one's place if need be; False if there is no room."""
        if len(self._states) >= self.limits.connections:
            self._say(f"all {self.limits.connections} connections are taken")
            slowest = next(iter(self._delaying), None)
            if slowest is None:
                return False
            slowest.make_room()
        self.move(connection, "waiting")
        return True

    def move(self, connection: Connection, state: State) -> None:
        """Note its state; one that stays in its state keeps its place."""
        if self._states.get(connection) == state:
            return
        self._forget(connection)
        self._states[connection] = state
        self._counts[state] += 1
        if state != "answering":
            self._delaying[connection] = None

    def hold(self, connection: Connection, size: int) -> None:
        """Note more of its unfinished body; if all are too much, the one with the most goes."""
        connection.held += size
        self._bytes += size
        while self._bytes > self.limits.buffered_bytes:
            self._say("unfinished bodies take all the memory that they may")
            max(self._delaying, key=lambda one: one.held).make_room()

    def let_go(self, connection: Connection) -> None:
        """Its body is whole, or will never be."""
        self._bytes -= connection.held
        connection.held = 0

    def about(self, seconds: float) -> float:
        """So long, or up to a tenth less: who came together is not shown out all at once."""
        self._turn = (self._turn + 1) % 64
        return seconds * (1 - self._turn / 640)

    def leave(self, connection: Connection) -> None:
        """It is gone, or will be."""
        self._forget(connection)
        self.let_go(connection)

    def _forget(self, connection: Connection) -> None:
        state = self._states.pop(connection, None)
        if state:
            self._counts[state] -= 1
        self._delaying.pop(connection, None)

    def _say(self, what: str) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAID_EVERY_SECONDS:
            self._said_at = now
            logger.warning("%s: the slowest are let go", what)


def connections_possible(wanted: int) -> int:
    """How many of the wanted connections this process has files for; its limit is raised first.

    Many systems start a process with 1,024 files: the 1,025th connection would stop the listener
    for everybody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
        if raised < needed:
            possible = max(1, raised - OTHER_FILES)
            logger.warning("%d files may be open: room for %d connections", raised, possible)
            return possible
    return wanted
