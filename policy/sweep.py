"""Watching over holders and waiters: whom to look at, whom to nudge, whose lease to take back.

A terminated job gives nothing back by itself. Its lease is taken back when two looks in a row
found its workflow closed. A look is one activity for all suspects, oldest first; it touches
nothing of jobs that live. Nudges tell jobs to look at the clock, so that no job needs a timer of
its own (docs/decisions/0005-no-timers-per-job.md).
"""

import math

from policy.job_state import HOLDER_NUDGE_SECONDS, WAITER_NUDGE_SECONDS
from policy.semaphore_state import SemaphoreState

SUSPECT_SECONDS = 600.0
ENOUGH_SAMPLES = 20  # known durations from which their 99th percentile says something
SECOND_LOOK_SECONDS = 10.0
STALL_SECONDS = 120.0  # waiters stand, all permits are out, and nothing moves
STALLED_AGE_SECONDS = 60.0
MOST_DOUBLINGS = 6  # 120 s · 2⁶ is about two hours
LOOKED_AT_ONCE = 200
NUDGED_AT_ONCE = 200
WAITERS_PAUSE_SECONDS = 60.0


def moved(state: SemaphoreState, now: float) -> None:
    """A permit was granted or came back."""
    state.moved_at = now
    state.stalls = 0


def suspect_age(state: SemaphoreState) -> float:
    """The age from which a holder is looked at: twice what 99 of 100 took, 10 min at least."""
    lives = sorted(state.durations)
    if len(lives) < ENOUGH_SAMPLES:
        return SUSPECT_SECONDS
    return max(SUSPECT_SECONDS, 2 * lives[math.ceil(0.99 * len(lives)) - 1])


def next_look_at(state: SemaphoreState) -> float | None:
    """When to look at holders; None if there are none."""
    oldest = min((lease.granted_at for lease in state.holders.values()), default=None)
    if oldest is None:
        return None
    if state.suspected:
        return state.looked_at
    due = oldest + suspect_age(state)
    if _stands(state):
        due = min(due, max(_stalled_at(state), oldest + STALLED_AGE_SECONDS))
    return max(due, state.looked_at)


def suspects(state: SemaphoreState, now: float) -> list[str]:
    """Holders to look at now, the oldest first, and when the next look may be."""
    age, pause = suspect_age(state), SUSPECT_SECONDS
    if _stands(state) and now >= _stalled_at(state):
        age, pause = STALLED_AGE_SECONDS, STALL_SECONDS
        state.stalls += 1
    state.looked_at = now + pause
    leases = sorted(state.holders.values(), key=lambda lease: lease.granted_at)
    found = [
        lease.job
        for lease in leases
        if lease.granted_at <= now - age or lease.job in state.suspected
    ]
    return found[:LOOKED_AT_ONCE]


def reap(state: SemaphoreState, closed: list[str], now: float) -> int:
    """Take back the leases of jobs found closed at two looks in a row; how many."""
    confirmed = [job for job in closed if job in state.suspected and job in state.holders]
    for job in confirmed:
        del state.holders[job]
        state.idle_since = now
        moved(state, now)
    state.suspected = [job for job in closed if job in state.holders]
    if state.suspected:
        state.looked_at = now + SECOND_LOOK_SECONDS
    return len(confirmed)


def next_nudge_at(state: SemaphoreState) -> float | None:
    """When somebody is to be told to look at the clock; None if nobody is there."""
    times = [
        lease.granted_at + HOLDER_NUDGE_SECONDS
        for lease in state.holders.values()
        if not lease.nudged
    ]
    if state.waiters:
        times.append(_waiters_at(state))
    return min(times, default=None)


def nudges(state: SemaphoreState, now: float) -> list[str]:
    """Jobs to nudge now, at most so many: holders once in a lease, waiters every hour."""
    since = now - HOLDER_NUDGE_SECONDS
    leases = sorted(
        (x for x in state.holders.values() if not x.nudged and x.granted_at <= since),
        key=lambda lease: lease.granted_at,
    )[:NUDGED_AT_ONCE]
    for lease in leases:
        lease.nudged = True
    found = [lease.job for lease in leases]
    if state.waiters and now >= _waiters_at(state):
        found += _late_waiters(state, now, NUDGED_AT_ONCE - len(found))
    return found


def nudge_failed(state: SemaphoreState, job: str, now: float) -> None:
    """It cannot hear: its workflow is closed. That is a first look at a holder."""
    if job in state.holders and job not in state.suspected:
        state.suspected.append(job)
        state.looked_at = now
    state.leave(job)


def _late_waiters(state: SemaphoreState, now: float, most: int) -> list[str]:
    """A pass over all waiters, at most once a minute."""
    heard = sorted((w.heard_at or w.queued_at, w.job) for w in state.waiters.values())
    due = [job for at, job in heard if at <= now - WAITER_NUDGE_SECONDS]
    for job in due[:most]:
        state.waiters[job].heard_at = now
    left = heard[len(due) :] if len(due) <= most else heard[most:]
    following = left[0][0] + WAITER_NUDGE_SECONDS if left else now + WAITER_NUDGE_SECONDS
    state.waiters_nudged_at = max(now + WAITERS_PAUSE_SECONDS, following)
    state.nudged_in_turns = len(due) > most or (
        state.nudged_in_turns and len(heard) > NUDGED_AT_ONCE
    )
    return due[:most]


def _waiters_at(state: SemaphoreState) -> float:
    """Arrivals come in order, so the first in the queue's own order is the first to be late.

    Unless there were too many for one look: then the last one knows who is late next.
    """
    if state.nudged_in_turns:
        return state.waiters_nudged_at
    first = next(iter(state.waiters.values()))
    return max(state.waiters_nudged_at, (first.heard_at or first.queued_at) + WAITER_NUDGE_SECONDS)


def _stands(state: SemaphoreState) -> bool:
    """Waiters stand and every permit is out."""
    return bool(state.waiters) and 0 < state.allotment <= state.in_use


def _stalled_at(state: SemaphoreState) -> float:
    return state.moved_at + STALL_SECONDS * 2 ** min(state.stalls, MOST_DOUBLINGS)
