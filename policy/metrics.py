"""Every metric there is: name, kind, unit, labels, and what it means.

Prometheus' exposition, CloudWatch, the rules of deploy/, the dashboards and docs/metrics.md all
take names from here, so that none of them can name what nobody measures. A counter's name is
without the `_total` that Prometheus' exposition adds.

`cloudwatch` is the metric's name there; one without is not published: each costs money for each
set of values that its labels take. No label takes its value from a payload. `penstock_repo_…`,
`penstock_org_…` and what is told by identity have as many values as there are repositories and
owners: on CloudWatch only the busiest are told, the rest as one (policy/figures.py).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "distribution"]
# Units as CloudWatch has them; "None" is a part of one, or a flag.
Unit = Literal["Count", "Seconds", "Percent", "None"]


@dataclass(frozen=True)
class Family:
    """One metric. `total`: on CloudWatch its sum over all labels is told too, also when 0."""

    name: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()
    cloudwatch: str = ""
    total: bool = False

    @property
    def exposed(self) -> tuple[str, ...]:
        """Its names in Prometheus' exposition."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "distribution":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


GATEWAY = (
    Family(
        "penstock_gateway_webhooks",
        "counter",
        "Count",
        "Webhook deliveries by what became of them.",
        ("outcome",),
        "Webhooks",
    ),
    Family(
        "penstock_gateway_refusals",
        "counter",
        "Count",
        "Job events answered with 429 or 503, by cause; each is a debt to be paid later.",
        ("cause",),
        "Refusals",
        total=True,
    ),
    Family(
        "penstock_gateway_dead_letters_unkept",
        "counter",
        "Count",
        "Refusals whose dead letter could not be written; GitHub's delivery log has them.",
        cloudwatch="DeadLettersUnkept",
    ),
    Family(
        "penstock_gateway_webhook_seconds",
        "distribution",
        "Seconds",
        "Time from a webhook's arrival to its answer.",
    ),
    Family(
        "penstock_gateway_connections",
        "gauge",
        "Count",
        "Open connections: waiting for a whole request, idle after one, unread, answering.",
        ("state",),
    ),
    Family(
        "penstock_gateway_turned_away",
        "counter",
        "Count",
        "Requests and connections that were not served, by why (docs/gateway.md).",
        ("why",),
    ),
    Family(
        "penstock_gateway_pressure",
        "gauge",
        "None",
        "Whether a trigger of back-pressure is up, as this gateway sees it: 1 or 0.",
        ("trigger",),
    ),
    Family(
        "penstock_gateway_pressure_changes",
        "counter",
        "Count",
        "How often a trigger of back-pressure went up or down.",
        ("trigger",),
    ),
)

GITHUB = (
    Family(
        "penstock_github_rate_limit",
        "gauge",
        "Count",
        "Calls that GitHub allows in an hour.",
        ("identity", "resource"),
    ),
    Family(
        "penstock_github_rate_limit_remaining",
        "gauge",
        "Count",
        "Calls left of them, by GitHub's last answer.",
        ("identity", "resource"),
    ),
    Family(
        "penstock_github_rate_limit_reset_seconds",
        "gauge",
        "Seconds",
        "When they are all there again, epoch seconds.",
        ("identity", "resource"),
    ),
    Family(
        "penstock_github_budget_percent",
        "gauge",
        "Percent",
        "What is left of an identity's scarcest limit; 100 once its hour is over.",
        ("identity",),
        "GitHubBudget",
    ),
    Family(
        "penstock_github_budget_lowest_percent",
        "gauge",
        "Percent",
        "The least of what any identity has left; 100 before the first call.",
        cloudwatch="GitHubBudgetLowest",
    ),
    Family(
        "penstock_github_calls",
        "counter",
        "Count",
        "Calls to GitHub, by what became of them.",
        ("result",),
        "GitHubCalls",
    ),
    Family(
        "penstock_github_points",
        "counter",
        "Count",
        "Points of GitHub's secondary limit spent: 1 for a read, 5 for a write.",
        cloudwatch="GitHubPoints",
    ),
)

WORKER = (
    Family(
        "penstock_launches",
        "counter",
        "Count",
        "Launches of runners by this worker, by how they went: ok or failed.",
        ("result",),
        "Launches",
    ),
    Family(
        "penstock_launch_seconds",
        "distribution",
        "Seconds",
        "Time from a job's permit, or from the order of a further launch, to its runner's start.",
        cloudwatch="LaunchLatency",
    ),
    Family(
        "penstock_token_lookups",
        "counter",
        "Count",
        "Times a credential of GitHub's was wanted, by kind: at hand (hit) or asked for (miss).",
        ("kind", "result"),
        "TokenLookups",
    ),
    Family(
        "penstock_temporal_up",
        "gauge",
        "None",
        "Whether Temporal answered this worker when it was last asked: 1 or 0.",
        cloudwatch="TemporalReachable",
    ),
    Family(
        "penstock_fleet_up",
        "gauge",
        "None",
        "Whether the Fleet answered; without an answer all that follows is missing.",
        cloudwatch="FleetAnswers",
    ),
)

FLEET = (
    Family(
        "penstock_fleet_running",
        "gauge",
        "Count",
        "Permits in use in the whole fleet.",
        cloudwatch="Running",
    ),
    Family(
        "penstock_fleet_waiting",
        "gauge",
        "Count",
        "Jobs that wait for a permit: the depth of the queue.",
        cloudwatch="QueueDepth",
    ),
    Family(
        "penstock_fleet_oldest_wait_seconds",
        "gauge",
        "Seconds",
        "How long the oldest waiting job has waited.",
        cloudwatch="OldestWait",
    ),
    Family(
        "penstock_fleet_capacity",
        "gauge",
        "Count",
        "Permits that may be out now: max_runners, or less under back-pressure; 0 in maintenance.",
        cloudwatch="EffectiveCapacity",
    ),
    Family(
        "penstock_fleet_max_runners",
        "gauge",
        "Count",
        "The limit max_runners, as it holds now.",
        cloudwatch="MaxRunners",
    ),
    Family(
        "penstock_fleet_max_queue_depth",
        "gauge",
        "Count",
        "The threshold max_queue_depth, as it holds now.",
    ),
    Family(
        "penstock_fleet_max_error_rate",
        "gauge",
        "None",
        "The threshold max_error_rate, as it holds now: a part of one.",
    ),
    Family(
        "penstock_fleet_mode",
        "gauge",
        "None",
        "1 for the mode that the fleet is in, 0 for the others.",
        ("mode",),
        "Mode",
    ),
    Family(
        "penstock_fleet_error_rate",
        "gauge",
        "None",
        "The part of the last five minutes' launches, of all workers, that failed.",
        cloudwatch="ErrorRate",
    ),
    Family(
        "penstock_fleet_recent_launches",
        "gauge",
        "Count",
        "How many launches that is; a rate of fewer than 20 says nothing.",
        cloudwatch="RecentLaunches",
    ),
    Family(
        "penstock_fleet_cooling_orgs",
        "gauge",
        "Count",
        "Organizations that GitHub keeps waiting, and that are granted nothing meanwhile.",
        cloudwatch="CoolingOrganizations",
    ),
    Family(
        "penstock_fleet_drain_estimate_seconds",
        "gauge",
        "Seconds",
        "Time until nothing runs or waits, if nothing new came: p50 and p90 of the estimate.",
        ("estimate",),
        "DrainEstimate",
    ),
    Family(
        "penstock_fleet_last_drain_seconds",
        "gauge",
        "Seconds",
        "How long the last drain took from its order to drained; missing before the first.",
        cloudwatch="LastDrain",
    ),
    Family(
        "penstock_repo_running",
        "gauge",
        "Count",
        "Permits in use of one repository.",
        ("repo",),
        "RepositoryRunning",
    ),
    Family(
        "penstock_repo_waiting",
        "gauge",
        "Count",
        "Jobs of one repository that wait for a permit.",
        ("repo",),
        "RepositoryWaiting",
    ),
    Family(
        "penstock_repo_limit",
        "gauge",
        "Count",
        "The most permits that one repository may have.",
        ("repo",),
        "RepositoryLimit",
    ),
    Family(
        "penstock_org_running",
        "gauge",
        "Count",
        "Permits in use of one organization.",
        ("org",),
        "OrganizationRunning",
    ),
    Family(
        "penstock_org_waiting",
        "gauge",
        "Count",
        "Jobs of one organization that wait for a permit.",
        ("org",),
        "OrganizationWaiting",
    ),
    Family(
        "penstock_org_limit",
        "gauge",
        "Count",
        "The most permits that one organization may have.",
        ("org",),
        "OrganizationLimit",
    ),
)

ALL = GATEWAY + GITHUB + WORKER + FLEET
BY_NAME = {family.name: family for family in ALL}
BY_CLOUDWATCH = {family.cloudwatch: family for family in ALL if family.cloudwatch}
# What a label is called on CloudWatch.
DIMENSIONS = {
    "outcome": "Outcome",
    "cause": "Cause",
    "identity": "Identity",
    "result": "Result",
    "kind": "Kind",
    "mode": "Mode",
    "estimate": "Estimate",
    "repo": "Repository",
    "org": "Organization",
}


def family(name: str) -> Family:
    """The metric of this name; KeyError if there is none."""
    return BY_NAME[name]
