"""What is known of the fleet and of a worker → figures: a metric, its labels' values, a number.

Pure, and the only place that makes them, so that Prometheus and CloudWatch cannot tell two
stories.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy import metrics
from policy.fleet import MODES
from policy.gate import Budget
from policy.limits import org_of

OTHER = "other"  # what is told of all that are not told one by one
FULL_PERCENT = 100.0
LEAST_SECONDS, MOST_SECONDS = 0.001, 9_900.0
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True)
class Figure:
    """One number of one metric; `labels` are values in the order of the family's labels."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """How often which value was seen, since the process began."""

    name: str
    counts: Mapping[float, int]

    @property
    def count(self) -> int:
        """How many values were seen."""
        return sum(self.counts.values())

    @property
    def sum(self) -> float:
        """All of them added up."""
        return math.fsum(value * number for value, number in self.counts.items())

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus wants it: how many were no more than each bound."""
        found = [
            (str(bound), float(sum(n for value, n in self.counts.items() if value <= bound)))
            for bound in BUCKETS
        ]
        return [*found, ("+Inf", float(self.count))]


def rounded(seconds: float) -> float:
    """A time to two digits, within bounds: so that a process that lives long keeps few of them."""
    inside = min(MOST_SECONDS, max(LEAST_SECONDS, seconds))
    return float(f"{inside:.2g}")


@dataclass(frozen=True)
class Worker:
    """What one worker process has counted."""

    launches: Mapping[str, int] = field(default_factory=dict[str, int])  # ok, failed
    launch_seconds: Mapping[float, int] = field(default_factory=dict[float, int])
    lookups: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    calls: Mapping[str, int] = field(default_factory=dict[str, int])
    points: int = 0
    budgets: Mapping[tuple[str, str], Budget] = field(
        default_factory=dict[tuple[str, str], Budget]
    )


def of_worker(worker: Worker, now: float) -> list[Figure | Distribution]:
    """Its counters, and what is left at GitHub as it last heard."""
    found: list[Figure | Distribution] = []
    for result in ("ok", "failed"):
        found.append(Figure("penstock_launches", worker.launches.get(result, 0), (result,)))
    found.append(Distribution("penstock_launch_seconds", dict(worker.launch_seconds)))
    for kind, result in sorted(worker.lookups):
        number = worker.lookups[kind, result]
        found.append(Figure("penstock_token_lookups", number, (kind, result)))
    for result in sorted(worker.calls):
        found.append(Figure("penstock_github_calls", worker.calls[result], (result,)))
    found.append(Figure("penstock_github_points", worker.points))
    return [*found, *_of_budgets(worker.budgets, now)]


def of_temporal(*, reachable: bool, fleet: bool) -> list[Figure]:
    """Whether who is asked answers."""
    return [Figure("penstock_temporal_up", reachable), Figure("penstock_fleet_up", fleet)]


def of_fleet(told: Mapping[str, Any], exact: Mapping[str, int] | None = None) -> list[Figure]:
    """The Fleet's figures, from its answer `gauges`.

    The Fleet hears of permits exactly and of waiters roughly (policy/semaphore.py, report_due).
    `exact` are the waiters of repositories whose semaphores were asked: their word counts.
    """
    known: Mapping[str, int] = exact or {}
    running: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    caps: dict[str, int] = {}
    repos: list[Figure] = []
    oldest = 0.0
    total = int(told["waiting"])
    for repo, in_use, roughly, cap, org_cap, waited in told["repos"]:
        waits = known[repo] if repo in known else int(roughly)
        total += waits - roughly
        oldest = max(oldest, waited)
        org = org_of(repo)
        running[org] += in_use
        waiting[org] += waits
        caps[org] = org_cap
        repos.append(Figure("penstock_repo_running", in_use, (repo,)))
        repos.append(Figure("penstock_repo_waiting", waits, (repo,)))
        repos.append(Figure("penstock_repo_limit", cap, (repo,)))
    drain = told["drain"]
    found = [
        Figure("penstock_fleet_running", told["running"]),
        Figure("penstock_fleet_waiting", total),
        Figure("penstock_fleet_oldest_wait_seconds", oldest),
        Figure("penstock_fleet_capacity", told["capacity"]),
        Figure("penstock_fleet_max_runners", told["max_runners"]),
        Figure("penstock_fleet_max_queue_depth", told["max_queue_depth"]),
        Figure("penstock_fleet_max_error_rate", told["max_error_rate"]),
        *(Figure("penstock_fleet_mode", mode == told["mode"], (mode,)) for mode in MODES),
        Figure("penstock_fleet_error_rate", told["error_rate"]),
        Figure("penstock_fleet_recent_launches", told["launches"]),
        Figure("penstock_fleet_cooling_orgs", told["cooling"]),
        *(Figure("penstock_fleet_drain_estimate_seconds", drain[q], (q,)) for q in ("p50", "p90")),
    ]
    if told["last_drain_seconds"]:
        found.append(Figure("penstock_fleet_last_drain_seconds", told["last_drain_seconds"]))
    for org in sorted(caps):
        found.append(Figure("penstock_org_running", running[org], (org,)))
        found.append(Figure("penstock_org_waiting", waiting[org], (org,)))
        found.append(Figure("penstock_org_limit", caps[org], (org,)))
    return [*found, *repos]


def busiest(told: Mapping[str, Any], most: int) -> list[str]:
    """The repositories with waiters, the most first: whose semaphores are worth asking."""
    rows = sorted((row for row in told["repos"] if row[2]), key=lambda row: (-row[2], row[0]))
    return [row[0] for row in rows[:most]]


def bounded(figures: Iterable[Figure | Distribution], most: int) -> list[Figure | Distribution]:
    """At most so many repositories, organizations and identities; the rest as one, `other`.

    Those with the most running and waiting are told one by one, ties by name. Identities with the
    least left are; there is no sum of the others' parts, so these are left out.
    """
    every = list(figures)
    plain = [f for f in every if isinstance(f, Figure)]
    chosen = {
        "repo": _chosen(plain, "penstock_repo_limit", _load(plain, "penstock_repo"), most),
        "org": _chosen(plain, "penstock_org_limit", _load(plain, "penstock_org"), most),
        "identity": _chosen(plain, "penstock_github_budget_percent", _scarcity(plain), most),
    }
    found: list[Figure | Distribution] = []
    others: dict[str, float] = {}
    for figure in every:
        of = None
        if isinstance(figure, Figure):
            of = next(iter(metrics.family(figure.name).labels), None)
        if not isinstance(figure, Figure) or of not in chosen or figure.labels[0] in chosen[of]:
            found.append(figure)
        elif of != "identity":
            others[figure.name] = others.get(figure.name, 0.0) + figure.value
    return [*found, *(Figure(name, value, (OTHER,)) for name, value in others.items())]


def _chosen(figures: list[Figure], of: str, load: Mapping[str, float], most: int) -> set[str]:
    names = [f.labels[0] for f in figures if f.name == of]
    return set(sorted(names, key=lambda name: (-load.get(name, 0.0), name))[:most])


def _load(figures: list[Figure], prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for figure in figures:
        if figure.name in (f"{prefix}_running", f"{prefix}_waiting"):
            found[figure.labels[0]] = found.get(figure.labels[0], 0.0) + figure.value
    return found


def _scarcity(figures: list[Figure]) -> dict[str, float]:
    return {f.labels[0]: -f.value for f in figures if f.name == "penstock_github_budget_percent"}


def _of_budgets(budgets: Mapping[tuple[str, str], Budget], now: float) -> list[Figure]:
    found: list[Figure] = []
    scarcest: dict[str, float] = {}
    for (identity, resource), budget in sorted(budgets.items()):
        where = (identity, resource)
        found.append(Figure("penstock_github_rate_limit", budget.limit, where))
        found.append(Figure("penstock_github_rate_limit_remaining", budget.remaining, where))
        found.append(Figure("penstock_github_rate_limit_reset_seconds", budget.reset, where))
        over = now >= budget.reset or budget.limit <= 0
        left = FULL_PERCENT if over else 100.0 * budget.remaining / budget.limit
        scarcest[identity] = min(left, scarcest.get(identity, FULL_PERCENT))
    for identity, left in scarcest.items():
        found.append(Figure("penstock_github_budget_percent", left, (identity,)))
    lowest = min(scarcest.values(), default=FULL_PERCENT)
    return [*found, Figure("penstock_github_budget_lowest_percent", lowest)]
