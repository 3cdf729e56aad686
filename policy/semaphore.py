"""One repository's semaphore: who holds its permits, who waits, what the Fleet allows.

A permit is a lease. Release and grant name it, so a late or doubled message does nothing. The
laws, kept by every function here: no lease is granted while as many are out as the allotment
allows; every lease out belongs to one job and no job holds two; a waiter is granted at most once
for each time it asked.
"""

import heapq
from dataclasses import dataclass, fields
from typing import Any

from policy.line import rank
from policy.messages import Acquire, Allot, Claim, Granted, Release, Report, Waiting
from policy.priority import PRIORITIES, effective_level
from policy.semaphore_state import Lease, SemaphoreState
from policy.sweep import moved

DURATIONS_KEPT = 64
UNANSWERED = "!unanswered/"  # names the lease of a job that could not say what it holds
OLDEST_DRIFT_SECONDS = 30.0
QUANTILES = 11  # 0 %, 10 %, … 100 %


@dataclass(frozen=True)
class Grant:
    """An effect: tell this job that it holds this lease."""

    job: str
    granted: Granted


def begin(state: SemaphoreState, epoch: str, now: float) -> None:
    """Start a new life (continue-as-new, fresh start): messages to the old one are void."""
    if epoch != state.epoch:
        state.epoch = epoch
        state.report_number = 0
        state.believed_in_use = -1
    if not state.idle_since:
        state.idle_since = now


def start_over(state: SemaphoreState, epoch: str, now: float) -> None:
    """After a reset: begin as one without memory does, which asks the running jobs (`adopt`).

    The state is an older one: of leases granted since it knows nothing, and would grant them
    again. How long runners live is no less true.
    """
    fresh = SemaphoreState(state.repo, durations=state.durations)
    for one in fields(fresh):
        setattr(state, one.name, getattr(fresh, one.name))
    state.__post_init__()
    begin(state, epoch, now)


def adopt(state: SemaphoreState, claims: list[Claim], now: float) -> None:
    """After a fresh start: take over the leases and places that running jobs say they have."""
    for claim in claims:
        if claim.lease and claim.job not in state.holders:
            state.holders[claim.job] = Lease(claim.lease, claim.job, claim.granted_at or now)
            state.leave(claim.job)
        elif claim.waiting and claim.job not in state.holders and claim.job not in state.waiters:
            state.enter(Acquire(claim.job, claim.priority, claim.queued_at, claim.not_before))


def acquire(state: SemaphoreState, request: Acquire) -> Grant | None:
    """Queue a job. A job that already holds a lease is told its lease again."""
    held = state.holders.get(request.job)
    if held and held.id.startswith(UNANSWERED):
        del state.holders[request.job]  # it answers after all, and holds nothing
    elif held:
        return Grant(request.job, Granted(held.id))
    state.enter(request)
    return None


def release(state: SemaphoreState, message: Release, now: float) -> bool:
    """Take a lease back, or a waiter out of the queue. False if it named nothing we know."""
    if not message.lease:
        return state.leave(message.job)
    held = state.holders.get(message.job)
    if held is None or (held.id != message.lease and not held.id.startswith(UNANSWERED)):
        return False
    del state.holders[message.job]
    if message.held_seconds > 0:
        state.durations = [*state.durations, message.held_seconds][-DURATIONS_KEPT:]
    state.idle_since = now
    moved(state, now)
    return True


def would_thaw(state: SemaphoreState, message: Allot) -> bool:
    """Whether a former version granted more than allotted after this, being from a new Fleet."""
    return message.fleet_epoch > state.fleet_epoch and state.in_use > state.allotment


def allot(state: SemaphoreState, message: Allot, *, thaws: bool = False) -> bool:
    """Take the Fleet's allotment if it is newer. False if it is void.

    From a Fleet not known before, we freeze at what is in use, or at what the former one allotted
    if that is less, and let the next report tell it the truth; only a semaphore that never had an
    allotment takes the first one as it is. `thaws`: as a former version, at what is in use.
    """
    if message.epoch not in ("", state.epoch) or message.fleet_epoch < state.fleet_epoch:
        return False
    if message.fleet_epoch > state.fleet_epoch:
        fresh = not state.fleet_epoch and not state.holders and message.epoch == state.epoch
        state.fleet_epoch = message.fleet_epoch
        state.sequence = 0
        if not fresh:
            state.sequence = message.sequence
            state.allotment = state.in_use if thaws else min(state.in_use, state.allotment)
            state.ack_due = True
            return True
    if message.sequence <= state.sequence:
        # Said again: the Fleet waits for our word.
        state.ack_due = state.ack_due or message.sequence == state.sequence
        return False
    # The Fleet can use what it took back only once it knows that we know; what a message that
    # we now will never take had offered counts as taken back.
    overtook = message.sequence > state.sequence + 1
    state.ack_due = state.ack_due or overtook or message.n < state.allotment
    state.sequence = message.sequence
    state.allotment = message.n
    if state.believed_in_use >= 0:
        gained = max(0, min(message.n - state.believed_in_use, state.believed_waiting))
        state.believed_in_use += gained
        state.believed_waiting -= gained
    return True


def grants(state: SemaphoreState, now: float, most: int = 500) -> list[Grant]:
    """Give free permits to the first in line, at most so many; they hold their leases at once."""
    made: list[Grant] = []
    while len(made) < most and state.in_use < state.allotment:
        waiter = state.line.first(now)
        if waiter is None:
            break
        state.leave(waiter.job)
        state.leases_made += 1
        lease = Lease(f"{state.epoch}/{state.leases_made:08d}", waiter.job, now)
        state.holders[waiter.job] = lease
        made.append(Grant(waiter.job, Granted(lease.id)))
        moved(state, now)
    return made


def repeat(state: SemaphoreState) -> list[Grant]:
    """What the last run was about to say again when its history was full."""
    jobs, state.unsaid = state.unsaid, []
    return [Grant(j, Granted(state.holders[j].id)) for j in jobs if j in state.holders]


def position(state: SemaphoreState, job: str, now: float) -> int:
    """A waiter's place in line, 1 first; 0 if it does not wait."""
    waiter = state.waiters.get(job)
    if waiter is None:
        return 0
    mine = rank(waiter, now)
    return 1 + sum(rank(other, now) < mine for other in state.waiters.values())


def place(state: SemaphoreState, job: str, now: float) -> dict[str, Any]:
    """What the query `waiter` answers of one job."""
    waiter = state.waiters.get(job)
    return {
        "repo": state.repo,
        "job": job,
        "position": position(state, job, now),
        "waiting": len(state.waiters),
        "in_use": state.in_use,
        "allotment": state.allotment,
        "holds": job in state.holders,
        "not_before": waiter.not_before if waiter else 0.0,
        "priority_now": (
            PRIORITIES[effective_level(waiter.priority, waiter.queued_at, now)] if waiter else ""
        ),
    }


def in_order(state: SemaphoreState, most: int, now: float) -> list[str]:
    """The first waiters in line."""
    first = heapq.nsmallest(most, state.waiters.values(), key=lambda w: rank(w, now))
    return [waiter.job for waiter in first]


def front(state: SemaphoreState, most: int, now: float) -> list[dict[str, Any]]:
    """What the query `front` answers: the first waiters in line, with what decides their place."""
    first = heapq.nsmallest(most, state.waiters.values(), key=lambda w: rank(w, now))
    return [
        {
            "job": waiter.job,
            "position": position,
            "priority": waiter.priority,
            "priority_now": PRIORITIES[effective_level(waiter.priority, waiter.queued_at, now)],
            "queued_at": waiter.queued_at,
            "not_before": waiter.not_before,
        }
        for position, waiter in enumerate(first, 1)
    ]


def next_eligible_at(state: SemaphoreState, now: float) -> float | None:
    """When the next waiter's `not_before` passes; None if there is none ahead."""
    return state.line.next_at(now)


def waiting_by_priority(state: SemaphoreState, now: float) -> list[Waiting]:
    """The waiters that could take a permit now, by priority, critical first."""
    return state.line.waiting(now)


def report_due(state: SemaphoreState, now: float) -> bool:
    """Whether the Fleet should hear from us: what we are differs from what it can work out.

    Permits in use are reported exactly, waiters when their number passes zero or moves by more
    than a quarter, their age when it is off by half a minute (others may be ahead by then): so a
    busy repository that regrants its own permits sends almost nothing.
    """
    if state.ack_due or state.believed_in_use != state.in_use:
        return True
    groups = waiting_by_priority(state, now)
    count = sum(group.count for group in groups)
    if (len(state.waiters) == count) != (state.believed_held_up == 0):
        return True
    head = groups[0].priority if groups else ""
    if (count == 0) != (state.believed_waiting == 0) or (count and head != state.believed_head):
        return True
    if groups and abs(groups[0].oldest - state.believed_oldest) > OLDEST_DRIFT_SECONDS:
        return True
    return abs(count - state.believed_waiting) > max(1, state.believed_waiting // 4)


def report(state: SemaphoreState, now: float, *, closing: bool = False) -> Report:
    """The report for the Fleet; it counts as told from here on.

    With a closing report everything allotted is given up: should somebody ask meanwhile, the
    semaphore lives on as a new one, whatever is still on its way to the old.
    """
    groups = waiting_by_priority(state, now)
    state.report_number += 1
    state.believed_in_use = state.in_use
    state.believed_waiting = sum(group.count for group in groups)
    state.believed_head = groups[0].priority if groups else ""
    state.believed_oldest = groups[0].oldest if groups else 0.0
    state.believed_held_up = len(state.waiters) - state.believed_waiting
    state.ack_due = False
    told = Report(
        repo=state.repo,
        epoch=state.epoch,
        number=state.report_number,
        fleet_epoch=state.fleet_epoch,
        acked=state.sequence,
        allotment=state.allotment,
        in_use=state.in_use,
        waiting=groups,
        running_since=sorted(lease.granted_at for lease in state.holders.values()),
        durations=quantiles(state.durations),
        samples=len(state.durations),
        held_up=state.believed_held_up,
        closing=closing,
    )
    if closing:
        state.fleet_epoch, state.sequence, state.allotment = "", 0, 0
        begin(state, state.epoch + "~", now)  # sorts after the old life, and before the next run
    return told


def forget_report(state: SemaphoreState) -> None:
    """The Fleet did not get the last report: the next one is due."""
    state.believed_in_use = -1


def quantiles(values: list[float]) -> list[float]:
    """Eleven quantiles of the values, ascending, nearest rank; empty if there are none."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return [ordered[round(i * last / (QUANTILES - 1))] for i in range(QUANTILES)] if values else []
