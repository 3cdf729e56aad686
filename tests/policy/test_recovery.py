"""What one run of the recovery does: room, turns, letters, lost jobs, left-over runners."""

from dataclasses import replace
from typing import Any

import pytest

from policy import recovery
from policy.admission import Rules
from policy.recovery import JobAtGitHub, Letter, Purse, Suspect, Tried, letters_due, room, turn

NOW = 1_900_000_000.0
RULES = Rules.of(["self-hosted", "linux"], ["acme"])


def overview(**more: Any) -> dict[str, Any]:
    """The Fleet's answer."""
    known = {"mode": "normal", "settled": True, "running": 3, "waiting": 10, "capacity": 8}
    limits = {"strategy": "queue", "max_queue_depth": 100, "max_concurrency_percent": 80}
    return known | limits | more


@pytest.mark.parametrize(
    ("answer", "free"),
    [
        (overview(), 90),
        (overview(max_queue_depth=40), 30),
        (overview(max_queue_depth=7), 0),
        (overview(waiting=69), 31),
        (overview(waiting=70), 0),  # a gateway whose trigger is up refuses low priority still
        (overview(waiting=100), 0),
        (overview(mode="draining"), 0),
        (overview(mode="maintenance"), 0),
        (overview(settled=False), 0),
        # 80 % of 8 is 6.4, so that six may run or wait.
        (overview(strategy="reject", waiting=0), 3),
        (overview(strategy="reject", waiting=1), 2),
        (overview(strategy="reject", waiting=2), 0),  # 0.7 of 6.4 is passed
        (overview(strategy="reject", waiting=9), 0),
        (overview(strategy="reject", waiting=0, capacity=20, max_concurrency_percent=50), 7),
        (overview(strategy="reject", waiting=0, max_concurrency_percent=100), 5),
        (overview(strategy="reject", mode="draining", running=0, waiting=0), 0),
    ],
)
def test_room_is_what_the_strategy_leaves(answer: dict[str, Any], free: int) -> None:
    """Never negative, and none outside of mode normal."""
    assert room(answer) == free


def test_a_purse_gives_what_it_has() -> None:
    """Too dear is not bought, and costs nothing."""
    purse = Purse(6)
    assert purse.take(5)
    assert not purse.take(5)
    assert purse.take(1)
    assert not purse.take(1)
    assert (purse.spent, purse.left) == (6, 0)
    assert not Purse(-3).take(1)


@pytest.mark.parametrize(
    ("last", "order"),
    [("", "abc"), ("a", "bca"), ("b", "cab"), ("bb", "cab"), ("c", "abc"), ("z", "abc")],
)
def test_a_turn_goes_on_behind_the_last(last: str, order: str) -> None:
    """Also behind one that is gone; each comes once."""
    assert turn(["c", "a", "b", "a"], last) == list(order)
    assert turn([], last) == []


LETTERS = [
    Letter("old", "queued", NOW - 4 * 86400),
    Letter("b", "queued", NOW - 20),
    Letter("a", "queued", NOW - 30),
    Letter("c", "completed", NOW - 10),
]


@pytest.mark.parametrize(
    ("free", "ids"), [(0, ["c"]), (1, ["a", "c"]), (2, ["a", "b", "c"]), (9, ["a", "b", "c"])]
)
def test_letters_are_replayed_oldest_first_up_to_the_room(free: int, ids: list[str]) -> None:
    """What frees capacity in every case; what is older than three days never."""
    assert [one.id for one in letters_due(LETTERS, [], NOW, free)] == ids


def test_a_letter_that_failed_waits_longer_each_time() -> None:
    """Two minutes, four, up to an hour."""
    tried = recovery.note_tries([], ["a"], ["a", "b"], NOW)
    assert tried == [Tried("a", 1, NOW)]
    assert [x.id for x in letters_due(LETTERS, tried, NOW + 119, 9)] == ["b", "c"]
    assert [x.id for x in letters_due(LETTERS, tried, NOW + 120, 9)] == ["a", "b", "c"]
    tried = recovery.note_tries(tried, ["a"], ["a", "b"], NOW + 120)
    assert tried == [Tried("a", 2, NOW + 120)]
    assert [x.id for x in letters_due(LETTERS, tried, NOW + 359, 9)] == ["b", "c"]


def test_no_letter_is_replayed_before_its_retry_after() -> None:
    """Unless the mode became normal since: what it was to wait for has come."""
    letters = [Letter("a", "queued", NOW - 30, NOW + 60), Letter("c", "completed", NOW, NOW + 5)]
    for later, ids in ((0, []), (4.9, []), (5, ["c"]), (60, ["a", "c"])):
        assert [x.id for x in letters_due(letters, [], NOW + later, 9)] == ids
    for opened, ids in ((NOW - 36, []), (NOW - 34, ["a"]), (NOW, ["a", "c"])):
        assert [x.id for x in letters_due(letters, [], NOW, 9, opened)] == ids


def test_tries_are_forgotten_with_their_letters_and_bounded() -> None:
    """The newest are kept."""
    assert recovery.note_tries([Tried("gone", 3, NOW)], [], ["a"], NOW) == []
    ids = [str(n) for n in range(recovery.MOST_CARRIED + 5)]
    before = [Tried(id_, 1, NOW + int(id_)) for id_ in ids]
    kept = recovery.note_tries(before, [], ids, NOW)
    assert [one.id for one in kept] == ids[5:]


JOB = JobAtGitHub(
    7,
    "queued",
    ["self-hosted", "linux"],
    NOW - 61,
    name="build",
    url="https://github.test/7",
    branch="main",
    workflow="CI",
)


def test_a_queued_job_of_ours_that_waits_for_a_minute_has_an_event() -> None:
    """With all that priorities are derived from."""
    event = recovery.lost_event("Acme/Api", JOB, "main", RULES, NOW)
    assert event
    assert (event.action, event.owner, event.repo, event.job_id) == (
        "queued",
        "Acme",
        "acme/api",
        "7",
    )
    assert (event.branch, event.default_branch, event.workflow) == ("main", "main", "CI")
    assert (event.name, event.url, event.queued_at) == (JOB.name, JOB.url, JOB.created_at)


@pytest.mark.parametrize(
    ("repo", "job"),
    [
        ("acme/api", replace(JOB, created_at=NOW - 59)),
        ("acme/api", replace(JOB, status="in_progress")),
        ("acme/api", replace(JOB, status="waiting")),
        ("acme/api", replace(JOB, labels=["ubuntu-latest"])),
        ("acme/api", replace(JOB, labels=[])),
        ("evil/api", JOB),
    ],
)
def test_any_other_job_has_none(repo: str, job: JobAtGitHub) -> None:
    """Young, running, waiting for approval, of other labels, of another owner."""
    assert recovery.lost_event(repo, job, "", RULES, NOW) is None


@pytest.mark.parametrize(
    ("name", "status", "busy", "left"),
    [
        ("penstock-7-1", "offline", False, True),
        ("penstock-7-1", "online", False, False),
        ("penstock-7-1", "offline", True, False),
        ("somebody-elses", "offline", False, False),
    ],
)
def test_only_an_offline_idle_runner_of_ours_may_be_left_over(
    name: str, status: str, busy: bool, left: bool
) -> None:
    """Whatever else there is, is other people's."""
    assert recovery.seems_left_over(name, status, busy) is left


def test_the_second_look_comes_a_minute_after_the_first() -> None:
    """A suspect that is found again keeps its first look; there are so many at most."""
    first = Suspect("acme/api", "penstock-7-1", NOW, 3)
    assert not recovery.ripe(first, NOW + 59)
    assert recovery.ripe(first, NOW + 60)
    again = replace(first, seen_at=NOW + 60)
    other = replace(first, name="penstock-8-1")
    assert recovery.look_again([first], [again, other]) == [first, other]
    many = [replace(first, name=f"penstock-{n}-1") for n in range(recovery.MOST_CARRIED + 1)]
    assert len(recovery.look_again([], many)) == recovery.MOST_CARRIED
