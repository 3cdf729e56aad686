"""When GitHub may be called: one gate for each identity whose calls GitHub counts.

Sources: GitHub's documentation, "Rate limits for the REST API" (900 points a minute an endpoint, a
read costs 1 and a write 5; primary limits by `x-ratelimit-*`) and "Best practices for using the
REST API" (after a refusal wait for GitHub's time, else a minute, growing; going on risks a ban).
Slow start is ours: the first calls after a pause go one by one, the pause between them halves.
"""

from dataclasses import dataclass, field, replace

from policy import token_bucket
from policy.throttle import Kind, Refusal
from policy.token_bucket import Rate

# In any minute at most 200 + 60 × 10 = 800 points, of GitHub's 900: for all endpoints together.
POINTS = Rate(200, 20.0)
READ_POINTS, WRITE_POINTS = 1, 5
FIRST_PAUSE_SECONDS = 8.0  # between the first two calls after a refusal
LAST_PAUSE_SECONDS = 0.25  # below it the start is over
LONGEST_PAUSE_SECONDS = 3600.0
# Of the primary limit: looking can wait until the reset, what runners need can not.
RESERVE_SHARE = 0.1
SAME_HOUR_SECONDS = 10.0
FLOOR = 20  # calls that other workers may have on their way


@dataclass(frozen=True)
class Budget:
    """A primary limit, as GitHub's last answer told it; `reset` is epoch seconds."""

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True)
class Gate:
    """All that is known of one identity's standing with GitHub. Times are epoch seconds."""

    paused_until: float = 0.0
    kind: Kind = "secondary"  # of the last refusal
    refusals: int = 0  # one after another
    pause: float = 0.0  # between calls, in slow start
    next_at: float = 0.0  # the next call's time, in slow start
    points: float = 0.0  # the bucket of points
    budgets: dict[str, Budget] = field(default_factory=dict[str, Budget])


@dataclass(frozen=True)
class Shut:
    """No call before `until`; `kind`: the limit of GitHub's, None by our own measure."""

    until: float
    why: str
    kind: Kind | None = None


def points_of(method: str) -> int:
    """What a request costs of the secondary limit."""
    return READ_POINTS if method in ("GET", "HEAD", "OPTIONS") else WRITE_POINTS


def admit(
    gate: Gate, resource: str, points: int, now: float, *, spare: bool = False
) -> Gate | Shut:
    """The gate after a call that may go now, or why and until when it may not.

    `spare`: the call only looks, and leaves the last tenth of the primary limit to others.
    """
    if now < gate.paused_until:
        return Shut(gate.paused_until, f"GitHub's {gate.kind} rate limit is used up", gate.kind)
    budget = gate.budgets.get(resource)
    if budget and used_up(budget, now, spare=spare):
        return Shut(budget.reset, f"GitHub's limit {resource} is nearly used up", "primary")
    if gate.pause and now < gate.next_at:
        return Shut(gate.next_at, "calls start again slowly after a refusal")
    taken = token_bucket.take(gate.points, POINTS, now, points)
    if isinstance(taken, token_bucket.Deferred):
        return Shut(now + taken.retry_after, "calls are spread over the minute")
    return replace(gate, points=taken.arrival, next_at=now + gate.pause)


def used_up(budget: Budget, now: float, *, spare: bool = False) -> bool:
    """Whether no such call may go before the limit's reset."""
    reserve = max(FLOOR, RESERVE_SHARE * budget.limit) if spare else FLOOR
    # A limit lower than the floor is a test's or an anonymous caller's.
    return now < budget.reset and budget.remaining <= min(reserve, budget.limit // 2)


def refused(gate: Gate, refusal: Refusal, now: float) -> Gate:
    """GitHub answered with a limit: nobody calls before its time, and slowly after it.

    A time that GitHub did not name grows with every refusal in a row, to an hour.
    """
    refusals = gate.refusals + (now >= gate.paused_until)
    wait = refusal.until - now
    if not refusal.said:
        wait = min(LONGEST_PAUSE_SECONDS, wait * 2 ** (max(1, refusals) - 1))
    until = max(gate.paused_until, now + wait)
    return replace(
        gate,
        paused_until=until,
        kind=refusal.kind if until > gate.paused_until else gate.kind,
        refusals=refusals,
        pause=FIRST_PAUSE_SECONDS,
        next_at=until,
    )


def answered(gate: Gate, resource: str, budget: Budget | None, began: float) -> Gate:
    """GitHub did what was asked by a call begun at `began`: slow start goes on, budgets are noted.

    Of two answers of one hour the one with fewer calls remaining is the later. Resets of one hour
    may differ by what the clocks do.
    """
    if budget:
        known = gate.budgets.get(resource)
        apart = budget.reset - known.reset if known else SAME_HOUR_SECONDS + 1
        later = known is None or budget.remaining < known.remaining
        if apart > SAME_HOUR_SECONDS or (abs(apart) <= SAME_HOUR_SECONDS and later):
            gate = replace(gate, budgets={**gate.budgets, resource: budget})
    if gate.pause and began >= gate.paused_until:
        pause = gate.pause / 2
        gate = replace(gate, refusals=0, pause=pause if pause >= LAST_PAUSE_SECONDS else 0.0)
    return gate
