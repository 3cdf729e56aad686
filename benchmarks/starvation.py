"""How long the lowest job waits beside endless urgent work, in virtual time on the real policies.

The bound: three steps of ageing bring any job into the top level; there only jobs that came before
it are ahead, of which each repository has no more than its backlog at that time.
"""

import heapq

from policy import allotment, fleet
from policy import semaphore as rules
from policy.fleet import FleetState
from policy.limits import Limits
from policy.messages import Acquire, Release
from policy.priority import AGE_STEP_SECONDS
from policy.semaphore_state import SemaphoreState

JOB_SECONDS = 60.0
BACKLOG = 3
BUSY = ("acme/a", "acme/b")
START = 10_000.0


class _Site:
    """The Fleet and its semaphores; messages arrive at once."""

    def __init__(self, permits: int, *repos: str) -> None:
        self.now = START
        self.fleet = FleetState(Limits(permits, 1.0, permits))
        self.fleet.book.epoch = "f1"
        self.semaphores = {repo: SemaphoreState(repo) for repo in repos}
        for state in self.semaphores.values():
            rules.begin(state, "e1", START)
        self.ends: list[tuple[float, str, str, str]] = []
        self.granted: dict[str, float] = {}
        self.made = 0

    def ask(self, repo: str, priority: str, job: str = "") -> None:
        """A job arrives."""
        self.made += 1
        rules.acquire(
            self.semaphores[repo], Acquire(job or f"{repo}#{self.made}", priority, self.now)
        )

    def settle(self) -> None:
        """Everybody hears everybody until there is nothing to say."""
        said = True
        while said:
            said = False
            for repo, state in self.semaphores.items():
                for grant in rules.grants(state, self.now):
                    self.granted[grant.job] = self.now
                    end = (self.now + JOB_SECONDS, repo, grant.job, grant.granted.lease)
                    heapq.heappush(self.ends, end)
                if rules.report_due(state, self.now):
                    said = True
                    allotment.receive(self.fleet.book, rules.report(state, self.now))
            for allot in fleet.rebalance(self.fleet, self.now):
                said = True
                rules.allot(self.semaphores[allot.repo], allot)

    def go_on(self) -> None:
        """To the next end of a job, or the Fleet's own alarm if that is sooner."""
        wake = fleet.next_wake(self.fleet, self.now)
        if wake is not None and self.now < wake < self.ends[0][0]:
            self.now = wake
            return
        self.now, repo, job, lease = heapq.heappop(self.ends)
        rules.release(self.semaphores[repo], Release(job, lease), self.now)


def longest_wait(low_repo: str, permits: int) -> tuple[float, float]:
    """Seconds that one low job waits beside endless critical ones, and the bound."""
    site = _Site(permits, *dict.fromkeys((*BUSY, low_repo)))

    def feed() -> None:
        for repo in BUSY:
            while len(site.semaphores[repo].waiters) < BACKLOG:
                site.ask(repo, "critical")

    for _ in range(2 * permits):
        feed()
        site.settle()
        site.go_on()
    site.ask(low_repo, "low", "the low one")
    began = site.now
    ahead = sum(len(site.semaphores[repo].waiters) for repo in BUSY) + permits
    bound = 3 * AGE_STEP_SECONDS + JOB_SECONDS * (1 + -(-ahead // permits))
    while "the low one" not in site.granted and site.now - began < 10 * bound:
        feed()
        site.settle()
        site.go_on()
    return site.granted.get("the low one", float("inf")) - began, bound
