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


def waits(level: str, n: int = 9, seconds: float = 60.0) -> Waiting:
    """So many wait in a level, the oldest of them so long."""
    return Waiting(level, n, NOW - seconds)


def passed_on(limits: Limits, *demands: Demand, capacity: int | None = None) -> dict[str, int]:
    """What these repositories pass on; the fleet has all its runners if nothing else is said."""
    runners = limits.max_runners if capacity is None else capacity
    snapshot = Snapshot(limits, runners, list(demands))
    return hand_over(snapshot, allocation(snapshot, NOW), NOW)


@pytest.mark.parametrize("held", range(1, 9))
def test_a_newcomer_is_brought_up_to_half_and_no_further(held: int) -> None:
    """Equal repositories, one of which has all: each hand-over counts for the next one."""
    both = [Demand("acme/a", held, [waits("normal")]), Demand("acme/b", 0, [waits("normal")])]
    assert passed_on(Limits(held, 1.0, held), *both).get("acme/a", 0) == held // 2


@pytest.mark.parametrize(
    ("weights", "passed"),
    [({"acme/b": 2.0}, 4), ({"acme/a": 2.0}, 2), ({"acme/a": 3.0, "acme/b": 3.0}, 3)],
)
def test_shares_are_levelled_by_weight(weights: dict[str, float], passed: int) -> None:
    """Twice the weight, twice the permits: six are divided four to two, two to four, or even."""
    both = [Demand("acme/a", 6, [waits("normal")]), Demand("acme/b", 0, [waits("normal")])]
    assert passed_on(Limits(6, 1.0, 6, weights=weights), *both) == {"acme/a": passed}


@pytest.mark.parametrize(
    ("other", "least", "weights"),
    [
        (Demand("acme/a", 1, [waits("normal")]), Demand("acme/b", 1, [waits("low")]), {}),
        (Demand("acme/a", 1, [waits("low")]), Demand("acme/b", 2, [waits("low")]), {}),
        (
            Demand("acme/a", 2, [waits("low")]),
            Demand("acme/b", 1, [waits("low")]),
            {"acme/a": 4.0},
        ),
        (
            Demand("acme/a", 1, [waits("low", seconds=1)], 20.0),
            Demand("acme/b", 1, [waits("low", seconds=99)], 30.0),
            {},
        ),
        (
            Demand("acme/a", 2, [waits("low")], 50.0),
            Demand("acme/b", 1, [waits("low")], 30.0),
            {"acme/a": 2.0},
        ),
        (
            Demand("acme/a", 1, [waits("low", seconds=99)]),
            Demand("acme/b", 1, [waits("low", seconds=1)]),
            {},
        ),
        (
            Demand("acme/a", 1, [waits("low"), waits("normal", 1)]),
            Demand("acme/b", 1, [waits("low"), waits("low", 1)]),
            {},
        ),
    ],
    ids=["level", "share", "weighted-share", "use", "weighted-use", "age", "first-waiter"],
)
def test_whoever_is_last_in_line_gives(
    other: Demand, least: Demand, weights: dict[str, float]
) -> None:
    """Of two that could: the lower level, the larger share, the more use, the younger waiter."""
    runners = other.in_use + least.in_use
    urgent = Demand("beta/c", 0, [waits("critical", 1)])
    for order in ([other, least, urgent], [urgent, least, other]):
        assert passed_on(Limits(runners, 1.0, 9, weights=weights), *order) == {least.repo: 1}


@pytest.mark.parametrize(
    ("used", "since", "passes"),
    [
        ((0.0, 0.0), (50, 60), False),
        ((0.0, 0.0), (50, 61), True),
        ((10.0, 0.0), (60, 50), False),
        ((10.5, 0.0), (60, 50), True),
        ((30.5, 20.0), (60, 50), True),
        ((25.0, 20.0), (60, 50), False),
        ((10.0, 0.0), (50, 61), True),
        ((0.0, 10.5), (50, 90), False),
    ],
)
def test_equals_pass_nothing_on_within_the_margins(
    used: tuple[float, float], since: tuple[float, float], passes: bool
) -> None:
    """More than ten permit-seconds less used, else more than ten seconds longer in line."""
    holder, other = (
        Demand(repo, held, [waits("normal", seconds=seconds)], recent)
        for repo, held, seconds, recent in zip("ab", (1, 0), since, used, strict=True)
    )
    assert passed_on(Limits(1, 1.0), holder, other) == ({"a": 1} if passes else {})


def test_recent_use_counts_by_weight() -> None:
    """Forty permit-seconds of weight four are ten: within the margin of nothing at all."""
    limits = Limits(4, 1.0, 4, weights={"acme/a": 4.0})
    older = Demand("acme/b", 0, [waits("normal", seconds=60)])
    assert passed_on(limits, Demand("acme/a", 4, [waits("normal")], 40.0), older) == {}
    assert passed_on(limits, Demand("acme/a", 4, [waits("normal")], 42.0), older) == {"acme/a": 1}


@pytest.mark.parametrize(
    ("level", "passed"),
    [
        ("critical", {"acme/a": 1}),
        ("high", {"acme/a": 1}),
        ("normal", {"acme/b": 2}),
        ("low", {"acme/b": 5}),
    ],
)
def test_a_higher_level_is_ahead_whatever_the_shares(level: str, passed: dict[str, int]) -> None:
    """Who has most takes more for one urgent job, and gives it all away for a low one."""
    few = Demand("acme/a", 1, [waits("normal", seconds=1)])
    most = Demand("acme/b", 5, [waits(level, 1, seconds=99)], 900.0)
    assert passed_on(Limits(6, 1.0, 6), few, most) == passed


def test_as_many_are_passed_on_as_waiters_are_ahead() -> None:
    """The first of a line may be ahead and the next one not; a line ends with its last waiter."""
    limits = Limits(4, 1.0, 4)
    holder = Demand("acme/a", 4, [waits("normal")])
    mixed = [waits("critical", 1), waits("high", 2), waits("low", 9)]
    assert passed_on(limits, holder, Demand("acme/b", 0, mixed)) == {"acme/a": 3}
    several = [Demand(f"acme/{name}", 0, [waits("high", 1)]) for name in "bcd"]
    assert passed_on(limits, holder, *several) == {"acme/a": 3}
    assert passed_on(limits, *several, holder) == {"acme/a": 3}


def test_nobody_takes_beyond_his_own_limit() -> None:
    """Up to the limit of that repository, which may be more or less than that of the others."""
    holder = Demand("acme/a", 6, [waits("low")])
    for cap in (0, 1, 3, 5):
        limits = Limits(6, 1.0, 2, {"acme/a": 6, "acme/b": cap})
        passed = passed_on(limits, holder, Demand("acme/b", 0, [waits("critical")]))
        assert passed.get("acme/a", 0) == cap
    limits = Limits(6, 1.0, 6, {"acme/b": 2})
    at_it = Demand("acme/b", 2, [waits("critical")])
    assert passed_on(limits, Demand("acme/a", 4, [waits("low")]), at_it) == {}


def test_the_last_permit_is_passed_on_once() -> None:
    """Who has nothing left gives nothing, however many are ahead of him."""
    holders = [Demand("acme/a", 1, [waits("low")]), Demand("acme/b", 1, [waits("normal")])]
    urgent = Demand("acme/c", 0, [waits("critical", 5)])
    assert passed_on(Limits(2, 1.0, 9), *holders, urgent) == {"acme/a": 1, "acme/b": 1}


def test_whoever_takes_does_not_give() -> None:
    """Its own next waiter is behind another's, but what it took was for its critical one."""
    demands = [
        Demand("acme/a", 1, [waits("critical", 1), waits("low", 1)]),
        Demand("acme/b", 3, [waits("low")]),
        Demand("acme/c", 0, [waits("normal", 1)]),
    ]
    assert passed_on(Limits(4, 1.0, 9), *demands) == {"acme/b": 2}


def test_what_the_fleet_has_just_given_is_not_passed_on() -> None:
    """It went to a critical waiter; that a low one stands behind it takes nothing away again."""
    demands = [
        Demand("acme/a", 0, [waits("critical", 1), waits("low", 1)]),
        Demand("acme/b", 0, [waits("normal", 1)]),
    ]
    assert passed_on(Limits(1, 1.0), *demands) == {}
    demands[0].in_use = 1
    assert passed_on(Limits(2, 1.0), *demands) == {}


def test_a_waiter_that_the_fleet_serves_is_ahead_of_nobody() -> None:
    """It has its permit; only those behind it are in line for another's."""
    holder = Demand("acme/a", 1, [waits("normal")])
    served = Demand("acme/b", 0, [waits("critical", 1), waits("low", 3)])
    assert passed_on(Limits(2, 1.0, 9), holder, served) == {}
    served.waiting[0].count = 2
    assert passed_on(Limits(2, 1.0, 9), holder, served) == {"acme/a": 1}


def test_whoever_waits_for_nothing_has_nothing_to_pass_on() -> None:
    """What comes back to it goes to the Fleet anyway."""
    idle = Demand("acme/a", 2)
    assert passed_on(Limits(2, 1.0), idle, Demand("acme/b", 0, [waits("critical")])) == {}


def test_whoever_has_more_than_the_fleet_can_carry_takes_nothing() -> None:
    """The capacity went down: what comes back to it is not given out again at all."""
    over = Demand("acme/a", 3, [waits("critical")])
    holder = Demand("acme/b", 1, [waits("low")])
    assert passed_on(Limits(9, 1.0, 9), over, holder, capacity=3) == {}


@pytest.mark.parametrize(
    ("cap", "newcomers", "passed"),
    [
        (1, 1, {}),
        (2, 1, {"beta/x": 1}),
        (2, 2, {"beta/x": 1}),
        (3, 2, {"beta/x": 2}),
        (3, 3, {"beta/x": 2}),
    ],
)
def test_an_organization_takes_from_others_up_to_its_limit(
    cap: int, newcomers: int, passed: dict[str, int]
) -> None:
    """Each permit taken fills it up; the one that acme has in use already counts."""
    critical = [Demand(f"acme/{i}", 0, [waits("critical", 1)]) for i in range(newcomers)]
    limits = Limits(6, 1.0, 9, orgs={"acme": cap})
    holders = [Demand("acme/a", 1), Demand("beta/x", 5, [waits("low")])]
    assert passed_on(limits, *holders, *critical) == passed


def test_what_the_fleet_gives_an_organization_fills_it_too() -> None:
    """One permit is free and acme's first waiter gets it: there is no room for the second."""
    limits = Limits(3, 1.0, 9, orgs={"acme": 1})
    holder = Demand("beta/x", 2, [waits("low")])
    demands = [Demand(f"acme/{name}", 0, [waits("critical", 1)]) for name in "ab"]
    assert passed_on(limits, holder, *demands) == {}
    limits.orgs["acme"] = 2
    assert passed_on(limits, holder, *demands) == {"beta/x": 1}


def test_inside_a_full_organization_a_permit_changes_hands_without_making_room() -> None:
    """Both of beta's newcomers take from beta, though gamma's waiters are further behind."""
    demands = [
        Demand("beta/x", 3, [waits("normal")]),
        Demand("beta/y", 0, [waits("high", 1)]),
        Demand("beta/z", 0, [waits("high", 1)]),
        Demand("gamma/w", 3, [waits("low")]),
    ]
    assert passed_on(Limits(6, 1.0, 9, orgs={"beta": 3}), *demands) == {"beta/x": 2}


def test_an_organization_that_gave_may_take_as_much_elsewhere() -> None:
    """One permit of beta's goes to acme: the room that leaves is added to what there was."""
    demands = [
        Demand("beta/idle", 1),
        Demand("beta/x", 1, [waits("low")]),
        Demand("acme/a", 0, [waits("critical", 1)]),
        Demand("beta/y", 0, [waits("high", 1)]),
        Demand("beta/z", 0, [waits("high", 1)]),
        Demand("gamma/w", 5, [waits("normal")]),
    ]
    limits = Limits(7, 1.0, 9, orgs={"beta": 3})
    assert passed_on(limits, *demands) == {"beta/x": 1, "gamma/w": 2}
    limits.orgs["beta"] = 2
    assert passed_on(limits, *demands) == {"beta/x": 1, "gamma/w": 1}


def test_who_is_stuck_in_a_full_organization_holds_up_nobody() -> None:
    """He is first in line and nobody of his own has anything to give: the next one takes."""
    demands = [
        Demand("acme/idle", 1),
        Demand("acme/a", 0, [waits("critical", 1)]),
        Demand("beta/x", 2, [waits("low")]),
        Demand("gamma/y", 0, [waits("high", 1)]),
    ]
    assert passed_on(Limits(3, 1.0, 9, orgs={"acme": 1}), *demands) == {"beta/x": 1}
