"""Nobody keeps the fleet because he came first: what busy repositories pass on."""

import random

import pytest

from policy import fleet
from policy import semaphore as rules
from policy.allocation import Demand, Snapshot, allocation
from policy.fleet import FleetState
from policy.handover import hand_over
from policy.limits import Limits
from policy.messages import Acquire, Allot, Release, Waiting
from policy.semaphore_state import SemaphoreState

NOW = 10_000.0


class Site:
    """Fleet and semaphores with their real policies, messages delivered at once."""

    def __init__(self, limits: Limits, *repos: str) -> None:
        self.now = NOW
        self.fleet = FleetState(limits)
        self.fleet.book.epoch = "f1"
        self.semaphores = {repo: SemaphoreState(repo) for repo in repos}
        for state in self.semaphores.values():
            rules.begin(state, "e1", NOW)
        self.ends: list[tuple[float, str, str, str]] = []
        self.waited: dict[str, list[float]] = {}
        self.seconds: dict[str, float] = {}
        self.messages = 0
        self._jobs = 0

    def ask(self, repo: str, priority: str = "normal") -> None:
        """A job arrives."""
        self._jobs += 1
        request = Acquire(f"{repo}#{self._jobs}", priority, self.now)
        rules.acquire(self.semaphores[repo], request)

    def settle(self, job_seconds: float) -> None:
        """Everybody hears everybody, until there is nothing to say."""
        said = True
        while said:
            said = False
            for repo, state in self.semaphores.items():
                arrivals = {job: w.queued_at for job, w in state.waiters.items()}
                for grant in rules.grants(state, self.now):
                    end = (self.now + job_seconds, repo, grant.job, grant.granted.lease)
                    self.ends.append(end)
                    self.waited.setdefault(repo, []).append(self.now - arrivals[grant.job])
                    self.seconds[repo] = self.seconds.get(repo, 0.0) + job_seconds
                if rules.report_due(state, self.now):
                    self.messages += 1
                    said = True
                    fleet.allotment.receive(self.fleet.book, rules.report(state, self.now))
            for allot in fleet.rebalance(self.fleet, self.now):
                said = True
                self.messages += 1
                assert isinstance(allot, Allot)
                rules.allot(self.semaphores[allot.repo], allot)
            used = sum(state.in_use for state in self.semaphores.values())
            assert used <= self.fleet.limits.max_runners

    def next_end(self) -> None:
        """Time goes on to the end of the next job."""
        self.ends.sort()
        self.now, repo, job, lease = self.ends.pop(0)
        rules.release(self.semaphores[repo], Release(job, lease), self.now)


def endless(site: Site, ends: int, backlog: int, job_seconds: float, priorities=None) -> None:
    """Every repository always has a backlog; so many jobs end."""
    priorities = priorities or {}
    for _ in range(ends):
        for repo, state in site.semaphores.items():
            while len(state.waiters) < backlog:
                site.ask(repo, priorities.get(repo, "normal"))
        site.settle(job_seconds)
        site.next_end()


def test_a_critical_job_gets_the_next_permit_that_comes_back() -> None:
    """Two repositories with endless low work hold all permits; they pass one on."""
    site = Site(Limits(2, 0.5), "acme/a", "acme/b", "beta/c")
    low = {"acme/a": "low", "beta/c": "low"}
    del site.semaphores["acme/b"]
    endless(site, 10, 3, 10.0, low)
    site.semaphores["acme/b"] = SemaphoreState("acme/b")
    rules.begin(site.semaphores["acme/b"], "e1", site.now)
    site.ask("acme/b", "critical")
    for _ in range(3):
        site.settle(10.0)
        site.next_end()
    assert site.waited["acme/b"][0] <= 10.0


@pytest.mark.parametrize("capacity", [2, 3, 5])
def test_equal_repositories_share_the_time(capacity: int) -> None:
    """More busy repositories than permits: each gets its part (Jain's index over 0.95)."""
    repos = [f"org{i % 3}/r{i}" for i in range(7)]
    site = Site(Limits(capacity, 0.5), *repos)
    endless(site, 500, 4, 10.0)
    shares = [site.seconds.get(repo, 0.0) for repo in repos]
    jain = sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))
    assert jain >= 0.95, shares


def test_endless_critical_work_starves_nobody() -> None:
    """Ageing brings a low job up to the top within half an hour; then its turn comes."""
    site = Site(Limits(2, 0.5), "acme/a", "acme/b", "beta/c")
    urgent = {"acme/a": "critical", "acme/b": "critical"}
    site.semaphores, waiting = (
        {r: s for r, s in site.semaphores.items() if r != "beta/c"},
        site.semaphores["beta/c"],
    )
    endless(site, 4, 3, 60.0, urgent)
    site.semaphores["beta/c"] = waiting
    site.ask("beta/c", "low")
    began = site.now
    while "beta/c" not in site.waited:
        for repo in ("acme/a", "acme/b"):
            while len(site.semaphores[repo].waiters) < 3:
                site.ask(repo, "critical")
        site.settle(60.0)
        site.next_end()
        assert site.now - began < 3 * 600 + 5 * 60, "starved"


def test_an_organization_at_its_limit_passes_on_inside_only() -> None:
    """A permit of another organization would be of no use to the waiter."""
    site = Site(Limits(6, 0.5, 3, orgs={"acme": 1}), "acme/a", "acme/b", "beta/c")
    endless(site, 100, 2, 60.0)  # long beside the margin, as jobs are
    assert site.seconds["acme/a"] == pytest.approx(site.seconds["acme/b"], rel=0.2)
    assert site.seconds["beta/c"] > 2 * site.seconds["acme/a"]


def test_a_calm_fleet_passes_nothing_on() -> None:
    """No waiter elsewhere, or none ahead: no word is spent."""
    demands = [
        Demand("acme/a", 1, [Waiting("normal", 3, NOW - 50)]),
        Demand("acme/b", 1, [Waiting("normal", 3, NOW - 55)]),
    ]
    snapshot = Snapshot(Limits(2, 0.5), 2, demands)
    goal = allocation(snapshot, NOW)
    assert goal.allotments == {"acme/a": 1, "acme/b": 1}
    assert hand_over(snapshot, goal, NOW) == {}
    waiting = Demand("acme/c", 0, [Waiting("normal", 1, NOW - 45)])
    snapshot = Snapshot(Limits(2, 0.5), 2, [*demands, waiting])
    assert hand_over(snapshot, allocation(snapshot, NOW), NOW) == {}
    older = Demand("acme/c", 0, [Waiting("normal", 1, NOW - 70)])
    snapshot = Snapshot(Limits(2, 0.5), 2, [*demands, older])
    assert hand_over(snapshot, allocation(snapshot, NOW), NOW) == {"acme/a": 1}


def test_nobody_passes_on_more_than_he_has() -> None:
    """Whatever the demands: at most what is in use, and only where waiters are left elsewhere."""
    chance = random.Random(5)
    levels = ("critical", "high", "normal", "low")
    for _ in range(500):
        demands = [
            Demand(
                f"org{i % 2}/r{i}",
                chance.randrange(3),
                [
                    Waiting(level, chance.randrange(1, 3), NOW - chance.randrange(2000))
                    for level in chance.sample(levels, chance.randrange(3))
                ],
            )
            for i in range(chance.randrange(1, 7))
        ]
        limits = Limits(chance.randrange(1, 8), 0.5, chance.randrange(1, 4), orgs={"org0": 2})
        snapshot = Snapshot(limits, limits.max_runners, demands)
        goal = allocation(snapshot, NOW)
        for repo, n in hand_over(snapshot, goal, NOW).items():
            (demand,) = (d for d in demands if d.repo == repo)
            assert 0 < n <= demand.in_use
            assert demand.waiting, "what has no waiters regrants nothing"
