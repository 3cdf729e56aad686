"""When the fleet counts as overloaded, and which new jobs are refused then.

| trigger | strategy `queue` | strategy `reject` |
|---|---|---|
| `depth`: waiting > max_queue_depth | low → 429 | every new job → 429 |
| `flood`: waiting > 10 × max_queue_depth | every new job → 429 | every new job → 429 |
| `concurrency`: in use > max_concurrency_percent of max_runners | waits for its permit | 503 |
| `throttled`: GitHub refuses the organization | waits without permit | 429 until GitHub's time |
| `errors`: failed launches > max_error_rate | (the Fleet slows down) | the same, and low → 503 |

429 says: you are over, come back in so long. 503 says: the whole service is. Where both apply, 503
is the answer; the longest time counts. A trigger goes up above its threshold and down below 0.7 of
it, and stays for a while either way, so that a load around the threshold does not make it flap
(hysteresis and dwell: Kubernetes' horizontal autoscaler, Netflix' load shedding). `throttled` is
no level of ours: it lasts as long as GitHub says. What frees capacity is never asked about here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from policy.launches import MIN_SAMPLES, Tally
from policy.thresholds import Thresholds

TRIGGERS = ("depth", "flood", "concurrency", "errors")
LEAVES_AT = 0.7  # of the threshold
DWELL_DOWN_SECONDS = 60.0  # a trigger that went up stays up for so long
DWELL_UP_SECONDS = 30.0  # one that went down stays down, unless the load is beyond all bounds
FLOOD = 10  # times max_queue_depth
HEALTHY_SECONDS = 60.0  # what a launch error rate needs at least to get better
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class Signals:
    """What is measured. `waiting` includes what was accepted since the Fleet was asked."""

    running: int = 0
    waiting: int = 0
    max_runners: int = 1
    completions_per_second: float = 0.0  # at which the backlog shrinks; 0 if nobody knows
    launches: Tally = field(default_factory=Tally)  # of the last five minutes
    cooling: Mapping[str, float] = field(default_factory=dict[str, float])  # org → until


@dataclass(frozen=True)
class Level:
    """Whether a trigger is up, and since when (epoch seconds)."""

    up: bool = False
    since: float = -math.inf


@dataclass(frozen=True)
class Pressure:
    """Every trigger's level; `changed` are those that went up or down at the last look."""

    levels: Mapping[str, Level] = field(default_factory=lambda: dict.fromkeys(TRIGGERS, Level()))
    changed: tuple[str, ...] = ()

    def up(self, trigger: str) -> bool:
        """Whether this trigger is up."""
        return self.levels[trigger].up


@dataclass(frozen=True)
class NewJob:
    """What the answer depends on."""

    org: str
    priority: str = "normal"


@dataclass(frozen=True)
class Refusal:
    """No to a new job: the status to answer, the trigger, and seconds until it may come again."""

    status: int
    cause: str
    reason: str
    seconds: float


def loads(signals: Signals, thresholds: Thresholds) -> dict[str, float]:
    """Each trigger's signal as a multiple of its threshold."""
    depth = signals.waiting / thresholds.max_queue_depth
    in_use = signals.running
    if thresholds.strategy == "reject":
        in_use += signals.waiting  # accepted work will run: it is spoken for
    allowed = thresholds.max_concurrency_percent / 100 * signals.max_runners
    launches = signals.launches
    errors = 0.0
    if launches.samples >= MIN_SAMPLES:
        errors = launches.failed / launches.samples / thresholds.max_error_rate
    return {
        "depth": depth,
        "flood": depth / FLOOD,
        "concurrency": in_use / allowed if allowed else math.inf,
        "errors": errors,
    }


def observe(pressure: Pressure, signals: Signals, thresholds: Thresholds, now: float) -> Pressure:
    """The levels after a look at the signals."""
    # Beyond these no dwell holds: what would come in meanwhile could never be served in time.
    bounds = {"flood": 1.0, "concurrency": 100 / thresholds.max_concurrency_percent}
    levels: dict[str, Level] = {}
    for trigger, load in loads(signals, thresholds).items():
        level = pressure.levels[trigger]
        stayed = now - level.since
        if level.up and load < LEAVES_AT and stayed >= DWELL_DOWN_SECONDS:
            level = Level(up=False, since=now)
        elif not level.up and load > 1.0:
            beyond = load > bounds.get(trigger, math.inf)
            if beyond or stayed >= DWELL_UP_SECONDS:
                level = Level(up=True, since=now)
        levels[trigger] = level
    changed = tuple(t for t in TRIGGERS if levels[t].up != pressure.up(t))
    return Pressure(levels, changed)


def refusal(
    pressure: Pressure,
    signals: Signals,
    thresholds: Thresholds,
    job: NewJob,
    now: float,
) -> Refusal | None:
    """Why a new job is refused now; None if it is accepted."""
    low = job.priority == "low"
    found: list[Refusal] = []
    if thresholds.strategy == "reject":
        if pressure.up("concurrency"):
            allowed = thresholds.max_concurrency_percent / 100 * signals.max_runners
            excess = signals.running + signals.waiting - LEAVES_AT * allowed
            reason = f"over {thresholds.max_concurrency_percent:g} % of all runners are in use"
            found.append(Refusal(503, "concurrency", reason, until_drained(signals, excess)))
        if pressure.up("errors") and low:
            reason = f"over {100 * thresholds.max_error_rate:g} % of launches fail"
            found.append(Refusal(503, "errors", reason, HEALTHY_SECONDS))
        until = signals.cooling.get(job.org, 0.0)
        if until > now:
            reason = f"GitHub limits the calls of {job.org}"
            found.append(Refusal(429, "throttled", reason, until - now))
    for trigger, times in (("flood", FLOOD), ("depth", 1)):
        everybody = trigger == "flood" or thresholds.strategy == "reject"
        if pressure.up(trigger) and (everybody or low):
            depth = times * thresholds.max_queue_depth
            excess = signals.waiting - LEAVES_AT * depth
            whom = "" if everybody else ", and this one's priority is low"
            reason = f"over {depth} jobs wait{whom}"
            found.append(Refusal(429, trigger, reason, until_drained(signals, excess)))
    if not found:
        return None
    first = found[0]
    return Refusal(first.status, first.cause, first.reason, max(one.seconds for one in found))


def until_drained(signals: Signals, excess: float) -> float:
    """Seconds until so many jobs fewer are there, at the rate at which jobs end."""
    if signals.completions_per_second <= 0:
        return LONGEST_RETRY_SECONDS
    return excess / signals.completions_per_second


def retry_after(seconds: float, chance: float) -> int:
    """The header's whole seconds: within 1…300, and by chance (0 ≤ chance < 1) up to twice that.

    Those who were refused at once do not come back at once.
    """
    base = math.ceil(min(LONGEST_RETRY_SECONDS, max(1.0, seconds)))
    return base + math.floor(chance * (base + 1))
