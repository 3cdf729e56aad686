"""Back-pressure: levels, and the whole truth table of both strategies."""

import itertools
import math
from dataclasses import replace

import pytest

from policy import pressure
from policy.launches import Tally
from policy.pressure import Level, NewJob, Pressure, Refusal, Signals
from policy.thresholds import Thresholds

NOW = 10_000.0
QUEUE, REJECT = Thresholds(), Thresholds("reject")
CALM = Signals(running=2, max_runners=10, completions_per_second=0.5)
PRIORITIES = ("critical", "high", "normal", "low")

# Each trigger alone: the signals that raise it. `concurrency` is raised by what runs, so that it
# does not bring the depth along.
RAISED = {
    "depth": {"waiting": 101},
    "flood": {"waiting": 1001},
    "concurrency": {"running": 9},
    "errors": {"launches": Tally(18, 2)},
    "throttled": {"cooling": {"acme": NOW + 90}},
}

# The table of the design, written out: what a job of a priority is answered under one trigger.
ANSWERS: dict[
    tuple[str, str], tuple[int, int]
] = {  # (strategy, trigger) → (low, others); 0 = taken
    ("queue", "depth"): (429, 0),
    ("queue", "flood"): (429, 429),
    ("queue", "concurrency"): (0, 0),
    ("queue", "errors"): (0, 0),
    ("queue", "throttled"): (0, 0),
    ("reject", "depth"): (429, 429),
    ("reject", "flood"): (429, 429),
    ("reject", "concurrency"): (503, 503),
    ("reject", "errors"): (503, 0),
    ("reject", "throttled"): (429, 429),
}


def answer(strategy: str, triggers: tuple[str, ...], priority: str) -> Refusal | None:
    """What a fresh gateway says under these triggers at once."""
    signals = CALM
    for trigger in triggers:
        signals = replace(signals, **RAISED[trigger])
    thresholds = Thresholds(strategy)
    levels = pressure.observe(Pressure(), signals, thresholds, NOW)
    return pressure.refusal(levels, signals, thresholds, NewJob("acme", priority), NOW)


def expected(strategy: str, triggers: tuple[str, ...], priority: str) -> int:
    """By the table: 503 goes before 429, and either before acceptance."""
    one = 0 if priority == "low" else 1
    implied = set(triggers)
    if "flood" in implied:
        implied.add("depth")
    if strategy == "reject" and "depth" in implied:
        implied.add("concurrency")  # what waits is spoken for
    return max((ANSWERS[strategy, trigger][one] for trigger in implied), default=0)


@pytest.mark.parametrize("strategy", ["queue", "reject"])
@pytest.mark.parametrize("priority", PRIORITIES)
@pytest.mark.parametrize("number", range(len(RAISED) + 1))
def test_the_truth_table(strategy: str, priority: str, number: int) -> None:
    """No trigger, each alone, each pair, and all larger sets of them."""
    for triggers in itertools.combinations(RAISED, number):
        refusal = answer(strategy, triggers, priority)
        status = refusal.status if refusal else 0
        assert status == expected(strategy, triggers, priority), triggers


def test_each_refusal_names_its_trigger_and_its_time() -> None:
    """The excess over what lets a trigger go, at the rate of completions; GitHub's own time."""
    table = {
        ("queue", ("depth",)): ("depth", (101 - 70) / 0.5),
        ("queue", ("flood",)): ("flood", (1001 - 70) / 0.5),
        ("reject", ("concurrency",)): ("concurrency", (9 - 0.7 * 8) / 0.5),
        ("reject", ("errors",)): ("errors", 60.0),
        ("reject", ("throttled",)): ("throttled", 90.0),
        ("reject", ("concurrency", "throttled")): ("concurrency", 90.0),
    }
    for (strategy, triggers), (cause, seconds) in table.items():
        refusal = answer(strategy, triggers, "low")
        assert refusal is not None
        assert (refusal.cause, refusal.seconds) == (cause, pytest.approx(seconds))
        assert refusal.reason


def test_a_throttled_organization_concerns_no_other() -> None:
    """And nobody once its time has come."""
    signals = replace(CALM, cooling={"acme": NOW + 90})
    job = NewJob("umbrella")
    assert pressure.refusal(Pressure(), signals, REJECT, job, NOW) is None
    assert pressure.refusal(Pressure(), signals, REJECT, NewJob("acme"), NOW + 90) is None


def test_a_level_stays_for_a_while_and_leaves_lower_than_it_came() -> None:
    """Up above the threshold, down under 0.7 of it; a minute up at least, half a minute down."""
    script = [
        (0, 100, False),
        (1, 101, True),
        (2, 0, True),  # not yet a minute
        (61, 70, True),  # not under 0.7
        (62, 69, False),
        (70, 999, False),  # not yet half a minute
        (92, 101, True),
    ]
    levels = Pressure()
    for second, waiting, up in script:
        levels = pressure.observe(levels, replace(CALM, waiting=waiting), QUEUE, NOW + second)
        assert levels.up("depth") == up, second
    assert levels.changed == ("depth",)
    assert levels.levels["depth"] == Level(up=True, since=NOW + 92)


@pytest.mark.parametrize(
    ("thresholds", "trigger", "beyond"),
    [
        (QUEUE, "flood", {"waiting": 1001}),
        (REJECT, "concurrency", {"running": 8, "waiting": 3}),
    ],
)
def test_beyond_all_bounds_no_dwell_holds(
    thresholds: Thresholds, trigger: str, beyond: dict[str, int]
) -> None:
    """Ten times the depth, and more accepted work than runners, count at once."""
    down = Pressure({**Pressure().levels, trigger: Level(up=False, since=NOW - 1)})
    levels = pressure.observe(down, replace(CALM, **beyond), thresholds, NOW)
    assert levels.up(trigger)
    within = replace(CALM, running=9)
    if trigger == "concurrency":
        assert not pressure.observe(down, within, thresholds, NOW).up(trigger)


def test_few_launches_are_no_rate() -> None:
    """Nineteen that all failed say nothing yet."""
    signals = replace(CALM, launches=Tally(0, 19))
    assert pressure.loads(signals, QUEUE)["errors"] == 0.0
    assert pressure.loads(replace(CALM, launches=Tally(0, 20)), QUEUE)["errors"] == 20.0


def test_a_fleet_without_runners_is_always_full() -> None:
    """Under `reject` everything is refused then."""
    signals = Signals(max_runners=0)
    levels = pressure.observe(Pressure(), signals, REJECT, NOW)
    refusal = pressure.refusal(levels, signals, REJECT, NewJob("acme"), NOW)
    assert refusal is not None
    assert (refusal.status, refusal.seconds) == (503, 300.0), "nobody knows when"
    assert math.isinf(pressure.loads(signals, REJECT)["concurrency"])


def test_accepted_work_is_spoken_for_under_reject_alone() -> None:
    """Under `queue` it waits for its permit, and that is no sign of overload."""
    signals = replace(CALM, running=2, waiting=8)
    assert pressure.loads(signals, QUEUE)["concurrency"] == pytest.approx(2 / 8)
    assert pressure.loads(signals, REJECT)["concurrency"] == pytest.approx(10 / 8)


@pytest.mark.parametrize(
    ("seconds", "chance", "header"),
    [
        (-5.0, 0.0, 1),
        (0.0, 0.999, 2),
        (10.0, 0.0, 10),
        (10.2, 0.0, 11),
        (10.0, 0.5, 15),
        (10.0, 0.999, 20),
        (5000.0, 0.0, 300),
        (math.inf, 0.999, 600),
    ],
)
def test_retry_after_is_bounded_and_spread(seconds: float, chance: float, header: int) -> None:
    """Whole seconds from 1 to 300, and up to as many again."""
    assert pressure.retry_after(seconds, chance) == header


@pytest.mark.parametrize("thresholds", [QUEUE, REJECT])
@pytest.mark.parametrize("trigger", ["depth", "flood", "concurrency", "errors"])
@pytest.mark.parametrize("period", [3.0, 7.0, 30.0, 90.0])
def test_a_load_around_a_threshold_does_not_flap(
    thresholds: Thresholds, trigger: str, period: float
) -> None:
    """±5 % around each threshold for ten minutes, looked at each second: one change a minute."""
    levels, changes = Pressure(), list[float]()
    for second in range(600):
        swing = 1 + 0.05 * math.sin(2 * math.pi * second / period)
        signals = {
            "depth": replace(CALM, waiting=round(100 * swing)),
            "flood": replace(CALM, waiting=round(1000 * swing)),
            "concurrency": replace(CALM, running=round(800 * swing), max_runners=1000),
            "errors": replace(CALM, launches=Tally(1000, round(1000 / 19 * swing))),
        }[trigger]
        levels = pressure.observe(levels, signals, thresholds, NOW + second)
        changes += [float(second)] * (trigger in levels.changed)
    assert all(b - a >= 60 for a, b in itertools.pairwise(changes))
    assert len(changes) >= 1, "the threshold was passed"
