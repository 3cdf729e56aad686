"""A normal working day in virtual time, with 256-job matrices: who is refused, is anything lost?

The decisions are the product's own (policy/): pressure at the gateway, which looks at the Fleet
once a second; semaphores and the Fleet; what is refused comes back by the recovery loop, every two
minutes, as far as there is room.
"""

import heapq
import itertools
import math
import random
from dataclasses import dataclass, field, replace

from benchmarks.virtual import START, VirtualSite
from policy import fleet, pressure, recovery
from policy.launches import Tally
from policy.limits import Limits
from policy.pressure import NewJob, Pressure, Signals

HOUR = 3600.0
DAY = 24 * HOUR
RUNNERS = 40
ORGS, REPOS = 6, 30
JOBS_A_DAY = 2500  # beside the matrices: a quarter of what the runners can do, half at the peak
MATRIX = 256  # jobs: GitHub's most in one run
MATRICES = 4
MEDIAN_SECONDS, SIGMA = 180.0, 1.2  # of a job's life (policy/lives.py has the source)
MATRIX_MEDIAN_SECONDS = 60.0
PRIORITIES = ("high", "normal", "low")
SHARES = (15, 80, 5)  # percent: default branches and releases, branches, experiments
RECOVERY_SECONDS = 120.0
LOOK_SECONDS = 1.0


@dataclass
class Day:
    """What became of the day's jobs."""

    jobs: int = 0
    refused: int = 0  # deliveries answered with 429
    lost: int = 0
    transitions: dict[str, int] = field(default_factory=dict[str, int])
    longest_queue: int = 0

    @property
    def refused_part(self) -> float:
        """Of all `queued` deliveries; begins and ends, which are never refused, do not count."""
        return self.refused / (self.jobs + self.refused)


@dataclass(order=True)
class _Arrival:
    at: float
    number: int
    repo: str = field(compare=False)
    priority: str = field(compare=False)
    of_matrix: bool = field(compare=False, default=False)

    @property
    def job(self) -> str:
        """Its name, which tells how long it runs."""
        return f"{'matrix' if self.of_matrix else 'job'} {self.repo}#{self.number}"


class _Gateway:
    """Pressure as api/pressure.py keeps it: a look a second, and what came since."""

    def __init__(self, site: VirtualSite, day: Day) -> None:
        self._site = site
        self._day = day
        self._levels = Pressure()
        self._signals = Signals()
        self._looked_at = 0.0
        self._since = 0

    def takes(self, arrival: _Arrival) -> bool:
        """Whether the job is accepted; then it asks for its permit."""
        site, thresholds = self._site, self._site.fleet.limits.pressure
        if site.now - self._looked_at >= LOOK_SECONDS:
            told = fleet.overview(site.fleet, site.now)
            self._looked_at, self._since = site.now, 0
            self._signals = Signals(
                told["running"],
                told["waiting"],
                told["max_runners"],
                told["completions_per_second"],
                Tally(),
            )
        signals = replace(self._signals, waiting=self.waiting)
        self._levels = pressure.observe(self._levels, signals, thresholds, site.now)
        for trigger in self._levels.changed:
            self._day.transitions[trigger] = self._day.transitions.get(trigger, 0) + 1
        job = NewJob(arrival.repo.split("/")[0], arrival.priority)
        if pressure.refusal(self._levels, signals, thresholds, job, site.now):
            self._day.refused += 1
            return False
        self._since += 1
        self._day.longest_queue = max(self._day.longest_queue, self.waiting)
        site.ask(arrival.repo, arrival.priority, arrival.job)
        site.settle()
        return True

    @property
    def waiting(self) -> int:
        """The depth as this gateway sees it."""
        return self._signals.waiting + self._since


def normal_day(seed: int = 7) -> Day:
    """One day under the strategy `queue` with the usual thresholds."""
    dice = random.Random(seed)

    def lasts(job: str) -> float:
        median = MATRIX_MEDIAN_SECONDS if job.startswith("matrix") else MEDIAN_SECONDS
        return min(5 * HOUR, dice.lognormvariate(math.log(median), SIGMA))

    site = VirtualSite(Limits(RUNNERS, 0.5, 10), lasts)
    day = Day()
    gateway = _Gateway(site, day)
    arrivals = _arrivals(dice)
    day.jobs = len(arrivals)
    debts: list[_Arrival] = []
    pays_at = START + RECOVERY_SECONDS
    while arrivals or debts or site.ends:
        at = arrivals[0].at if arrivals else math.inf
        due = pays_at if debts else math.inf
        site.go_on(min(at, due))
        if arrivals and site.now >= at:
            arrival = heapq.heappop(arrivals)
            if not gateway.takes(arrival):
                debts.append(arrival)
        elif site.now >= due:
            debts = _pay(gateway, debts, site)
        if site.now >= pays_at:
            pays_at = site.now + RECOVERY_SECONDS
        site.settle()
    day.lost = day.jobs - site.completed
    return day


def _pay(gateway: _Gateway, debts: list[_Arrival], site: VirtualSite) -> list[_Arrival]:
    """The oldest first, as far as there is room; those left."""
    told = {**fleet.overview(site.fleet, site.now), "waiting": gateway.waiting}
    room = recovery.room(told)
    return [debt for i, debt in enumerate(debts) if i >= room or not gateway.takes(debt)]


def _arrivals(dice: random.Random) -> list[_Arrival]:
    """Few at night, most from nine to five; matrices in the day's busy hours."""
    numbers = itertools.count()
    repos = [f"org{i % ORGS}/repo{i}" for i in range(REPOS)]
    made: list[_Arrival] = []
    while len(made) < JOBS_A_DAY:
        at = dice.uniform(0, DAY)
        if dice.random() > _busy(at / HOUR):
            continue
        (priority,) = dice.choices(PRIORITIES, SHARES)
        made.append(_Arrival(START + at, next(numbers), dice.choice(repos), priority))
    for hour in dice.sample(range(8, 18), MATRICES):
        began, repo = START + (hour + dice.random()) * HOUR, dice.choice(repos)
        made += [
            _Arrival(began + 0.04 * i, next(numbers), repo, "normal", of_matrix=True)
            for i in range(MATRIX)
        ]
    heapq.heapify(made)
    return made


def _busy(hour: float) -> float:
    """How busy an hour is beside the busiest."""
    return 0.15 + 0.85 * math.exp(-(((hour - 13) / 4.5) ** 2))
