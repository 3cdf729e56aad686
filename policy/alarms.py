"""The alarms: what is wrong, from where on, for how long, and what to do.

One list for CloudWatch (`penstock setup`) and, compared by a test, deploy/prometheus/alerts.yml.
Missing data is dealt with on purpose, each time for the reason that stands there. Sources: AWS,
"Configuring how CloudWatch alarms treat missing data" and "Using math expressions".
"""

import math
from dataclasses import dataclass
from typing import Literal

from policy.launches import MIN_SAMPLES
from policy.metrics import BY_CLOUDWATCH, DIMENSIONS
from policy.thresholds import Thresholds

REJECTED_PERCENT = 10.0
BUDGET_PERCENT = 10.0
MINUTE = 60  # seconds

Comparison = Literal["GreaterThanThreshold", "LessThanThreshold", "GreaterThanOrEqualToThreshold"]
Missing = Literal["breaching", "notBreaching", "ignore", "missing"]
Statistic = Literal["Maximum", "Minimum", "Sum"]


@dataclass(frozen=True)
class Measure:
    """A metric of CloudWatch's under a statistic, with its dimensions."""

    metric: str
    statistic: Statistic
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Alarm:
    """One alarm. `expression` over `measures`, by the ids that they have there; or one measure.

    It must hold for `periods` in a row, of `over` seconds each (more if metrics are told less
    often). `live` is the metric with which Prometheus compares
    where the threshold is an operator's to change; CloudWatch has the configuration's.
    """

    name: str
    what: str
    todo: str
    measures: tuple[tuple[str, Measure], ...]
    comparison: Comparison
    threshold: float
    periods: int
    missing: Missing
    because: str
    expression: str = ""
    live: str = ""
    over: int = MINUTE

    @property
    def description(self) -> str:
        """What CloudWatch shows with it."""
        return f"{self.what} {self.todo} (docs/metrics.md)"

    @property
    def minutes(self) -> int:
        """How long it must last, as Prometheus' `for`: what is measured over longer has lasted."""
        return self.periods if self.over == MINUTE else 0

    def period(self, told: int) -> int:
        """A period in seconds, where metrics are told every so many seconds.

        In a shorter one than that there would be none at times, and no alarm would ever hold.
        """
        return max(self.over, period_of(told))


def period_of(seconds: int) -> int:
    """The shortest period in which metrics told every so many seconds are looked at, in minutes.

    In seconds, as CloudWatch wants it.
    """
    return MINUTE * max(1, math.ceil(seconds / MINUTE))


def alarms(thresholds: Thresholds) -> tuple[Alarm, ...]:
    """All six."""
    return (
        Alarm(
            "high-queue-depth",
            "Too many jobs wait for a permit.",
            "See which repositories wait (penstock status) and whether the capacity is lowered;"
            " then raise limits or add capacity.",
            (_one("QueueDepth", "Maximum"),),
            "GreaterThanThreshold",
            float(thresholds.max_queue_depth),
            5,
            "ignore",
            "a queue is not shorter because nobody tells of it: the state stays as it was",
            live="penstock_fleet_max_queue_depth",
        ),
        Alarm(
            "high-rejection-rate",
            "Too many job events are answered with 429 or 503.",
            "Look at the causes (Refusals by Cause, GET /admin/status); the recovery pays them"
            " once there is room.",
            (
                ("refused", Measure("Refusals", "Sum")),
                ("accepted", Measure("Webhooks", "Sum", ((DIMENSIONS["outcome"], "accepted"),))),
            ),
            "GreaterThanThreshold",
            REJECTED_PERCENT,
            1,
            "notBreaching",
            "minutes without an event refuse nothing",
            # A handful of events makes no rate: so it is of five minutes.
            over=5 * MINUTE,
            expression=(
                f"IF(FILL(refused,0)+FILL(accepted,0)>={MIN_SAMPLES},"
                "100*FILL(refused,0)/(FILL(refused,0)+FILL(accepted,0)),0)"
            ),
        ),
        Alarm(
            "draining-active",
            "The fleet drains: it takes no new jobs.",
            "If that is not meant, penstock resume; penstock drain --wait shows how far it is.",
            (_one("Mode", "Maximum", ((DIMENSIONS["mode"], "draining"),)),),
            "GreaterThanOrEqualToThreshold",
            1.0,
            1,
            "ignore",
            "workers are often stopped during a drain: it goes on until somebody says otherwise",
        ),
        Alarm(
            "error-rate",
            "Too many launches of runners fail.",
            "The worker's log names the errors; penstock doctor looks for their cause. The"
            " capacity is halved until launches are well again.",
            (_one("ErrorRate", "Maximum"), ("samples", Measure("RecentLaunches", "Maximum"))),
            "GreaterThanThreshold",
            thresholds.max_error_rate,
            3,
            "ignore",
            "whoever would tell may be what failed",
            expression=f"IF(samples>={MIN_SAMPLES},value,0)",
            live="penstock_fleet_max_error_rate",
        ),
        Alarm(
            "github-budget-low",
            "GitHub's hourly limit of an identity is nearly used up.",
            "See which (GitHubBudget by Identity) and what else calls with its credentials; an App"
            " of its own has a limit of its own.",
            (_one("GitHubBudgetLowest", "Minimum"),),
            "LessThanThreshold",
            BUDGET_PERCENT,
            3,
            "notBreaching",
            "who does not run does not call, and the limit is whole again within the hour",
        ),
        Alarm(
            "temporal-unreachable",
            "No worker reaches Temporal, or no worker runs: nothing is served.",
            "See whether workers run and Temporal does (penstock doctor); webhooks are refused"
            " meanwhile, and paid later.",
            (_one("TemporalReachable", "Maximum"),),
            "LessThanThreshold",
            1.0,
            3,
            "breaching",
            "silence is what it is to hear: a worker that is gone tells nothing",
        ),
    )


def _one(
    metric: str, statistic: Statistic, dimensions: tuple[tuple[str, str], ...] = ()
) -> tuple[str, Measure]:
    return "value", Measure(BY_CLOUDWATCH[metric].cloudwatch, statistic, dimensions)
