"""The waiters of one repository in order, fast: an index that can be rebuilt at any time.

Within one priority the earlier arrival is always ahead, whatever the time: it has aged at least as
much. So the first in line is the best of four heads, and each priority needs one heap. Entries
of waiters that have left stay in the heaps until they come up.
"""

import heapq
from collections.abc import Iterable

from policy.messages import Acquire, Waiting
from policy.priority import DEFAULT_PRIORITY, PRIORITIES, effective_level

Rank = tuple[int, float, str]


def rank(waiter: Acquire, now: float) -> Rank:
    """Effective priority, then arrival, then the name."""
    return (
        effective_level(waiter.priority, waiter.queued_at, now),
        waiter.queued_at,
        waiter.job,
    )


def known(priority: str) -> str:
    """The priority, or the default for a name that is none."""
    return priority if priority in PRIORITIES else DEFAULT_PRIORITY


class Line:
    """Waiters that could take a permit, by priority; and those whose `not_before` lies ahead."""

    def __init__(self, waiters: Iterable[Acquire]) -> None:
        """The waiters as they are; from here on `add` and `remove` keep the index true."""
        self._heaps: dict[str, list[tuple[float, str]]] = {name: [] for name in PRIORITIES}
        self._counts = dict.fromkeys(PRIORITIES, 0)
        self._later: list[tuple[float, str]] = []
        self._ready: dict[str, Acquire] = {}
        self._held: dict[str, Acquire] = {}
        for waiter in waiters:
            self.add(waiter)

    def add(self, waiter: Acquire) -> None:
        """A waiter, or a new word of one that is known."""
        self.remove(waiter.job)
        if waiter.not_before:
            self._held[waiter.job] = waiter
            heapq.heappush(self._later, (waiter.not_before, waiter.job))
        else:
            self._enter(waiter)

    def remove(self, job: str) -> None:
        """It has left; nothing happens if it is not there."""
        self._held.pop(job, None)
        waiter = self._ready.pop(job, None)
        if waiter:
            self._counts[known(waiter.priority)] -= 1

    def first(self, now: float) -> Acquire | None:
        """The first that may take a permit now."""
        self._advance(now)
        heads = (self._head(name) for name in PRIORITIES)
        return min((head for head in heads if head), key=lambda w: rank(w, now), default=None)

    def waiting(self, now: float) -> list[Waiting]:
        """Those that may take a permit now: by priority, how many, since when the oldest waits."""
        self._advance(now)
        found: list[Waiting] = []
        for name in PRIORITIES:
            head = self._head(name)
            if head:
                found.append(Waiting(name, self._counts[name], head.queued_at))
        return found

    def next_at(self, now: float) -> float | None:
        """When the next `not_before` passes; None if there is none ahead."""
        self._advance(now)
        while self._later:
            at, job = self._later[0]
            held = self._held.get(job)
            if held and held.not_before == at:
                return at
            heapq.heappop(self._later)
        return None

    def _advance(self, now: float) -> None:
        """Let those in whose time has come."""
        while self._later and self._later[0][0] <= now:
            at, job = heapq.heappop(self._later)
            held = self._held.get(job)
            if held and held.not_before == at:
                del self._held[job]
                self._enter(held)

    def _enter(self, waiter: Acquire) -> None:
        name = known(waiter.priority)
        self._ready[waiter.job] = waiter
        self._counts[name] += 1
        heapq.heappush(self._heaps[name], (waiter.queued_at, waiter.job))

    def _head(self, name: str) -> Acquire | None:
        heap = self._heaps[name]
        while heap:
            queued_at, job = heap[0]
            waiter = self._ready.get(job)
            if waiter and waiter.queued_at == queued_at and known(waiter.priority) == name:
                return waiter
            heapq.heappop(heap)
        return None
