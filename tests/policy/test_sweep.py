"""Whom a semaphore looks at, whom it nudges, and whose lease it takes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import semaphore as rules
from policy import sweep
from policy.messages import Acquire, Allot, Release
from policy.semaphore_state import SemaphoreState

NOW = 10_000.0


def semaphore(n: int, *jobs: str, now: float = NOW) -> SemaphoreState:
    """A semaphore with an allotment; these jobs ask, and get what there is."""
    state = SemaphoreState("acme/a")
    rules.begin(state, "e1", now)
    rules.allot(state, Allot("acme/a", "f1", "e1", 1, n))
    for job in jobs:
        rules.acquire(state, Acquire(job, queued_at=now))
    rules.grants(state, now)
    return state


def test_lost_holders_are_freed_at_the_second_look() -> None:
    """One look may be wrong; a job that lives keeps its lease."""
    assert sweep.next_look_at(semaphore(2)) is None
    state = semaphore(2, "dead", "alive")
    due = NOW + sweep.SUSPECT_SECONDS
    assert sweep.next_look_at(state) == due
    assert sweep.suspects(state, due - 1) == []
    assert sorted(sweep.suspects(state, due)) == ["alive", "dead"]
    assert sweep.reap(state, ["dead"], due) == 0
    second = sweep.next_look_at(state)
    assert second == due + sweep.SECOND_LOOK_SECONDS
    assert sweep.reap(state, ["dead"], second) == 1
    assert list(state.holders) == ["alive"]
    assert sweep.next_look_at(state) == second, "the next one may go on"


def test_a_look_that_found_it_alive_clears_the_suspicion() -> None:
    """Two looks in a row are needed."""
    state = semaphore(1, "j1")
    assert sweep.reap(state, ["j1"], NOW) == 0
    assert sweep.reap(state, [], NOW) == 0
    assert sweep.reap(state, ["j1"], NOW) == 0


@pytest.mark.parametrize(
    ("durations", "age"),
    [
        ([], 600.0),
        ([9000.0] * 19, 600.0),
        ([100.0] * 20, 600.0),
        ([9000.0] * 20, 18_000.0),
        ([100.0] * 60 + [1000.0] * 4, 2000.0),
        ([100.0] * 19 + [1000.0], 2000.0),
        ([1000.0] + [100.0] * 99, 600.0),
    ],
)
def test_the_age_of_suspicion_follows_what_is_known(durations: list[float], age: float) -> None:
    """Twice the 99th percentile, ten minutes at least; few durations say nothing."""
    state = semaphore(1, "j1")
    state.durations = durations
    assert sweep.suspect_age(state) == age
    assert sweep.next_look_at(state) == NOW + age


def test_waiters_before_whom_nothing_moves_bring_the_look_forward() -> None:
    """After two minutes, then four, eight…; a permit that moves begins anew."""
    state = semaphore(1, "j1", "next")
    state.durations = [9000.0] * 20
    looks = [NOW]
    for _ in range(4):
        at = sweep.next_look_at(state)
        assert at is not None
        assert sweep.suspects(state, at) == ["j1"]
        sweep.reap(state, [], at)
        looks.append(at)
    assert [at - NOW for at in looks[1:]] == [120.0, 240.0, 480.0, 960.0]
    rules.release(state, Release("j1", state.holders["j1"].id), looks[-1])
    assert state.stalls == 0
    rules.grants(state, looks[-1])
    assert sweep.next_look_at(state) is not None
    state.allotment = 0
    assert sweep.next_look_at(state) == looks[-1] + 18_000.0, "it may have nothing: no stall"


def test_a_stalled_look_leaves_young_holders_alone() -> None:
    """A minute old at least."""
    state = semaphore(2, "j1", "j2", "next")
    state.holders["j2"].granted_at = NOW + 100
    assert sweep.suspects(state, NOW + 121) == ["j1"]


def test_a_look_takes_so_many_at_once() -> None:
    """The oldest first."""
    state = semaphore(300, *(f"j{i:03}" for i in range(300)))
    for i, lease in enumerate(state.holders.values()):
        lease.granted_at = NOW - i
    found = sweep.suspects(state, NOW + 1e6)
    assert len(found) == sweep.LOOKED_AT_ONCE
    assert found[0] == "j299"


def test_a_holder_is_nudged_once() -> None:
    """When its lease is ten minutes old."""
    state = semaphore(2, "j1", "j2")
    assert sweep.next_nudge_at(state) == NOW + 600.0
    assert sweep.nudges(state, NOW + 599) == []
    assert sweep.nudges(state, NOW + 600) == ["j1", "j2"]
    assert sweep.nudges(state, NOW + 9000) == []
    assert sweep.next_nudge_at(state) is None


def test_a_waiter_is_nudged_every_hour() -> None:
    """Counted from when it asked, each for itself."""
    state = semaphore(0, "j1")
    rules.acquire(state, Acquire("j2", queued_at=NOW + 1800))
    assert sweep.next_nudge_at(state) == NOW + 3600
    assert sweep.nudges(state, NOW + 3600) == ["j1"]
    assert sweep.next_nudge_at(state) == NOW + 7200, "the first of the queue leads"
    assert sweep.nudges(state, NOW + 5399) == []
    assert sweep.nudges(state, NOW + 7200) == ["j2", "j1"]
    rules.release(state, Release("j1"), NOW + 7201)
    rules.release(state, Release("j2"), NOW + 7201)
    assert sweep.next_nudge_at(state) is None


def test_many_late_waiters_are_nudged_in_turns() -> None:
    """A minute apart."""
    state = semaphore(0, *(f"j{i:03}" for i in range(250)))
    first = sweep.nudges(state, NOW + 3600)
    assert first == [f"j{i:03}" for i in range(200)]
    assert sweep.next_nudge_at(state) == NOW + 3660
    assert sweep.nudges(state, NOW + 3659) == []
    assert sweep.nudges(state, NOW + 3660) == [f"j{i:03}" for i in range(200, 250)]
    assert sweep.next_nudge_at(state) == NOW + 7200
    assert sweep.nudges(state, NOW + 7199) == []
    assert sweep.nudges(state, NOW + 7200) == first
    assert sweep.nudges(state, NOW + 7260) == [f"j{i:03}" for i in range(200, 250)]


def test_a_full_look_owes_nothing() -> None:
    """As many as a look nudges: the next one is an hour later."""
    state = semaphore(0, *(f"j{i:03}" for i in range(sweep.NUDGED_AT_ONCE)))
    assert len(sweep.nudges(state, NOW + 3600)) == sweep.NUDGED_AT_ONCE
    assert not state.nudged_in_turns
    assert sweep.next_nudge_at(state) == NOW + 7200


def test_whoever_cannot_hear_a_nudge_is_closed() -> None:
    """A holder is suspected, and looked at again at once; a waiter leaves the line."""
    state = semaphore(1, "j1", "j2")
    sweep.nudge_failed(state, "j2", NOW + 600)
    assert list(state.waiters) == []
    sweep.nudge_failed(state, "j1", NOW + 600)
    sweep.nudge_failed(state, "j1", NOW + 600)
    assert sweep.next_look_at(state) == NOW + 600
    assert sweep.suspects(state, NOW + 600) == ["j1"]
    assert sweep.reap(state, ["j1"], NOW + 601) == 1
    assert state.in_use == 0


def test_after_a_look_there_is_none_for_ten_minutes_or_two_in_a_stall() -> None:
    """Whatever has become due meanwhile."""
    state = semaphore(1, "j1")
    sweep.suspects(state, NOW + 600)
    assert sweep.next_look_at(state) == NOW + 1200
    state = semaphore(1, "j1", "next")
    state.durations = [9000.0] * 20
    sweep.suspects(state, NOW + 230)
    assert sweep.next_look_at(state) == NOW + 350, "not 240, when the next stall would be due"


def test_a_lease_taken_back_is_a_move_like_any_other() -> None:
    """Time without work begins, and stalls are counted anew, at the moment of the second look."""
    state = semaphore(2, "dead", "alive", "next")
    sweep.suspects(state, NOW + 120)
    sweep.suspects(state, NOW + 240)
    assert sweep.reap(state, ["dead"], NOW + 240) == 0
    assert state.stalls == 2
    assert sweep.reap(state, ["dead"], NOW + 250) == 1
    assert (state.idle_since, state.moved_at, state.stalls) == (NOW + 250, NOW + 250, 0)


def test_only_holders_can_be_suspected() -> None:
    """A job that gave its lease back between two looks is nobody's holder any more."""
    state = semaphore(2, "j1", "j2")
    assert sweep.reap(state, ["j1", "stranger"], NOW) == 0
    assert state.suspected == ["j1"]
    rules.release(state, Release("j1", state.holders["j1"].id), NOW + 1)
    assert sweep.reap(state, ["j1", "stranger"], NOW + 10) == 0
    assert (state.suspected, list(state.holders)) == ([], ["j2"])


def test_a_stalled_look_waits_until_the_oldest_holder_is_a_minute_old() -> None:
    """A lease that was adopted is as young as its job says, whenever the last permit moved."""
    state = semaphore(1, "j1", "next")
    state.holders["j1"].granted_at = NOW + 100
    assert sweep.next_look_at(state) == NOW + 160


@pytest.mark.parametrize(
    ("n", "jobs", "stands"), [(1, 2, True), (1, 1, False), (2, 2, False), (2, 3, True)]
)
def test_it_stands_when_waiters_stand_and_every_permit_is_out(
    n: int, jobs: int, stands: bool
) -> None:
    """Then the first look is due after two minutes, else after ten."""
    state = semaphore(n, *(f"j{i}" for i in range(jobs)))
    assert sweep.next_look_at(state) == NOW + (120 if stands else 600)
    assert len(sweep.suspects(state, NOW + 120)) == (n if stands else 0)


def test_it_stands_too_when_more_is_out_than_allotted() -> None:
    """The allotment was lowered below what is in use: waiters wait all the more."""
    state = semaphore(2, "j1", "j2", "next")
    state.allotment = 1
    assert sweep.next_look_at(state) == NOW + 120
    assert sweep.suspects(state, NOW + 120) == ["j1", "j2"]


def test_whoever_may_have_nothing_does_not_stand() -> None:
    """The fleet is stopped, or its limit is none: waiters wait for that, not for the holders."""
    state = semaphore(1, "j1", "next")
    state.allotment = 0
    assert sweep.next_look_at(state) == NOW + 600
    assert sweep.suspects(state, NOW + 120) == []


def test_looks_in_a_long_stall_are_two_hours_apart_at_most() -> None:
    """The doubling ends at the sixth."""
    state = semaphore(1, "j1", "next")
    state.durations = [1e6] * 20
    state.stalls = 9
    assert sweep.next_look_at(state) == NOW + 120 * 2**6


def test_of_many_late_holders_the_oldest_are_nudged_first_and_all_in_time() -> None:
    """So many at once, and waiters only as far as that leaves room."""
    state = semaphore(250, *(f"j{i:03}" for i in range(350)))
    for i, lease in enumerate(state.holders.values()):
        lease.granted_at = NOW - i
    assert sweep.next_nudge_at(state) == NOW - 249 + 600
    assert sweep.nudges(state, NOW + 600) == [f"j{i:03}" for i in range(249, 49, -1)]
    assert sweep.next_nudge_at(state) == NOW - 49 + 600
    found = sweep.nudges(state, NOW + 3600)
    assert found[:50] == [f"j{i:03}" for i in range(49, -1, -1)]
    assert found[50:] == [f"j{i:03}" for i in range(250, 350)]


def test_waiters_fill_up_what_holders_leave_of_a_round() -> None:
    """150 holders and 100 waiters are late at once: fifty waiters come later."""
    state = semaphore(150, *(f"j{i:03}" for i in range(250)))
    found = sweep.nudges(state, NOW + 3600)
    assert found == [f"j{i:03}" for i in range(200)]
    assert [job for job, w in state.waiters.items() if w.heard_at] == found[150:]


def test_when_the_first_waiter_leaves_the_next_one_is_nudged_at_its_own_hour() -> None:
    """Not an hour after the last round, and never within a minute of it."""
    state = semaphore(0, "j1")
    rules.acquire(state, Acquire("j2", queued_at=NOW + 1800))
    rules.acquire(state, Acquire("j3", queued_at=NOW + 1830))
    assert sweep.nudges(state, NOW + 3600) == ["j1"]
    rules.release(state, Release("j1"), NOW + 3601)
    assert sweep.next_nudge_at(state) == NOW + 5400
    assert sweep.nudges(state, NOW + 5400) == ["j2"]
    rules.release(state, Release("j2"), NOW + 5401)
    assert sweep.next_nudge_at(state) == NOW + 5460
    assert sweep.nudges(state, NOW + 5459) == []
    assert sweep.nudges(state, NOW + 5460) == ["j3"]
    assert sweep.next_nudge_at(state) == NOW + 5460 + 3600


def test_who_was_left_out_of_a_full_round_is_nudged_a_minute_later() -> None:
    """When those that were in it have left; a fresh waiter behind them changes nothing."""
    state = semaphore(0, *(f"j{i:03}" for i in range(250)))
    rules.acquire(state, Acquire("fresh", queued_at=NOW + 3000))
    first = sweep.nudges(state, NOW + 3600)
    assert first == [f"j{i:03}" for i in range(200)]
    for job in first:
        rules.release(state, Release(job), NOW + 3601)
    assert sweep.next_nudge_at(state) == NOW + 3660
    assert sweep.nudges(state, NOW + 3660) == [f"j{i:03}" for i in range(200, 250)]


@pytest.mark.parametrize(("other", "after"), [(0, 3600), (1800, 1800), (30, 60)])
def test_a_waiter_that_comes_back_waits_for_the_next_round(other: int, after: int) -> None:
    """It keeps its old arrival; the next round is when the next of those it saw is late."""
    state = semaphore(0, "j1")
    if other:
        rules.acquire(state, Acquire("j2", queued_at=NOW + other))
    assert sweep.nudges(state, NOW + 3600) == ["j1"]
    for job in ("j1", "j2"):
        rules.release(state, Release(job), NOW + 3601)
    rules.acquire(state, Acquire("back", queued_at=NOW))
    assert sweep.next_nudge_at(state) == NOW + 3600 + after


def test_a_nudge_that_failed_says_nothing_of_strangers() -> None:
    """It may have left meanwhile: nobody is suspected, and no look is brought forward."""
    state = semaphore(1, "j1", "j2")
    sweep.nudge_failed(state, "gone", NOW + 600)
    assert (state.suspected, state.looked_at, list(state.waiters)) == ([], 0.0, ["j2"])
    assert sweep.reap(state, ["j1"], NOW + 600) == 0
    sweep.nudge_failed(state, "j1", NOW + 605)
    assert state.suspected == ["j1"]
    assert sweep.next_look_at(state) == NOW + 610, "as it was to be, at the second look"


@given(
    st.lists(st.tuples(st.sampled_from(range(6)), st.floats(1, 2000)), max_size=40),
    st.sets(st.sampled_from(range(4))),
)
def test_only_closed_holders_lose_their_leases_and_only_at_a_second_look(
    ends: list[tuple[int, float]], closed: set[int]
) -> None:
    """Whatever ends and however time goes: a look may lag, and never takes from the living."""
    jobs = [f"j{i}" for i in range(6)]
    state = semaphore(4, *jobs)
    dead = {f"j{i}" for i in closed}
    seen: dict[str, int] = {}
    now = NOW
    for number, seconds in ends:
        now += seconds
        due = sweep.next_look_at(state)
        if due is not None and now >= due:
            found = [job for job in sweep.suspects(state, now) if job in dead]
            held = set(state.holders)
            for job in found:
                seen[job] = seen.get(job, 0) + 1
            sweep.reap(state, found, now)
            lost = held - set(state.holders)
            assert lost <= dead
            assert all(seen[job] == 2 for job in lost)
        job = f"j{number}"
        if job in state.holders and job not in dead:
            rules.release(state, Release(job, state.holders[job].id, seconds), now)
            rules.acquire(state, Acquire(job, queued_at=now))
        rules.grants(state, now)
    for _ in range(4):
        now += 100_000.0
        found = [job for job in sweep.suspects(state, now) if job in dead]
        sweep.reap(state, found, now)
    assert not dead & set(state.holders)
