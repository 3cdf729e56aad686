"""The Fleet's state and what it answers: modes, limits, capacity, status, time to drain."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from policy import allotment, drain
from policy.allotment import Book
from policy.carry import Row, pack, unpack
from policy.limits import Limits, difference, org_of
from policy.messages import Allot
from policy.priority import AGE_STEP_SECONDS, effective_level

MODES = ("normal", "draining", "maintenance")
AUDIT_KEPT = 50
AUDIT_TEXT = 500  # characters: what a history carries over for ever stays small
REPEAT_SECONDS = 60.0
GATEWAYS_HEAR_SECONDS = 1.5


@dataclass
class ModeChange:
    """The optional object of the signals drain, resume and maintenance."""

    reason: str = ""
    deadline_seconds: float = 0.0
    stop_running: bool = False
    actor: str = ""


@dataclass
class CapacityChange:
    """Back-pressure: no more than so many permits out for now; None lifts it."""

    effective: int | None = None
    cause: str = ""


@dataclass
class Rebuild:
    """An operator's wish that the Fleet forget its book and ask every semaphore anew."""

    reason: str = ""
    actor: str = ""


@dataclass
class AuditEntry:
    """One change that an operator made."""

    at: float
    actor: str
    what: str
    reason: str


@dataclass
class FleetState:
    """All the Fleet carries from one run to the next."""

    limits: Limits = field(default_factory=Limits)
    configured: Limits | None = None  # what the configuration file last asked for
    effective: int | None = None  # back-pressure: fewer permits than max_runners, for now
    effective_cause: str = ""
    mode: str = "normal"
    since: float = 0.0
    reason: str = ""
    deadline_at: float = 0.0
    book: Book = field(default_factory=Book)
    packed: list[Row] = field(default_factory=list[Row])  # the book's accounts between two runs
    cooling: dict[str, float] = field(default_factory=dict[str, float])  # org → until
    rebuilt_at: float = 0.0  # when every semaphore was last asked anew
    owed: dict[str, float] = field(default_factory=dict[str, float])  # repo → asked at
    unmet: bool = False  # semaphores may run that the book does not know: list them
    unsaid: list[Allot] = field(default_factory=list[Allot])  # for the next run to send
    audit: list[AuditEntry] = field(default_factory=list[AuditEntry])


def close(state: FleetState) -> FleetState:
    """The state in the form in which the next run gets it; `reopen` undoes it.

    The state itself stays as it is: a query may be answered after the run's last decision.
    """
    return replace(state, book=Book(state.book.epoch), packed=pack(state.book))


def reopen(state: FleetState) -> None:
    """Unpack what the last run packed."""
    if state.packed:
        state.book.accounts = unpack(state.packed)
        state.packed = []


def heritage(state: FleetState) -> FleetState:
    """What a Fleet begun after this one's end takes over: all but what it must ask for anew."""
    return replace(state, book=Book(), packed=[], unsaid=[], owed={}, unmet=False)


def rebuild(state: FleetState, wish: Rebuild, epoch: str, now: float) -> list[Allot]:
    """Forget what is known of the semaphores and ask each anew; nothing is raised before.

    What is reserved stays reserved until its semaphore has answered, so that nothing is granted
    twice. Those that the book never heard of are found by the list of running ones (`unmet`).
    """
    note(state, now, wish.actor, "rebuild", wish.reason)
    state.unmet = True
    state.rebuilt_at = now
    state.owed = {}
    return allotment.restart(state.book, epoch)


def set_mode(state: FleetState, mode: str, change: ModeChange, now: float) -> bool:
    """Change the mode; False if it is the mode already (then only the audit list grows)."""
    note(state, now, change.actor, f"mode {mode}", change.reason)
    state.reason = change.reason
    state.deadline_at = now + change.deadline_seconds if change.deadline_seconds > 0 else 0.0
    if mode == state.mode:
        return False
    state.mode = mode
    state.since = now
    return True


def configure(state: FleetState, limits: Limits, now: float) -> bool:
    """Take the limits of the configuration file if that file has changed since we last saw it.

    So an operator's live change outlives a restart, and an edited file takes effect at one.
    """
    if state.configured == limits:
        return False
    state.configured = limits
    set_limits(state, limits, now, "configuration", "")
    return True


def set_limits(state: FleetState, limits: Limits, now: float, actor: str, reason: str) -> None:
    """Replace the limits (validated by the caller, policy/limits.py)."""
    changed = difference(state.limits, limits)
    state.limits = limits
    note(state, now, actor, f"limits: {changed}", reason)


def set_effective(state: FleetState, change: CapacityChange) -> bool:
    """Take the back-pressure's word on the capacity; False if it is in force already.

    Never under 1: a fleet that runs nothing learns nothing of whether it is well again.
    """
    effective = None if change.effective is None else max(1, change.effective)
    changed = effective != state.effective
    state.effective, state.effective_cause = effective, change.cause
    return changed


def cool_down(state: FleetState, org: str, until: float) -> None:
    """Grant the organization nothing before `until`; never shortens a pause."""
    state.cooling[org] = max(until, state.cooling.get(org, 0.0))


def note(state: FleetState, now: float, actor: str, what: str, reason: str) -> None:
    """Enter a change into the bounded audit list."""
    entry = AuditEntry(now, actor or "unknown", what[:AUDIT_TEXT], reason[:AUDIT_TEXT])
    state.audit = [*state.audit, entry][-AUDIT_KEPT:]


def capacity(state: FleetState) -> int:
    """How many permits may be out now; in maintenance none are granted."""
    if state.mode == "maintenance":
        return 0
    most = state.limits.max_runners
    return most if state.effective is None else min(most, state.effective)


def rebalance(state: FleetState, now: float) -> list[Allot]:
    """The allotments to send now, and again what nobody has answered for a minute.

    Pauses that are over are forgotten first.
    """
    state.cooling = {org: until for org, until in state.cooling.items() if until > now}
    sent = allotment.rebalance(state.book, state.limits, capacity(state), now, state.cooling)
    fresh = {allot.repo for allot in sent}
    owed: dict[str, float] = {}
    for repo in allotment.unanswered(state.book):
        owed[repo] = state.owed.get(repo, now)
        if repo in fresh:
            owed[repo] = now
        elif now - owed[repo] >= REPEAT_SECONDS:
            owed[repo] = now
            sent.append(allotment.repeat(state.book, repo))
    state.owed = owed
    return sent


def next_wake(state: FleetState, now: float) -> float | None:
    """When time alone will change the answer of `rebalance`; None if it will not."""
    times = list(state.cooling.values())
    if state.mode != "normal" and now < state.since + GATEWAYS_HEAR_SECONDS:
        times.append(state.since + GATEWAYS_HEAR_SECONDS)  # a query sees no later time than we do
    times += [asked + REPEAT_SECONDS for asked in state.owed.values()]
    # A waiter that moves up a level may be ahead of others then.
    times += [
        group.oldest + AGE_STEP_SECONDS * (1 + (now - group.oldest) // AGE_STEP_SECONDS)
        for account in state.book.accounts.values()
        for group in account.waiting
        if effective_level(group.priority, group.oldest, now) > 0
    ]
    return min(times, default=None)


def status(state: FleetState, now: float) -> dict[str, Any]:
    """What the fleet does now, as the query `status` answers it."""
    accounts = sorted(state.book.accounts.values(), key=lambda a: a.repo)
    return {
        "mode": state.mode,
        "since": state.since,
        "reason": state.reason,
        "limits": asdict(state.limits),
        "capacity": capacity(state),
        "effective_cause": state.effective_cause,
        "running": sum(a.likely_in_use for a in accounts),
        "waiting": sum(a.backlog for a in accounts),
        "reserved": sum(a.reserved for a in accounts),
        "settled": state.book.settled,
        "unmet": state.unmet,
        "rebuilt_at": state.rebuilt_at,
        "cooling": dict(sorted(state.cooling.items())),
        "repos": [
            {
                "repo": a.repo,
                "running": a.likely_in_use,
                "waiting": a.backlog,
                "oldest_wait_seconds": round(
                    max((now - g.oldest for g in a.waiting), default=0.0), 1
                ),
                "allotment": a.allotment,
                "limit": state.limits.repo_cap(a.repo),
                "settled": a.settled,
                "org_limit": state.limits.org_cap(org_of(a.repo)),
            }
            for a in accounts
        ],
        "audit": [asdict(entry) for entry in state.audit[-10:]],
    }


def loads(state: FleetState, now: float) -> list[drain.Load]:
    """The work of each repository as the drain estimate wants it."""
    return [
        drain.Load(
            repo=a.repo,
            ages=[max(0.0, now - since) for since in a.running_since[: a.likely_in_use]]
            + [0.0] * max(0, a.likely_in_use - len(a.running_since)),
            waiting=a.backlog,
            permits=state.limits.repo_cap(a.repo),
            durations=a.durations,
            samples=a.samples,
        )
        for a in sorted(state.book.accounts.values(), key=lambda a: a.repo)
    ]


def drain_status(state: FleetState, now: float) -> dict[str, Any]:
    """How far the drain is and when it ends, as `drain_status` and GET /admin/draining answer."""
    work = loads(state, now)
    forecast = drain.forecast(work, capacity(state))
    whole = forecast.whole
    by_repo: list[dict[str, Any]] = []
    for load in work:
        part = forecast.repos.get(load.repo)
        if part or load.waiting:
            by_repo.append(
                {
                    "repo": load.repo,
                    "running": len(load.ages),
                    "waiting": load.waiting,
                    "p50": part.p50 if part else 0.0,
                    "p90": part.p90 if part else 0.0,
                    "method": part.method if part else "paused",
                    "samples": load.samples,
                }
            )
    # A Fleet that has just begun does not know yet what runs; and gateways hear of a mode a moment
    # after it is set.
    known = state.book.settled and not state.unmet and now - state.since >= GATEWAYS_HEAR_SECONDS
    running = sum(len(load.ages) for load in work)
    waiting = sum(load.waiting for load in work)
    return {
        "mode": state.mode,
        "since": state.since,
        "reason": state.reason,
        "running": running,
        "waiting": waiting,
        "drained": state.mode != "normal" and running == 0 and waiting == 0 and known,
        "eta_seconds": {"p50": whole.p50, "p90": whole.p90, "upper": whole.upper},
        "eta_at": round(now + whole.p50, 1),
        "method": whole.method,
        "samples": whole.samples,
        "by_repo": by_repo,
        "blocking": sorted(by_repo, key=lambda part: (-part["p90"], part["repo"]))[:5],
    }
