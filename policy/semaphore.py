"""One repository's semaphore: who holds its permits, who waits, what the Fleet allows.

A permit is a lease. Release and grant name it, so a late or doubled message does nothing. The
laws, kept by every function here: no lease is granted while as many are out as the allotment
allows; every lease out belongs to one job and no job holds two; a waiter is granted at most once
for each time it asked.
"""

import heapq
from dataclasses import dataclass, field
from typing import Any

from policy.messages import Acquire, Allot, Claim, Granted, Release, Report, Waiting
from policy.priority import PRIORITIES, effective_level

DURATIONS_KEPT = 64
UNANSWERED = "!unanswered/"  # names the lease of a job that could not say what it holds
SUSPECT_SECONDS = 600.0
OLDEST_DRIFT_SECONDS = 30.0
SECOND_LOOK_SECONDS = 10.0
QUANTILES = 11  # 0 %, 10 %, … 100 %


@dataclass
class Lease:
    """A permit with its holder."""

    id: str
    job: str
    granted_at: float


@dataclass
class SemaphoreState:
    """All a semaphore carries from one run to the next."""

    repo: str
    epoch: str = ""
    fleet_epoch: str = ""
    sequence: int = 0
    allotment: int = 0
    report_number: int = 0
    leases_made: int = 0
    holders: dict[str, Lease] = field(default_factory=dict[str, Lease])
    waiters: dict[str, Acquire] = field(default_factory=dict[str, Acquire])
    durations: list[float] = field(default_factory=list[float])
    idle_since: float = 0.0
    looked_at: float = 0.0  # no look at holders before this time
    suspected: list[str] = field(default_factory=list[str])  # found closed at the last look
    # What the Fleet can know without a further report: see `report_due`.
    believed_in_use: int = -1
    believed_waiting: int = 0
    believed_head: str = ""
    believed_oldest: float = 0.0
    believed_held_up: int = 0
    ack_due: bool = False

    @property
    def in_use(self) -> int:
        """Permits out."""
        return len(self.holders)


@dataclass(frozen=True)
class Grant:
    """An effect: tell this job that it holds this lease."""

    job: str
    granted: Granted


def begin(state: SemaphoreState, epoch: str, now: float) -> None:
    """Start a new life (continue-as-new, reset, fresh start): messages to the old one are void."""
    if epoch != state.epoch:
        state.epoch = epoch
        state.report_number = 0
        state.believed_in_use = -1
    if not state.idle_since:
        state.idle_since = now


def adopt(state: SemaphoreState, claims: list[Claim], now: float) -> None:
    """After a fresh start: take over the leases and places that running jobs say they have."""
    for claim in claims:
        if claim.lease and claim.job not in state.holders:
            state.holders[claim.job] = Lease(claim.lease, claim.job, claim.granted_at or now)
            state.waiters.pop(claim.job, None)
        elif claim.waiting and claim.job not in state.holders:
            state.waiters.setdefault(
                claim.job,
                Acquire(claim.job, claim.priority, claim.queued_at, claim.not_before),
            )


def acquire(state: SemaphoreState, request: Acquire) -> Grant | None:
    """Queue a job. A job that already holds a lease is told its lease again."""
    held = state.holders.get(request.job)
    if held and held.id.startswith(UNANSWERED):
        del state.holders[request.job]  # it answers after all, and holds nothing
    elif held:
        return Grant(request.job, Granted(held.id))
    state.waiters[request.job] = request
    return None


def release(state: SemaphoreState, message: Release, now: float) -> bool:
    """Take a lease back, or a waiter out of the queue. False if it named nothing we know."""
    if not message.lease:
        return state.waiters.pop(message.job, None) is not None
    held = state.holders.get(message.job)
    if held is None or (held.id != message.lease and not held.id.startswith(UNANSWERED)):
        return False
    del state.holders[message.job]
    if message.held_seconds > 0:
        state.durations = [*state.durations, message.held_seconds][-DURATIONS_KEPT:]
    state.idle_since = now
    return True


def allot(state: SemaphoreState, message: Allot) -> bool:
    """Take the Fleet's allotment if it is newer. False if it is void.

    From a Fleet not known before, we freeze at what is in use and let the next report tell it the
    truth; only a semaphore that never had an allotment takes the first one as it is.
    """
    if message.epoch not in ("", state.epoch) or message.fleet_epoch < state.fleet_epoch:
        return False
    if message.fleet_epoch > state.fleet_epoch:
        fresh = not state.fleet_epoch and not state.holders and message.epoch == state.epoch
        state.fleet_epoch = message.fleet_epoch
        state.sequence = 0
        if not fresh:
            state.sequence = message.sequence
            state.allotment = state.in_use
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
    free = min(most, state.allotment - state.in_use)
    if free <= 0 or not state.waiters:
        return []
    eligible = (w for w in state.waiters.values() if w.not_before <= now)
    chosen = heapq.nsmallest(free, eligible, key=lambda w: _rank(w, now))
    made: list[Grant] = []
    for waiter in chosen:
        state.leases_made += 1
        lease = Lease(f"{state.epoch}/{state.leases_made:08d}", waiter.job, now)
        state.holders[waiter.job] = lease
        del state.waiters[waiter.job]
        made.append(Grant(waiter.job, Granted(lease.id)))
    return made


def next_look_at(state: SemaphoreState) -> float | None:
    """When the oldest holder becomes suspect. A look is cheap and touches closed jobs only."""
    oldest = min((lease.granted_at for lease in state.holders.values()), default=None)
    return None if oldest is None else max(oldest + SUSPECT_SECONDS, state.looked_at)


def suspects(state: SemaphoreState, now: float) -> list[str]:
    """Holders to look at now; the next look is due one suspect age later."""
    since = now - SUSPECT_SECONDS
    found = [lease.job for lease in state.holders.values() if lease.granted_at <= since]
    state.looked_at = now + SUSPECT_SECONDS
    return found


def reap(state: SemaphoreState, closed: list[str], now: float) -> int:
    """Take back the leases of jobs found closed at two looks in a row; how many."""
    confirmed = [job for job in closed if job in state.suspected and job in state.holders]
    for job in confirmed:
        del state.holders[job]
        state.idle_since = now
    state.suspected = [job for job in closed if job not in confirmed]
    if state.suspected:
        state.looked_at = now + SECOND_LOOK_SECONDS
    return len(confirmed)


def position(state: SemaphoreState, job: str, now: float) -> int:
    """A waiter's place in line, 1 first; 0 if it does not wait."""
    waiter = state.waiters.get(job)
    if waiter is None:
        return 0
    mine = _rank(waiter, now)
    return 1 + sum(_rank(other, now) < mine for other in state.waiters.values())


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
    first = heapq.nsmallest(most, state.waiters.values(), key=lambda w: _rank(w, now))
    return [waiter.job for waiter in first]


def next_eligible_at(state: SemaphoreState, now: float) -> float | None:
    """When the next waiter's `not_before` passes; None if there is none ahead."""
    ahead = [w.not_before for w in state.waiters.values() if w.not_before > now]
    return min(ahead, default=None)


def waiting_by_priority(state: SemaphoreState, now: float) -> list[Waiting]:
    """The waiters that could take a permit now, by priority, critical first."""
    groups: dict[str, Waiting] = {}
    for waiter in state.waiters.values():
        if waiter.not_before > now:
            continue
        group = groups.get(waiter.priority)
        if group is None:
            groups[waiter.priority] = Waiting(waiter.priority, 1, waiter.queued_at)
        else:
            group.count += 1
            group.oldest = min(group.oldest, waiter.queued_at)
    return [groups[name] for name in PRIORITIES if name in groups]


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


def _rank(waiter: Acquire, now: float) -> tuple[int, float, str]:
    return (
        effective_level(waiter.priority, waiter.queued_at, now),
        waiter.queued_at,
        waiter.job,
    )
