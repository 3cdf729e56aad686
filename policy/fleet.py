"""The Fleet's state and what it answers: modes, limits, capacity, status, time to drain."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from policy import allotment, drain, launches, slowdown
from policy.allotment import Book
from policy.carry import Row, pack, unpack
from policy.launches import Allowance, Launches, Span
from policy.limits import Limits, difference, org_of
from policy.lives import PRIOR
from policy.messages import Allot
from policy.priority import AGE_STEP_SECONDS, effective_level
from policy.slowdown import Slowdown

MODES = ("normal", "draining", "maintenance")
AUDIT_KEPT = 50
ALLOWANCES_KEPT = 100
AUDIT_TEXT = 500  # characters: what a history carries over for ever stays small
LONGEST_DEADLINE_SECONDS = 30 * 24 * 3600.0
ENDS = ("leave", "stop")  # what becomes of the rest at a drain's deadline
REPEAT_SECONDS = 60.0
SILENT_SECONDS = REPEAT_SECONDS  # after its second introduction nobody waits for a semaphore
GATEWAYS_HEAR_SECONDS = 1.5


@dataclass
class ModeChange:
    """The optional object of the signals drain, resume and maintenance."""

    reason: str = ""
    deadline_seconds: float = 0.0
    stop_running: bool = False
    actor: str = ""
    on_deadline: str = ""  # leave (the default) or stop: maintenance, and every runner ended


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
    deadline_seconds: float = 0.0  # as it was asked for
    on_deadline: str = ""
    drained_at: float = 0.0  # of the drain that goes on; 0 until it is done
    last_drain_seconds: float = 0.0  # from the last drain's order to drained; 0 before the first
    launches: list[Launches] = field(default_factory=list[Launches])  # by worker
    allowances: dict[str, Allowance] = field(default_factory=dict[str, Allowance])
    slow: Slowdown = field(default_factory=Slowdown)
    book: Book = field(default_factory=Book)
    packed: list[Row] = field(default_factory=list[Row])  # the book's accounts between two runs
    cooling: dict[str, float] = field(default_factory=dict[str, float])  # org → until
    rebuilt_at: float = 0.0  # when every semaphore was last asked anew
    owed: dict[str, float] = field(default_factory=dict[str, float])  # repo → asked at
    silent: dict[str, float] = field(default_factory=dict[str, float])  # repo → first asked at
    silent_in: str = ""  # the epoch in which `silent` was asked
    last_known: dict[str, int] = field(default_factory=dict[str, int])  # reserved by the former
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
    # What is reserved for those that answered, or are counted without their word, is an upper
    # bound. Of the others only the Fleet before may have known it.
    known = [a for a in state.book.accounts.values() if a.settled or a.silent]
    last_known = {**state.last_known, **{a.repo: a.reserved for a in known}}
    return replace(
        state,
        book=Book(),
        packed=[],
        unsaid=[],
        owed={},
        silent={},
        silent_in="",
        last_known=last_known,
        unmet=False,
    )


def memo(state: FleetState) -> dict[str, Any]:
    """The mode as it is shown where no worker is needed to read it; `since` in epoch seconds."""
    return {"mode": state.mode, "since": state.since, "reason": state.reason}


def shown(begun: FleetState, mode: str, since: float, reason: str) -> FleetState:
    """What is known of a Fleet that cannot be asked: as it began, and what its memo showed last.

    No deadline is kept: it may have been moved or called off since, and it can stop runners.
    """
    return replace(
        begun,
        mode=mode,
        since=since,
        reason=reason,
        deadline_seconds=0.0,
        deadline_at=0.0,
        on_deadline="",
        drained_at=0.0,
    )


def lost(state: FleetState, running: list[str]) -> list[str]:
    """Repositories that had permits in the former Fleet's book, and whose semaphores do not run.

    They were ended together with that Fleet, so that nobody revived them; what their jobs hold is
    known by nobody either. They must be asked for before anything is raised.
    """
    return [repo for repo, most in state.last_known.items() if most and repo not in running]


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
    state.reason = _text(change.reason)
    # A signal may say anything that JSON can, infinity too.
    timed = mode == "draining" and 0 < change.deadline_seconds <= LONGEST_DEADLINE_SECONDS
    state.deadline_seconds = change.deadline_seconds if timed else 0.0
    state.deadline_at = now + change.deadline_seconds if timed else 0.0
    state.on_deadline = change.on_deadline if timed and change.on_deadline in ENDS else ""
    if mode == state.mode:
        return False
    state.mode = mode
    state.since = now
    state.drained_at = 0.0
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
    """Replace the limits (validated by the caller, policy/limits.py); equal ones are no change."""
    if limits == state.limits:
        return
    changed = difference(state.limits, limits)
    state.limits = limits
    note(state, now, actor, f"limits: {changed}", reason)


def meet_deadline(state: FleetState, now: float) -> bool:
    """Do once what a drain's deadline asks for; whether every runner is to be stopped."""
    if not state.deadline_at or now < state.deadline_at:
        return False
    answer = drain_status(state, now)
    state.deadline_at = 0.0
    if answer["drained"]:
        return False
    left = ", ".join(f"{part['repo']} {part['running']}" for part in answer["blocking"])
    said = f"{answer['running']} run, {answer['waiting']} wait: {left}"
    if state.on_deadline != "stop":
        note(state, now, "deadline", "drain not done: the rest is left to end", said)
        return False
    why = "the drain's deadline passed"
    set_mode(state, "maintenance", ModeChange(why, actor="deadline"), now)
    note(state, now, "deadline", "every runner is stopped", said)
    return True


def time_drain(state: FleetState, now: float) -> None:
    """Keep how long the drain took once it is done; what is queued later does not count to it."""
    if state.mode != "draining" or state.drained_at:
        return
    accounts = state.book.accounts.values()
    if drained(state, sum(a.likely_in_use + a.backlog for a in accounts), now):
        state.drained_at = now
        state.last_drain_seconds = max(0.0, now - state.since)


def drained(state: FleetState, left: int, now: float) -> bool:
    """Whether a mode that takes nothing new has left nothing: `left` jobs run or wait.

    A Fleet that has just begun does not know yet what runs; and gateways hear of a mode a moment
    after it is set.
    """
    known = state.book.ready and not state.unmet and now - state.since >= GATEWAYS_HEAR_SECONDS
    return state.mode != "normal" and left == 0 and known


def hear_launches(state: FleetState, told: Launches) -> None:
    """Take a worker's word on how its launches went; its last one is void.

    And what it knows of GitHub's limits: of two workers' words on one limit the newer holds.
    """
    others = [one for one in state.launches if one.worker != told.worker]
    state.launches = [*others, Launches(told.worker, told.spans)]
    for one in told.allowances:
        key = f"{one.identity} {one.resource}"
        if key not in state.allowances or state.allowances[key].at <= one.at:
            state.allowances[key] = one
    newest = sorted(state.allowances.items(), key=lambda item: item[1].at)
    state.allowances = dict(newest[-ALLOWANCES_KEPT:])


def adapt(state: FleetState, now: float) -> None:
    """Slow down, or speed up again, by how launches went; enter into the audit list."""
    for one in state.launches:
        one.spans = launches.recent(one.spans, now)
    state.launches = [one for one in state.launches if one.spans]
    before, limits = state.slow, state.limits
    rate = limits.pressure.max_error_rate
    state.slow = slowdown.step(before, spans(state), limits.max_runners, rate, now)
    was, is_ = before.capacity, state.slow.capacity
    if is_ is not None and (was is None or is_ < was):
        note(state, now, "error rate", f"capacity {is_}", state.slow.cause)
    elif is_ is None and was is not None:
        note(state, now, "error rate", "full capacity", "launches are well again")


def spans(state: FleetState) -> list[Span]:
    """The launches of all workers."""
    return [span for one in state.launches for span in one.spans]


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
    entry = AuditEntry(now, _text(actor) or "unknown", _text(what), _text(reason))
    state.audit = [*state.audit, entry][-AUDIT_KEPT:]


def _text(said: str) -> str:
    """At most so long, and without lone halves of surrogate pairs.

    Those are legal in JSON, and neither a memo nor the Temporal UI takes them: the Fleet would
    stand still.
    """
    return said[:AUDIT_TEXT].encode("utf-8", "replace").decode()


def capacity(state: FleetState) -> int:
    """How many permits may be out now; in maintenance none are granted."""
    if state.mode == "maintenance":
        return 0
    lowered = (state.effective, state.slow.capacity)
    return min([state.limits.max_runners, *(n for n in lowered if n is not None)])


def lowered_by(state: FleetState) -> str:
    """Why the capacity is less than max_runners; empty if it is not."""
    causes: list[str] = []
    if state.effective is not None and state.effective_cause:
        causes.append(state.effective_cause)
    if state.slow.capacity is not None:
        causes.append(state.slow.cause)
    return "; ".join(causes)


def overdue(state: FleetState, now: float) -> list[str]:
    """Repositories whose semaphores this Fleet has asked in vain for so long that it goes on."""
    if state.silent_in != state.book.epoch:
        state.silent, state.silent_in = {}, state.book.epoch
    accounts = state.book.accounts
    state.silent = {r: state.silent.get(r, now) for r, a in accounts.items() if not a.settled}
    # Who has answered may be given more: what a former Fleet knew of it is no bound any more.
    met = {} if state.book.settled and not state.unmet else state.last_known
    state.last_known = {r: n for r, n in met.items() if r not in accounts or r in state.silent}
    return [
        repo
        for repo, since in state.silent.items()
        if now - since >= SILENT_SECONDS and not accounts[repo].silent
    ]


def go_on_without(state: FleetState, repos: list[str]) -> None:
    """Count as in use the most that these semaphores can have out, and raise the others again.

    That is what the former Fleet had reserved for one that never answered this Fleet. Where
    nobody can know (a reset, a doubted book, a former Fleet that could not say), it is the limit.
    """
    for repo in repos:
        most = state.last_known.get(repo, state.limits.repo_cap(repo))
        allotment.go_on_without(state.book, repo, most)


def silence(state: FleetState, repo: str, now: float) -> str:
    """What `status` says of a semaphore that does not answer; empty while that is no trouble."""
    account = state.book.accounts[repo]
    if not account.silent:
        return ""
    asked = now - state.silent.get(repo, now)
    return (
        f"its semaphore has not answered for {asked:.0f} s (do its workflow tasks fail, has it no "
        f"worker?): {account.reserved} of its permits count as in use, and it gets no others"
    )


def over_by_use_alone(state: FleetState, now: float) -> bool:
    """Whether `by_use` makes a difference for `rebalance` now."""
    return allotment.over_by_use_alone(
        state.book, state.limits, capacity(state), now, state.cooling
    )


def over_in_use(state: FleetState, now: float) -> bool:
    """Whether `exact` makes a difference for `rebalance` now."""
    return allotment.over_in_use(state.book, state.limits, capacity(state), now, state.cooling)


def rebalance(
    state: FleetState, now: float, *, by_use: bool = True, exact: bool = True
) -> list[Allot]:
    """The allotments to send now, and again what nobody has answered for a minute.

    Pauses that are over are forgotten first. `by_use` and `exact` as in policy/allotment.py.
    """
    state.cooling = {org: until for org, until in state.cooling.items() if until > now}
    sent = allotment.rebalance(
        state.book,
        state.limits,
        capacity(state),
        now,
        state.cooling,
        by_use=by_use,
        exact=exact,
    )
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
    if state.deadline_at:
        times.append(state.deadline_at)
    if (look := slowdown.next_look(state.slow)) is not None:
        times.append(look)
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
        "effective_cause": lowered_by(state),
        "deadline_at": state.deadline_at,
        "on_deadline": state.on_deadline,
        "last_drain_seconds": round(state.last_drain_seconds, 1),
        "running": sum(a.likely_in_use for a in accounts),
        "waiting": sum(a.backlog for a in accounts),
        "reserved": sum(a.reserved for a in accounts),
        "settled": state.book.settled,
        "unmet": state.unmet,
        "rebuilt_at": state.rebuilt_at,
        "cooling": dict(sorted(state.cooling.items())),
        "github": [_allowance(one, now) for _, one in sorted(state.allowances.items())],
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
                "cause": silence(state, a.repo, now),
                "org_limit": state.limits.org_cap(org_of(a.repo)),
                "waiting_by_priority": [
                    {
                        "priority": g.priority,
                        "count": g.count,
                        "oldest_wait_seconds": round(now - g.oldest, 1),
                    }
                    for g in a.waiting
                ],
            }
            for a in accounts
        ],
        "audit": [asdict(entry) for entry in state.audit[-10:]],
    }


def _allowance(known: Allowance, now: float) -> dict[str, Any]:
    """As `status` tells it; whole again once its hour is over."""
    over = now >= known.reset
    return {
        "identity": known.identity,
        "resource": known.resource,
        "limit": known.limit,
        "remaining": known.limit if over else known.remaining,
        "reset_at": known.reset,
        "as_of": known.reset if over else known.at,
    }


def overview(state: FleetState, now: float) -> dict[str, Any]:
    """What gateways and recovery steer by: the whole fleet in a few numbers, cheap to ask."""
    accounts = state.book.accounts.values()
    running = sum(a.likely_in_use for a in accounts)
    waiting = sum(a.backlog for a in accounts)
    most = capacity(state)
    known = [(a.samples, sum(a.durations) / len(a.durations)) for a in accounts if a.durations]
    samples = sum(number for number, _ in known)
    life = sum(PRIOR) / len(PRIOR)
    if samples:
        life = sum(number * mean for number, mean in known) / samples
    seen = launches.tally(spans(state), now - launches.WINDOW_SECONDS)
    return {
        "mode": state.mode,
        "since": state.since,
        "reason": state.reason,
        "running": running,
        "waiting": waiting,
        "capacity": most,
        "max_runners": state.limits.max_runners,
        "effective_cause": lowered_by(state),
        "cooling": dict(sorted(state.cooling.items())),
        "completions_per_second": min(most, running + waiting) / life,
        "error_rate": seen.failed / seen.samples if seen.samples else 0.0,
        "launches": [asdict(span) for span in spans(state)],
        **asdict(state.limits.pressure),
        "settled": state.book.ready and not state.unmet,
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
    running = sum(len(load.ages) for load in work)
    waiting = sum(load.waiting for load in work)
    return {
        "mode": state.mode,
        "since": state.since,
        "reason": state.reason,
        "deadline_at": state.deadline_at,
        "deadline_seconds": state.deadline_seconds,
        "on_deadline": state.on_deadline,
        "running": running,
        "waiting": waiting,
        "drained": drained(state, running + waiting, now),
        "eta_seconds": {"p50": whole.p50, "p90": whole.p90, "upper": whole.upper},
        "eta_at": round(now + whole.p50, 1),
        "method": whole.method,
        "samples": whole.samples,
        "by_repo": by_repo,
        "blocking": sorted(by_repo, key=lambda part: (-part["p90"], part["repo"]))[:5],
    }
