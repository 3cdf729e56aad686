"""What a semaphore carries to its next run: everything, in few bytes."""

import copy
import json
import pickle
from dataclasses import asdict

from policy import semaphore as rules
from policy.messages import Acquire, Allot
from policy.semaphore_state import Lease, SemaphoreState, close, reopen


def test_the_next_run_gets_the_same_line() -> None:
    """In the same order, with names of any form."""
    state = SemaphoreState("acme/api")
    for i, job in enumerate(["runner-job/acme/api/7", "another", "runner-job/acme/web/9"]):
        state.enter(
            Acquire(job, "high", 1_790_000_000.123 + i, float(i), 1_790_000_500.5 * (i % 2))
        )
    before = copy.deepcopy(state.waiters)
    assert list(state.waiters) == list(before)
    carried = json.loads(json.dumps(asdict(close(state))))
    assert (carried["waiters"], state.waiters, state.packed) == ({}, before, [])
    following = SemaphoreState(**{**carried, "holders": {}})
    reopen(following)
    assert list(following.waiters.items()) != []
    assert {**following.waiters} == {
        job: Acquire(w.job, w.priority, w.queued_at, round(w.not_before, 3), w.heard_at)
        for job, w in before.items()
    }
    assert list(following.waiters) == list(before)
    assert following.packed == []


def test_forty_thousand_waiters_fit_into_a_payload() -> None:
    """Temporal refuses more than 2 MB."""
    state = SemaphoreState("organization/repository")
    for i in range(40_000):
        job = f"runner-job/organization/repository/{29_679_449_526 + i}"
        state.enter(Acquire(job, "normal", 1_790_000_000.0 + i / 100, 0.0, 0.0))
    assert len(json.dumps(asdict(close(state)), separators=(",", ":"))) < 2_000_000


def test_the_index_is_no_part_of_the_state() -> None:
    """It is not carried, compared, or shown; a copy makes its own."""
    state = SemaphoreState("acme/api", allotment=1)
    state.enter(Acquire("j1", queued_at=1.0))
    plain = copy.deepcopy(state)
    assert state.line.first(2.0) is not None
    assert state == plain
    assert asdict(state) == asdict(plain)
    assert repr(state) == repr(plain)
    other = pickle.loads(pickle.dumps(state))
    other.leave("j1")
    assert (other.line.first(2.0), state.line.first(2.0) is None) == (None, False)


def test_what_was_to_be_said_again_is_said_by_the_next_run() -> None:
    """If it is still true then."""
    state = SemaphoreState(
        "acme/api", holders={"j1": Lease("e/1", "j1", 1.0)}, unsaid=["j1", "j2"]
    )
    assert [(g.job, g.granted.lease) for g in rules.repeat(state)] == [("j1", "e/1")]
    assert rules.repeat(state) == []


def test_ten_thousand_waiters_are_served_in_order() -> None:
    """By the index, which each grant moves on; a job that left is passed over."""
    state = SemaphoreState("acme/api")
    rules.begin(state, "e1", 0.0)
    for i in range(10_000):
        rules.acquire(state, Acquire(f"j{(i * 7919) % 10_000:05}", queued_at=float(i)))
    rules.allot(state, Allot("acme/api", "f1", "e1", 1, 5000))
    expected = [w.job for w in sorted(state.waiters.values(), key=lambda w: w.queued_at)]
    state.leave(expected[3])
    given = [grant.job for grant in rules.grants(state, 20_000.0, most=10_000)]
    assert given == (expected[:3] + expected[4:])[:5000]
    assert state.in_use == 5000
