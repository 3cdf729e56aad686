"""One semaphore alone: leases, order, what it tells the Fleet, lost holders."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import semaphore as rules
from policy.messages import Acquire, Allot, Claim, Release
from policy.priority import PRIORITIES
from policy.semaphore_state import SemaphoreState

NOW = 5000.0


def semaphore(n: int = 0, *jobs: str) -> SemaphoreState:
    """A semaphore with an allotment and waiters, which has reported."""
    state = SemaphoreState("acme/a")
    rules.begin(state, "e1", NOW)
    assert rules.allot(state, Allot("acme/a", "f1", "e1", 1, n))
    for at, job in enumerate(jobs):
        rules.acquire(state, Acquire(job, queued_at=NOW - 100 + at))
    return state


def granted(state: SemaphoreState, now: float = NOW) -> list[str]:
    """The jobs that get a permit now."""
    return [grant.job for grant in rules.grants(state, now)]


def test_it_grants_no_more_than_the_allotment() -> None:
    """And hands a released permit to the next in line."""
    state = semaphore(2, "j1", "j2", "j3")
    assert granted(state) == ["j1", "j2"]
    assert granted(state) == []
    assert rules.release(state, Release("j1", state.holders["j1"].id, 30.0), NOW)
    assert granted(state) == ["j3"]
    assert state.durations == [30.0]


def test_a_lowered_allotment_revokes_nothing() -> None:
    """Those in use stay; what comes back is not given out again."""
    state = semaphore(2, "j1", "j2", "j3")
    rules.grants(state, NOW)
    assert rules.allot(state, Allot("acme/a", "f1", "e1", 2, 1))
    assert state.in_use == 2
    rules.release(state, Release("j1", state.holders["j1"].id), NOW)
    assert granted(state) == []


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_doubled_late_and_reordered_messages_change_nothing(
    dice: random.Random, most: int
) -> None:
    """However often each message comes: never more out than allotted, no job with two leases."""
    state = semaphore(most)
    sent: list[Acquire | Release | Allot] = []
    highest, newest = most, 1
    for turn in range(60):
        job = f"j{dice.randrange(4)}"
        held = state.holders.get(job)
        if dice.random() < 0.6:
            sent.append(Release(job, held.id) if held else Acquire(job, queued_at=NOW + turn))
        else:
            sent.append(Allot("acme/a", "f1", "e1", dice.randrange(8), dice.randrange(4)))
        message = dice.choice(sent)
        before = state.in_use
        if isinstance(message, Acquire):
            again = rules.acquire(state, message)
            if again:
                assert again.granted.lease == state.holders[message.job].id
            rules.acquire(state, message)
        elif isinstance(message, Release):
            rules.release(state, message, NOW)
            assert not rules.release(state, message, NOW), "a lease comes back once"
        else:
            if rules.allot(state, message):
                assert message.sequence > newest
                newest, highest = message.sequence, message.n
            assert not rules.allot(state, message), "an allotment is taken once"
        assert state.allotment == highest
        made = rules.grants(state, NOW)
        assert state.in_use <= max(before, state.allotment)
        assert all(grant.granted.lease == state.holders[grant.job].id for grant in made)
        assert not set(state.holders) & set(state.waiters)


def test_lease_names_sort_by_age() -> None:
    """A job can tell the newer of two grants, across every kind of restart."""
    names: list[str] = []
    state = semaphore(9)
    for life in ("e1", "e2", "e3"):
        rules.begin(state, life, NOW)
        for job in range(12):
            rules.acquire(state, Acquire(f"{life}{job}"))
        state.allotment = 99
        names += [grant.granted.lease for grant in rules.grants(state, NOW)]
        state.holders.clear()
        rules.report(state, NOW, closing=True)
        rules.acquire(state, Acquire("late"))
        state.allotment = 99
        names += [grant.granted.lease for grant in rules.grants(state, NOW)]
        state.holders.clear()
    assert names == sorted(set(names))


@given(
    st.lists(st.tuples(st.sampled_from(PRIORITIES), st.integers(0, 2400)), min_size=1, max_size=8)
)
def test_the_line_goes_by_effective_priority_then_arrival(asked: list[tuple[str, int]]) -> None:
    """One level up for ten minutes; within a level the earlier arrival."""
    state = semaphore(1)
    for i, (priority, age) in enumerate(asked):
        rules.acquire(state, Acquire(f"j{i}", priority, NOW - age))
    expected = sorted(
        range(len(asked)),
        key=lambda i: (
            max(0, PRIORITIES.index(asked[i][0]) - asked[i][1] // 600),
            -asked[i][1],
            i,
        ),
    )
    assert [rules.position(state, f"j{i}", NOW) for i in expected] == [*range(1, len(asked) + 1)]
    for i in expected:
        assert granted(state) == [f"j{i}"]
        rules.release(state, Release(f"j{i}", state.holders[f"j{i}"].id), NOW)
    assert rules.position(state, "j0", NOW) == 0


def test_a_waiter_for_later_is_passed_over() -> None:
    """It keeps its place, asks for no permit, and is not reported before its time."""
    state = semaphore(1)
    rules.acquire(state, Acquire("later", "critical", NOW, not_before=NOW + 60))
    rules.acquire(state, Acquire("now", "low", NOW))
    assert [(g.priority, g.count) for g in rules.waiting_by_priority(state, NOW)] == [("low", 1)]
    assert rules.next_eligible_at(state, NOW) == NOW + 60
    assert granted(state) == ["now"]
    assert granted(state, NOW + 60) == []
    rules.release(state, Release("now", state.holders["now"].id), NOW)
    assert granted(state, NOW + 60) == ["later"]
    assert rules.next_eligible_at(state, NOW) is None


def test_the_front_tells_what_decides_each_place() -> None:
    """The first so many, aged as they are."""
    state = semaphore(0, "j1", "j2")
    rules.acquire(state, Acquire("old", "low", NOW - 1300, not_before=NOW + 5))
    first, second = rules.front(state, 2, NOW)
    assert (first["job"], first["position"], first["not_before"]) == ("old", 1, NOW + 5)
    assert (first["priority"], first["priority_now"]) == ("low", "high")
    assert (second["job"], second["position"], second["priority_now"]) == ("j1", 2, "normal")


def test_leaving_the_queue_names_no_lease() -> None:
    """A waiter leaves; an unknown job or a foreign lease is no matter."""
    state = semaphore(1, "j1", "j2")
    assert granted(state) == ["j1"]
    assert rules.release(state, Release("j2"), NOW)
    assert not rules.release(state, Release("j2"), NOW)
    assert not rules.release(state, Release("j1"), NOW), "a holder is in no queue"
    assert not rules.release(state, Release("j1", "e0/1"), NOW)
    assert state.in_use == 1


@pytest.mark.parametrize(
    ("message", "taken"),
    [
        (Allot("acme/a", "f1", "e0", 2, 9), False),  # meant for an earlier life
        (Allot("acme/a", "f0", "e1", 2, 9), False),  # from an earlier Fleet
        (Allot("acme/a", "f1", "e1", 1, 9), False),  # no news
        (Allot("acme/a", "f1", "", 2, 9), True),
        (Allot("acme/a", "f1", "e1", 2, 9), True),
    ],
)
def test_only_a_newer_allotment_counts(message: Allot, taken: bool) -> None:
    """Epochs make old messages void, sequences late ones."""
    state = semaphore(1)
    assert rules.allot(state, message) is taken
    assert state.allotment == (9 if taken else 1)


def test_at_the_word_of_a_new_fleet_it_freezes_and_tells() -> None:
    """What is in use stays, nothing is granted, and the truth is reported."""
    state = semaphore(2, "j1")
    rules.grants(state, NOW)
    rules.report(state, NOW)
    assert rules.allot(state, Allot("acme/a", "f2", "e1", 7, 9))
    assert (state.allotment, state.sequence) == (1, 7)
    assert rules.report_due(state, NOW)
    told = rules.report(state, NOW)
    assert (told.fleet_epoch, told.acked, told.allotment, told.in_use) == ("f2", 7, 1, 1)


@pytest.mark.parametrize(
    ("allotted", "held", "fleet_epoch", "thaws", "stays"),
    [
        (1, 2, "f2", True, 1),  # lowered below what is out
        (2, 2, "f2", False, 2),
        (3, 2, "f2", False, 2),
        (1, 2, "f1", False, 9),  # no new Fleet: its word counts
    ],
)
def test_a_new_fleet_raises_nothing_that_was_lowered(
    allotted: int, held: int, fleet_epoch: str, thaws: bool, stays: int
) -> None:
    """What comes back is not granted again, as it was by a former version."""
    for former in (False, True):
        state = semaphore(held, *(f"j{n}" for n in range(held)))
        rules.grants(state, NOW)
        rules.allot(state, Allot("acme/a", "f1", "e1", 2, allotted))
        message = Allot("acme/a", fleet_epoch, "e1", 3, 9)
        assert rules.would_thaw(state, message) is thaws
        if former:
            assert rules.allot(state, message, thaws=True)
            assert state.allotment == (held if thaws else stays)
        else:
            assert rules.allot(state, message)
            assert state.allotment == stays


def test_what_it_will_never_take_is_acknowledged_too() -> None:
    """An allotment overtaken on its way is free for others once the Fleet knows."""
    state = semaphore(0)
    rules.report(state, NOW)
    assert not rules.report_due(state, NOW)
    assert rules.allot(state, Allot("acme/a", "f1", "e1", 3, 0))
    assert rules.report_due(state, NOW)
    assert rules.report(state, NOW).acked == 3
    assert not rules.allot(state, Allot("acme/a", "f1", "e1", 2, 1))


def test_after_a_closing_report_nothing_allotted_is_left() -> None:
    """Should somebody ask while it closes, it grants nothing before the Fleet has answered."""
    state = semaphore(2)
    told = rules.report(state, NOW, closing=True)
    assert (told.closing, told.epoch, told.in_use) == (True, "e1", 0)
    rules.forget_report(state)
    rules.acquire(state, Acquire("j1"))
    assert granted(state) == []
    assert not rules.allot(state, Allot("acme/a", "f1", "e1", 2, 2)), "sent to the closed life"
    assert rules.report_due(state, NOW)
    fresh = rules.report(state, NOW)
    assert fresh.epoch > told.epoch
    assert (fresh.fleet_epoch, fresh.allotment, fresh.waiting_count) == ("", 0, 1)


def test_a_busy_repository_reports_next_to_nothing() -> None:
    """Regranting its own permits with a steady line is no news; the line's end is."""
    state = semaphore(1, *(f"j{i}" for i in range(5)))
    rules.report(state, NOW)
    assert granted(state) == ["j0"]
    rules.report(state, NOW)
    for i in range(4):
        rules.release(state, Release(f"j{i}", state.holders[f"j{i}"].id), NOW)
        rules.acquire(state, Acquire(f"k{i}", queued_at=NOW - 95))
        assert granted(state) == [f"j{i + 1}"]
        assert not rules.report_due(state, NOW)
    for i in range(4):
        rules.release(state, Release(f"k{i}"), NOW)
    assert rules.report_due(state, NOW)


def test_a_line_that_is_younger_by_half_a_minute_is_news() -> None:
    """The Fleet would take it for older than it is, and others would wait behind it."""
    state = semaphore(1, "j1")
    rules.acquire(state, Acquire("j2", queued_at=NOW - 60))
    rules.acquire(state, Acquire("j3", queued_at=NOW - 31))
    granted(state)
    rules.report(state, NOW)
    state.holders.clear()
    assert granted(state) == ["j2"]
    state.believed_waiting = 1
    assert not rules.report_due(state, NOW)
    state.believed_oldest -= 2
    assert rules.report_due(state, NOW)


def test_what_the_fleet_can_work_out_is_not_reported() -> None:
    """It knows that its own allotment let waiters through."""
    state = semaphore(0, "j1", "j2", "j3")
    assert rules.report_due(state, NOW)
    rules.report(state, NOW)
    assert rules.allot(state, Allot("acme/a", "f1", "e1", 2, 2))
    rules.grants(state, NOW)
    assert not rules.report_due(state, NOW)


def test_a_more_urgent_line_is_news() -> None:
    """So is one that grew by more than a quarter."""
    state = semaphore(0, "j1", "j2")
    rules.report(state, NOW)
    rules.acquire(state, Acquire("j3", queued_at=NOW))
    assert not rules.report_due(state, NOW)
    rules.acquire(state, Acquire("j4", queued_at=NOW))
    assert rules.report_due(state, NOW)
    rules.report(state, NOW)
    rules.acquire(state, Acquire("j4", "critical"))
    assert rules.report_due(state, NOW)


def test_a_new_run_reports_in_its_own_epoch() -> None:
    """Continue-as-new, and a report that did not arrive, make the next one due."""
    state = semaphore(1)
    assert rules.report(state, NOW).number == 1
    assert not rules.report_due(state, NOW)
    rules.begin(state, "e1", NOW)
    assert not rules.report_due(state, NOW), "the same run"
    rules.begin(state, "e2", NOW)
    assert rules.report_due(state, NOW)
    told = rules.report(state, NOW)
    assert (told.epoch, told.number, told.allotment) == ("e2", 1, 1)
    rules.forget_report(state)
    assert rules.report_due(state, NOW)
    rules.allot(state, Allot("acme/a", "f1", "e2", 2, 0))
    assert rules.report(state, NOW).acked == 2


def test_a_job_that_could_not_answer_gets_no_permit_by_asking() -> None:
    """It is counted as a holder until it speaks: then it queues, or gives back what it had."""
    state = semaphore(2)
    claims = [Claim(job, lease=f"{rules.UNANSWERED}{job}") for job in ("j1", "j2")]
    rules.adopt(state, claims, NOW)
    assert state.in_use == 2
    assert rules.acquire(state, Acquire("j1", queued_at=NOW)) is None
    assert (state.in_use, list(state.waiters)) == (1, ["j1"])
    assert rules.release(state, Release("j2", "some/lease"), NOW)
    assert state.in_use == 0
    assert rules.UNANSWERED < "0", "every real lease is newer"


def test_the_line_is_told_in_order() -> None:
    """The first so many."""
    state = semaphore(0, "j1", "j2", "j3")
    assert rules.in_order(state, 2, NOW) == ["j1", "j2"]


def test_waiters_that_cannot_go_yet_are_reported_as_held_up() -> None:
    """A fleet with such is not drained."""
    state = semaphore(1)
    rules.report(state, NOW)
    rules.acquire(state, Acquire("j1", queued_at=NOW, not_before=NOW + 60))
    assert rules.report_due(state, NOW)
    told = rules.report(state, NOW)
    assert (told.held_up, told.waiting_count) == (1, 0)
    assert not rules.report_due(state, NOW)
    assert rules.report_due(state, NOW + 60)


def test_it_rebuilds_itself_from_what_jobs_claim() -> None:
    """Leases and places are taken over once each; nothing new is granted for them."""
    state = SemaphoreState("acme/a")
    rules.begin(state, "e9", NOW)
    claims = [
        Claim("j1", "e1/1", NOW - 50),
        Claim("j2", waiting=True, priority="high", queued_at=NOW - 9, not_before=NOW - 1),
        Claim("j3"),
    ]
    rules.adopt(state, claims, NOW)
    rules.adopt(state, [*claims, Claim("j1", waiting=True), Claim("j2", waiting=True)], NOW)
    assert [(h.id, h.granted_at) for h in state.holders.values()] == [("e1/1", NOW - 50)]
    assert state.waiters == {"j2": Acquire("j2", "high", NOW - 9, NOW - 1)}
    assert granted(state) == []
    assert rules.release(state, Release("j1", "e1/1"), NOW)


def test_only_the_newest_durations_are_kept() -> None:
    """Sixty-four of them, told as eleven quantiles; a lease without a runner counts for none."""
    state = semaphore(1)
    for i in range(70):
        rules.acquire(state, Acquire(f"j{i}"))
        lease = rules.grants(state, NOW)[0].granted.lease
        rules.release(state, Release(f"j{i}", lease, float(i)), NOW)
    assert state.durations == [float(i) for i in range(6, 70)]
    assert rules.report(state, NOW).samples == 64


@given(st.lists(st.floats(0, 1e6), max_size=100))
def test_quantiles_are_members_in_order(values: list[float]) -> None:
    """From the least to the greatest; none of nothing."""
    found = rules.quantiles(values)
    assert found == sorted(found)
    assert set(found) <= set(values)
    assert len(found) == (rules.QUANTILES if values else 0)
    if values:
        assert (found[0], found[-1]) == (min(values), max(values))


def test_a_place_in_line_is_told_with_what_is_around_it() -> None:
    """For `explain`: a waiter's place and present priority, a holder's lease, a stranger's 0."""
    state = semaphore(1, "j1", "j2", "j3")
    rules.grants(state, NOW)
    told = rules.place(state, "j3", NOW + 1300)
    assert (told["position"], told["waiting"], told["in_use"], told["allotment"]) == (2, 2, 1, 1)
    assert (told["priority_now"], told["holds"], told["not_before"]) == ("critical", False, 0.0)
    assert rules.place(state, "j1", NOW)["holds"]
    stranger = rules.place(state, "j9", NOW)
    assert (stranger["position"], stranger["priority_now"]) == (0, "")


def test_after_a_reset_it_knows_as_little_as_a_fresh_one() -> None:
    """But how long runners live; what was sent to its former life is void."""
    state = semaphore(2, "j1", "j2", "j3")
    rules.grants(state, NOW)
    assert rules.release(state, Release("j1", state.holders["j1"].id, 30.0), NOW)
    rules.start_over(state, "e2", NOW)
    assert (state.in_use, state.waiters, state.allotment, state.epoch) == (0, {}, 0, "e2")
    assert state.durations == [30.0]
    assert not rules.allot(state, Allot("acme/a", "f1", "e1", 9, 2))
    rules.adopt(state, [Claim("j2", "e1/00000002", NOW), Claim("j3", waiting=True)], NOW)
    assert state.in_use == 1
    assert rules.allot(state, Allot("acme/a", "f1", "e2", 9, 2))
    assert granted(state) == [], "it freezes at what is in use, and reports"
    assert rules.allot(state, Allot("acme/a", "f1", "e2", 10, 2))
    assert granted(state) == ["j3"]
