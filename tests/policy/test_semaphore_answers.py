"""What one semaphore answers and notes, to the field: queries, reports, what counts as news."""

import pytest

from policy import semaphore as rules
from policy.line import known
from policy.messages import Acquire, Allot, Claim, Release, Report, Waiting
from policy.semaphore_state import Lease, SemaphoreState

NOW = 5000.0


def semaphore(n: int = 0, *jobs: str) -> SemaphoreState:
    """A semaphore with an allotment and waiters."""
    state = SemaphoreState("acme/a")
    rules.begin(state, "e1", NOW)
    assert rules.allot(state, Allot("acme/a", "f1", "e1", 1, n))
    for at, job in enumerate(jobs):
        rules.acquire(state, Acquire(job, queued_at=NOW - 10 + at))
    return state


def test_a_new_life_is_idle_from_its_beginning() -> None:
    """The same life goes on as it was; a new one has told nothing yet."""
    state = semaphore(1, "j1")
    assert state.idle_since == NOW
    rules.grants(state, NOW)
    rules.report(state, NOW)
    rules.begin(state, "e1", NOW + 9)
    assert (state.idle_since, state.report_number, state.believed_in_use) == (NOW, 1, 1)
    rules.begin(state, "e2", NOW + 9)
    assert (state.idle_since, state.report_number, state.believed_in_use) == (NOW, 0, -1)
    assert rules.report_due(state, NOW), "one permit is in use, and the Fleet may not know"


def test_a_report_that_did_not_arrive_is_due_whatever_is_in_use() -> None:
    """With one permit in use as well."""
    state = semaphore(1, "j1")
    rules.grants(state, NOW)
    rules.report(state, NOW)
    assert not rules.report_due(state, NOW)
    rules.forget_report(state)
    assert state.believed_in_use == SemaphoreState("acme/a").believed_in_use == -1
    assert rules.report_due(state, NOW)


def test_who_starts_over_keeps_its_repository_and_is_idle_from_now() -> None:
    """It has no allotment, no holder, no waiter."""
    state = semaphore(2, "j1", "j2", "j3")
    rules.grants(state, NOW)
    rules.start_over(state, "e2", NOW + 9)
    assert state == SemaphoreState("acme/a", "e2", idle_since=NOW + 9)


def test_a_claimed_lease_is_its_jobs_and_ends_its_waiting() -> None:
    """Without a time of its own it is as old as the claim."""
    state = semaphore(0, "j1", "j2")
    rules.adopt(state, [Claim("j1", "e0/1", NOW - 50), Claim("j3", "e0/2")], NOW)
    assert state.holders == {
        "j1": Lease("e0/1", "j1", NOW - 50),
        "j3": Lease("e0/2", "j3", NOW),
    }
    assert list(state.waiters) == ["j2"]


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, []), (0.5, [0.5]), (-1.0, [])])
def test_a_life_counts_if_there_was_one(seconds: float, kept: list[float]) -> None:
    """However short; a lease that came back without a launch says nothing of lives."""
    state = semaphore(1, "j1")
    (grant,) = rules.grants(state, NOW)
    assert rules.release(state, Release("j1", grant.granted.lease, seconds), NOW + 7)
    assert (state.durations, state.idle_since, state.moved_at) == (kept, NOW + 7, NOW + 7)


@pytest.mark.parametrize(("sequence", "due"), [(2, True), (1, False)])
def test_only_the_newest_allotment_said_again_asks_for_a_word(sequence: int, due: bool) -> None:
    """An older one is late."""
    state = semaphore(1)
    rules.allot(state, Allot("acme/a", "f1", "e1", 2, 1))
    rules.report(state, NOW)
    assert state.ack_due is False
    assert not rules.allot(state, Allot("acme/a", "f1", "e1", sequence, 1))
    assert state.ack_due is due
    assert rules.report_due(state, NOW) is due


@pytest.mark.parametrize(
    ("sequence", "n", "due"), [(2, 3, False), (2, 2, False), (2, 1, True), (3, 3, True)]
)
def test_what_was_taken_back_is_acknowledged(sequence: int, n: int, due: bool) -> None:
    """By itself, or with a message that this one overtook; what stays or grows is not."""
    state = semaphore(2)
    rules.report(state, NOW)
    assert rules.allot(state, Allot("acme/a", "f1", "e1", sequence, n))
    assert (state.ack_due, state.allotment, state.sequence) == (due, n, sequence)


@pytest.mark.parametrize(
    ("n", "in_use", "waiting"), [(0, 1, 3), (1, 1, 3), (2, 2, 2), (3, 3, 1), (9, 4, 0)]
)
def test_the_fleet_reckons_with_the_waiters_that_its_allotment_lets_through(
    n: int, in_use: int, waiting: int
) -> None:
    """As many as there is room for beside those in use, and no more than wait."""
    state = semaphore(1, "j1", "j2", "j3", "j4")
    rules.grants(state, NOW)
    rules.report(state, NOW)
    assert (state.believed_in_use, state.believed_waiting) == (1, 3)
    rules.allot(state, Allot("acme/a", "f1", "e1", 2, n))
    assert (state.believed_in_use, state.believed_waiting) == (in_use, waiting)


def test_before_the_first_report_the_fleet_reckons_with_nothing() -> None:
    """It does not know who waits."""
    state = semaphore(1, "j1")
    rules.allot(state, Allot("acme/a", "f1", "e1", 2, 5))
    assert (state.believed_in_use, state.believed_waiting) == (-1, 0)


def test_leases_are_numbered_through() -> None:
    """With the life that granted them, and the time."""
    state = semaphore(9, "j1", "j2", "j3")
    assert rules.grants(state, NOW, most=0) == []
    made = rules.grants(state, NOW + 3, most=2)
    assert [(g.job, g.granted.lease) for g in made] == [
        ("j1", "e1/00000001"),
        ("j2", "e1/00000002"),
    ]
    assert state.holders["j2"] == Lease("e1/00000002", "j2", NOW + 3)
    assert (state.moved_at, state.leases_made) == (NOW + 3, 2)
    assert [g.granted.lease for g in rules.grants(state, NOW)] == ["e1/00000003"]


def test_five_hundred_grants_are_made_at_once() -> None:
    """The rest by the next decision."""
    state = semaphore(600, *(f"j{i:03}" for i in range(600)))
    assert len(rules.grants(state, NOW)) == 500
    assert len(rules.grants(state, NOW)) == 100


def test_a_place_is_told_with_these_fields() -> None:
    """The query `waiter`, of a waiter, a holder, and one that is not known."""
    state = semaphore(1, "j1")
    rules.grants(state, NOW)
    rules.acquire(state, Acquire("j2", "low", NOW - 1, not_before=NOW + 30))
    around = {"repo": "acme/a", "waiting": 1, "in_use": 1, "allotment": 1}
    assert rules.place(state, "j2", NOW) == {
        **around,
        "job": "j2",
        "position": 1,
        "holds": False,
        "not_before": NOW + 30,
        "priority_now": "low",
    }
    nowhere = {"position": 0, "not_before": 0.0, "priority_now": ""}
    assert rules.place(state, "j1", NOW) == {**around, **nowhere, "job": "j1", "holds": True}
    assert rules.place(state, "j9", NOW) == {**around, **nowhere, "job": "j9", "holds": False}


def test_the_front_is_told_with_these_fields() -> None:
    """The query `front`."""
    state = semaphore(0)
    rules.acquire(state, Acquire("j1", "high", NOW - 700, not_before=NOW + 30))
    assert rules.front(state, 5, NOW) == [
        {
            "job": "j1",
            "position": 1,
            "priority": "high",
            "priority_now": "critical",
            "queued_at": NOW - 700,
            "not_before": NOW + 30,
        }
    ]


def reported(*jobs: str) -> SemaphoreState:
    """A semaphore without a permit, whose line the Fleet knows."""
    state = semaphore(0, *jobs)
    rules.report(state, NOW)
    assert not rules.report_due(state, NOW)
    return state


def test_the_end_of_a_line_is_news() -> None:
    """If only one stood there too."""
    state = reported("j1")
    rules.release(state, Release("j1"), NOW)
    assert rules.report_due(state, NOW)


def test_the_beginning_of_a_line_is_news() -> None:
    """If only one stands there."""
    state = reported()
    rules.acquire(state, Acquire("j1", queued_at=NOW))
    assert rules.report_due(state, NOW)


def test_a_line_of_another_priority_is_news() -> None:
    """As long and as old as before."""
    state = reported("j1")
    rules.acquire(state, Acquire("j1", "low", NOW - 10))
    assert rules.report_due(state, NOW)


@pytest.mark.parametrize("later", [30.0, -30.0])
def test_half_a_minute_of_age_is_no_news_and_more_is(later: float) -> None:
    """Older or younger."""
    state = reported("j1")
    rules.acquire(state, Acquire("j1", queued_at=NOW - 10 + later))
    assert not rules.report_due(state, NOW)
    rules.acquire(state, Acquire("j1", queued_at=NOW - 10 + later * 1.01))
    assert rules.report_due(state, NOW)


@pytest.mark.parametrize(("told", "now"), [(1, 2), (5, 6), (7, 8), (8, 10), (16, 20), (16, 12)])
def test_a_quarter_more_or_less_is_no_news_and_one_more_is(told: int, now: int) -> None:
    """Of a short line one more or less is none."""
    one = 1 if now > told else -1
    for count, due in ((now, False), (now + one, True)):
        state = reported(*(f"j{i}" for i in range(told)))
        for i in range(told, count):
            rules.acquire(state, Acquire(f"j{i}", queued_at=NOW))
        for i in range(count, told):
            rules.release(state, Release(f"j{i}"), NOW)
        assert rules.report_due(state, NOW) is due


def test_a_report_tells_this() -> None:
    """And is believed from then on."""
    state = semaphore(3, "j1", "j2")
    rules.grants(state, NOW + 2, most=1)
    rules.grants(state, NOW + 1, most=1)
    rules.acquire(state, Acquire("j3", "high", NOW - 5))
    rules.acquire(state, Acquire("j4", "low", NOW - 7))
    rules.acquire(state, Acquire("j5", "low", NOW - 6))
    rules.acquire(state, Acquire("j6", "low", NOW - 9, not_before=NOW + 60))
    state.durations = [30.0, 10.0]
    assert rules.report(state, NOW) == Report(
        repo="acme/a",
        epoch="e1",
        number=1,
        fleet_epoch="f1",
        acked=1,
        allotment=3,
        in_use=2,
        waiting=[Waiting("high", 1, NOW - 5), Waiting("low", 2, NOW - 7)],
        running_since=[NOW + 1, NOW + 2],
        durations=[10.0] * 6 + [30.0] * 5,
        samples=2,
        held_up=1,
        closing=False,
    )
    assert (state.believed_in_use, state.believed_waiting) == (2, 3)
    assert (state.believed_head, state.believed_oldest) == ("high", NOW - 5)
    assert (state.believed_held_up, state.ack_due, state.report_number) == (1, False, 1)


def test_a_report_of_no_line_leaves_nothing_of_the_last_one() -> None:
    """No head, and no age."""
    state = reported("j1")
    rules.release(state, Release("j1"), NOW)
    rules.report(state, NOW)
    assert (state.believed_waiting, state.believed_head, state.believed_oldest) == (0, "", 0.0)


def test_after_a_closing_report_another_life_begins() -> None:
    """Its name sorts after the old one's, before a next run's; it has acknowledged nothing."""
    state = semaphore(2)
    rules.report(state, NOW, closing=True)
    assert (state.epoch, state.fleet_epoch, state.sequence, state.allotment) == ("e1~", "", 0, 0)
    fresh = rules.report(state, NOW)
    assert (fresh.epoch, fresh.number, fresh.acked, fresh.closing) == ("e1~", 1, 0, False)


def test_a_priority_that_is_none_is_the_default() -> None:
    """One that is keeps its name."""
    assert [known(name) for name in ("critical", "low", "unheard of", "")] == [
        "critical",
        "low",
        "normal",
        "normal",
    ]
