"""A Fleet and its semaphores in virtual time: the real policies, messages that arrive at once."""

import heapq
from collections.abc import Callable

from policy import allotment, fleet
from policy import semaphore as rules
from policy.fleet import FleetState
from policy.limits import Limits
from policy.messages import Acquire, Release
from policy.semaphore_state import SemaphoreState

START = 10_000.0


class VirtualSite:
    """Jobs ask, are granted, run for a while and give back; nothing else takes time."""

    def __init__(self, limits: Limits, lasts: Callable[[str], float]) -> None:
        """`lasts` says how long a granted job runs, seconds."""
        self.now = START
        self.fleet = FleetState(limits)
        self.fleet.book.epoch = "f1"
        self.semaphores: dict[str, SemaphoreState] = {}
        self.granted: dict[str, float] = {}  # job → when
        self.ends: list[tuple[float, str, str, str]] = []
        self.completed = 0
        self._lasts = lasts
        self._told: set[str] = set()

    def ask(self, repo: str, priority: str, job: str) -> None:
        """A job arrives."""
        state = self.semaphores.get(repo)
        if state is None:
            state = self.semaphores[repo] = SemaphoreState(repo)
            rules.begin(state, "e1", self.now)
        rules.acquire(state, Acquire(job, priority, self.now))
        self._told.add(repo)

    def settle(self) -> None:
        """Everybody hears everybody until there is nothing to say."""
        while self._told:
            for repo in sorted(self._told):
                state = self.semaphores[repo]
                for grant in rules.grants(state, self.now):
                    self.granted[grant.job] = self.now
                    end = (self.now + self._lasts(grant.job), repo, grant.job, grant.granted.lease)
                    heapq.heappush(self.ends, end)
                if rules.report_due(state, self.now):
                    allotment.receive(self.fleet.book, rules.report(state, self.now))
            self._told.clear()
            for allot in fleet.rebalance(self.fleet, self.now):
                rules.allot(self.semaphores[allot.repo], allot)
                self._told.add(allot.repo)

    def next_event(self) -> float:
        """When the next job ends, or the Fleet's own alarm rings if that is sooner."""
        wake = fleet.next_wake(self.fleet, self.now)
        ends = self.ends[0][0] if self.ends else float("inf")
        return wake if wake is not None and self.now < wake < ends else ends

    def go_on(self, until: float = float("inf")) -> None:
        """To the next event, or to `until` if that is sooner."""
        at = self.next_event()
        if until < at:
            self.now = until
            return
        self.now = at
        if not self.ends or at < self.ends[0][0]:
            self._told |= self.semaphores.keys()  # an alarm: somebody has aged
            return
        _, repo, job, lease = heapq.heappop(self.ends)
        released = Release(job, lease, self.now - self.granted[job])
        rules.release(self.semaphores[repo], released, self.now)
        self.completed += 1
        self._told.add(repo)
