"""The gate before GitHub: its laws, each tried."""

import random

import pytest

from policy import gate as gates
from policy.gate import Budget, Gate, Shut, admit, answered, points_of, refused
from policy.labels import unknown
from policy.throttle import Refusal
from policy.token_cache import installation_freshness

NOW = 1_000_000.0
SAID = Refusal("secondary", NOW + 50, said=True)
UNSAID = Refusal("secondary", NOW + 60, said=False)


def passed(gate: Gate, now: float = NOW, points: int = 1, resource: str = "core") -> Gate:
    """The gate after a call that must pass."""
    after = admit(gate, resource, points, now)
    assert isinstance(after, Gate), after
    return after


def shut(gate: Gate, now: float = NOW, *, spare: bool = False, points: int = 1) -> Shut:
    """Why a call must not pass."""
    after = admit(gate, "core", points, now, spare=spare)
    assert isinstance(after, Shut), after
    return after


def test_reads_are_cheap_and_writes_are_not() -> None:
    """GitHub's points."""
    assert [points_of(m) for m in ("GET", "HEAD", "OPTIONS", "POST", "DELETE", "PATCH")] == [
        *(1, 1, 1),
        *(5, 5, 5),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_no_minute_has_more_points_than_github_allows(seed: int) -> None:
    """Callers that come as fast as they can, some far too many: 900 points in any 60 seconds."""
    dice = random.Random(seed)
    gate, now, spent = Gate(), NOW, list[tuple[float, int]]()
    for _ in range(3000):
        points = dice.choice((1, 5))
        after = admit(gate, "core", points, now)
        if isinstance(after, Gate):
            gate = after
            spent.append((now, points))
            now += dice.choice((0.0, 0.0, 0.01))
        else:
            assert after.kind is None
            now = max(now, after.until) + dice.choice((0.0, 0.0, 30.0))
    for index, (at, _) in enumerate(spent):
        total = sum(points for when, points in spent[index : index + 1000] if when < at + 60)
        assert total <= 900


def test_a_refusal_keeps_everybody_still_until_githubs_time() -> None:
    """Not a call before it."""
    gate = refused(Gate(), SAID, NOW)
    why = "GitHub's secondary rate limit is used up"
    assert shut(gate, NOW + 49.9) == Shut(NOW + 50, why, "secondary")
    passed(gate, NOW + 50)


def test_calls_start_again_one_by_one() -> None:
    """The pause between them halves with each good answer, and then there is none."""
    gate, now, waits = refused(Gate(), SAID, NOW), NOW + 50, list[float]()
    for _ in range(20):
        gate = passed(gate, now)
        if not gate.pause:
            break
        assert shut(gate, now).until == now + gate.pause
        assert shut(gate, now).kind is None, "that is our own measure"
        began = now
        now += gate.pause
        waits.append(gate.pause)
        gate = answered(gate, "core", None, began)
    assert waits == [8.0, 4.0, 2.0, 1.0, 0.5, 0.25]
    assert gate.refusals == 0


def test_an_answer_to_a_call_of_before_the_refusal_proves_nothing() -> None:
    """It was under way when GitHub said no."""
    gate = refused(Gate(), SAID, NOW)
    assert answered(gate, "core", None, NOW - 1) == gate


def test_a_time_that_github_does_not_name_doubles() -> None:
    """A minute, two, four, to an hour; refusals of calls under way at once count once."""
    gate, now, waits = Gate(), NOW, list[float]()
    for _ in range(9):
        gate = refused(gate, Refusal("secondary", now + 60, said=False), now)
        assert refused(gate, Refusal("secondary", now + 60, said=False), now) == gate
        waits.append(gate.paused_until - now)
        now = gate.paused_until
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_shorter_refusal_does_not_end_a_longer_one() -> None:
    """The latest time counts."""
    gate = refused(Gate(), Refusal("primary", NOW + 900, said=True), NOW)
    assert (refused(gate, SAID, NOW).paused_until, refused(gate, SAID, NOW).kind) == (
        NOW + 900,
        "primary",
    )


def test_what_looks_leaves_the_last_tenth_to_what_is_needed() -> None:
    """At 500 of 5,000 looking waits for the reset; minting goes on to the floor, then waits."""
    gate = answered(Gate(), "core", Budget(5000, 500, NOW + 600), NOW)
    assert shut(gate, spare=True) == Shut(
        NOW + 600, "GitHub's limit core is nearly used up", "primary"
    )
    passed(gate)
    passed(gate, resource="actions_runner_registration")
    gate = answered(gate, "core", Budget(5000, gates.FLOOR, NOW + 600), NOW)
    assert shut(gate).until == NOW + 600
    passed(gate, NOW + 600)
    assert isinstance(admit(gate, "core", 1, NOW + 600, spare=True), Gate)


def test_a_small_limit_is_not_shut_from_the_start() -> None:
    """Sixty calls an hour for the unknown: half of them may go."""
    gate = answered(Gate(), "core", Budget(30, 16, NOW + 600), NOW)
    passed(gate)
    assert shut(answered(gate, "core", Budget(30, 15, NOW + 600), NOW)).kind == "primary"


def test_the_later_of_two_answers_counts() -> None:
    """Fewer calls left, or a new hour; an answer that was overtaken changes nothing."""
    gate = answered(Gate(), "core", Budget(5000, 100, NOW + 600), NOW)
    assert answered(gate, "core", Budget(5000, 101, NOW + 600), NOW) == gate
    assert answered(gate, "core", Budget(5000, 99, NOW + 600), NOW).budgets["core"].remaining == 99
    fresh = answered(gate, "core", Budget(5000, 4999, NOW + 4200), NOW)
    assert fresh.budgets["core"].remaining == 4999
    assert answered(fresh, "core", Budget(5000, 90, NOW + 600), NOW) == fresh, "of an hour ago"


def test_points_that_are_lacking_are_waited_for() -> None:
    """Forty writes at once, then one each half second."""
    gate = Gate()
    for _ in range(40):
        gate = passed(gate, points=5)
    found = shut(gate, points=5)
    assert found.until == pytest.approx(NOW + 0.5)
    assert found.why == "calls are spread over the minute"


def test_labels_are_allowed_by_patterns() -> None:
    """Case does not count; what no pattern allows is named."""
    patterns = ("self-hosted", "Linux", "run-id=*")
    assert unknown(["Self-Hosted", "linux", "RUN-ID=77"], patterns) == []
    assert unknown(["linux", "gpu", "run-id"], patterns) == ["gpu", "run-id"]
    assert unknown([], patterns) == []


def test_an_installations_token_is_renewed_before_it_is_late() -> None:
    """In its last ten minutes, and in its last five nothing begins with it."""
    assert [installation_freshness(NOW, NOW - left) for left in (601, 600, 301, 300, 0)] == [
        *("fresh", "refresh", "refresh"),
        *("stale", "stale"),
    ]
