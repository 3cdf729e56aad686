"""Every call to GitHub passes here first: budgets of tokens, and the gate of who is calling.

Both are kept in the token store and taken together, or not at all: exact across workers.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from activities import meter_records as kept
from activities.errors import Deferred, RateLimited
from activities.token_store import Change, Clock, Record, StoreUnavailable, TokenStore
from policy import gate as gates
from policy import token_bucket
from policy.gate import Gate, Shut
from policy.limits import org_of
from policy.throttle import Refusal
from policy.token_bucket import Rate

logger = logging.getLogger(__name__)

TRIES = 50  # against other workers that write at the same time
AT_ONCE = 10  # reads of one identity under way (GitHub: at most 100 calls, of all workers)
# A whole organization is cooled down for a wait that a job would not sit out with its permit.
COOLS_SECONDS = 30.0
TOLD_APART_SECONDS = 5.0
NOBODY = ""  # on whose behalf the App asks for itself: no organization is cooled down for it

Throttled = Callable[[str, float], Awaitable[bool]]


@dataclass(frozen=True)
class Budget:
    """How often GitHub may be asked for tokens. `per_repo` None: as often as `per_org` allows."""

    per_org: Rate
    per_repo: Rate | None


@dataclass(frozen=True)
class Call:
    """One request. `identity` is whom GitHub counts it for; `repo` on whose behalf it goes.

    `pays`: it serves to get a runner token and comes off the organization's budget; `mints`: it
    makes one, and comes off the repository's too. `spare`: it only looks and can wait. `urgent`:
    all others of the organization wait for what it brings, so it stands behind none of them.
    """

    identity: str
    repo: str
    method: str
    resource: str = "core"
    pays: bool = False
    mints: bool = False
    spare: bool = False
    urgent: bool = False


@dataclass(frozen=True)
class Ticket:
    """A call that was let through, and when; `slow` if calls start again slowly."""

    call: Call
    began: float
    slow: bool = False


class Meter:
    """Lets calls through, or says until when to wait; hears of every answer."""

    def __init__(
        self,
        store: TokenStore,
        budget: Budget,
        clock: Clock,
        throttled: Throttled | None = None,
        *,
        jit: bool = False,
        at_once: int = AT_ONCE,
    ) -> None:
        """`throttled` hears of each organization that is to get no permits, and until when.

        That is one whose calls GitHub refuses; in mode `jit`, where each launch needs a call, also
        one whose budget is promised for longer than a job keeps its permit. It says whether it
        could pass that on. `at_once`: reads of one identity that this worker has under way.
        """
        self._jit = jit
        self._store = store
        self._budget = budget
        self._clock = clock
        self._throttled = throttled
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._news: dict[str, dict[str, gates.Budget]] = {}
        # Refusals, and when they came, that the store has not heard of yet.
        self._owed: defaultdict[str, list[tuple[Refusal, float]]] = defaultdict(list)
        self._promised: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._reads: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(at_once)
        )
        self._writes: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(1)
        )
        self.points = 0  # that this worker has spent
        self.results: dict[str, int] = {}  # of its calls, by answered, limited, unavailable
        self.budgets: dict[tuple[str, str], gates.Budget] = {}  # identity, resource: as last told

    def lane(self, call: Call) -> asyncio.Semaphore:
        """Where calls of an identity wait for each other: writes one by one, as GitHub advises.

        So that none is on its way while GitHub refuses another one.
        """
        lanes = self._reads if gates.points_of(call.method) == gates.READ_POINTS else self._writes
        return lanes[call.identity]

    async def admit(self, call: Call) -> Ticket:
        """Count the call, so that it may go. Raises RateLimited, Deferred, StoreUnavailable."""
        async with self._locks[call.identity]:
            if self._owed[call.identity]:
                await self._change_gate(call.identity, lambda gate: gate)
            for _ in range(TRIES):
                changes, ticket = await self._taken(call, calls=1)
                if await self._store.write(changes):
                    self.points += gates.points_of(call.method)
                    return ticket
        raise Deferred(self._clock() + 1.0, "too many workers count calls at once")

    async def room(self, call: Call, calls: int) -> None:
        """Raise what `admit` would raise if that many calls were made now; nothing is spent."""
        await self._taken(call, calls)

    async def answered(self, ticket: Ticket, resource: str, budget: gates.Budget | None) -> None:
        """GitHub answered with no rate limit, and said what is left of `resource`."""
        self._count("answered")
        call, now = ticket.call, self._clock()
        if budget:
            self.budgets[call.identity, resource] = budget
            self._news.setdefault(call.identity, {})[resource] = budget
        if ticket.slow:
            # Slow start goes on with each answer; else the news go along with the next call.
            try:
                await self._change_gate(
                    call.identity, lambda gate: gates.answered(gate, resource, None, ticket.began)
                )
            except StoreUnavailable as error:
                logger.warning("calls stay slow: %s", error)  # what GitHub gave is not lost for it
        if call.pays and budget and gates.used_up(budget, now):
            await self._tell(call, budget.reset)

    async def refused(self, ticket: Ticket, refusal: Refusal) -> float:
        """GitHub answered with a limit; until when nobody of this identity calls."""
        self._count("limited")
        now = self._clock()
        identity, until = ticket.call.identity, refusal.until
        self._owed[identity].append((refusal, now))
        try:
            # Whoever called may be cancelled now: what GitHub said is written all the same.
            gate = await asyncio.shield(self._change_gate(identity, lambda gate: gate))
            until = gate.paused_until
        except StoreUnavailable as error:
            logger.warning("GitHub's pause of %s is known here only: %s", identity, error)
        await self._tell(ticket.call, until)
        return until

    async def unavailable(self, ticket: Ticket) -> None:
        """GitHub's outage is not this repository's token: its budget has that back."""
        self._count("unavailable")
        rate = self._budget.per_repo
        if not ticket.call.mints or rate is None:
            return
        key = kept.repo_key(ticket.call.repo)
        try:
            for _ in range(TRIES):
                record = (await self._store.read(key)).get(key)
                if record is None:
                    return
                arrival = float(record.value["arrival"]) - rate.interval
                if await self._store.write([kept.of_bucket(key, record, arrival)]):
                    return
        except StoreUnavailable as error:
            logger.warning("a call of %s stays counted: %s", ticket.call.repo, error)

    async def _taken(self, call: Call, calls: int) -> tuple[list[Change], Ticket]:
        """What the call changes, from the present records. Raises RateLimited or Deferred."""
        gate_key = kept.gate_key(call.identity)
        buckets = self._buckets(call)
        records = await self._store.read(gate_key, *buckets)
        now = self._clock()
        gate = self._gate(call.identity, records.get(gate_key))
        points = gates.points_of(call.method)
        passed = gates.admit(gate, call.resource, points, now, spare=call.spare)
        if isinstance(passed, Shut):
            if passed.kind:
                # A call that only looks leaves a reserve: that it waits holds up no runner.
                if call.pays or now < gate.paused_until:
                    await self._tell(call, passed.until)
                raise RateLimited(passed.until, passed.kind, passed.why)
            apart = max(gate.pause, points * gates.POINTS.interval)
            raise Deferred(self._promise(gate_key, passed.until, apart, now), passed.why)
        changes = [kept.of_gate(gate_key, records.get(gate_key), passed, now)]
        denied: dict[str, float] = {}
        for key, rate in buckets.items():
            record = records.get(key)
            arrival = float(record.value["arrival"]) if record else 0.0
            number = calls if key == kept.org_key(call.repo) else 1
            taken = token_bucket.take(arrival, rate, now, number)
            if isinstance(taken, token_bucket.Deferred):
                denied[key] = now + taken.retry_after
            else:
                changes.append(kept.of_bucket(key, record, taken.arrival))
        if denied:
            key = max(denied, key=lambda one: denied[one])
            if call.urgent:
                raise Deferred(denied[key])
            until = self._promise(key, denied[key], buckets[key].interval, now)
            if self._jit and key == kept.org_key(call.repo):
                # Who is granted from then on waits no longer than a job keeps its permit.
                await self._tell(call, until, until - COOLS_SECONDS)
            raise Deferred(until)
        return changes, Ticket(call, now, slow=passed.pause > 0)

    def _buckets(self, call: Call) -> dict[str, Rate]:
        found: dict[str, Rate] = {}
        if call.pays:
            found[kept.org_key(call.repo)] = self._budget.per_org
        if call.mints and self._budget.per_repo:
            found[kept.repo_key(call.repo)] = self._budget.per_repo
        return found

    def _promise(self, key: str, until: float, interval: float, now: float) -> float:
        """A time of its own for each who must wait: told the same, all would come back at once."""
        last = self._promised.get(key, 0.0)
        promised = max(until, last + interval) if last > now else until
        self._promised[key] = promised
        return promised

    async def _change_gate(self, identity: str, change: Callable[[Gate], Gate]) -> Gate:
        """Write the gate with all that is owed, and this change."""
        key = kept.gate_key(identity)
        while True:  # a refusal must not get lost; each failure is another worker's success
            record = (await self._store.read(key)).get(key)
            gate, owed = change(self._gate(identity, record)), list(self._owed[identity])
            if await self._store.write([kept.of_gate(key, record, gate, self._clock())]):
                left = [one for one in self._owed[identity] if one not in owed]
                self._owed[identity] = left
                return gate

    def _gate(self, identity: str, record: Record | None) -> Gate:
        """As the store has it, with what this worker has learnt since its last call."""
        gate = kept.read_gate(record.value) if record else Gate()
        for refusal, when in self._owed[identity]:
            gate = gates.refused(gate, refusal, when)
        for resource, budget in self._news.get(identity, {}).items():
            gate = gates.answered(gate, resource, budget, 0.0)
        return gate

    async def _tell(self, call: Call, until: float, cool_until: float | None = None) -> None:
        """An organization that is to wait for long gets no permits meanwhile."""
        org, cool_until = org_of(call.repo), cool_until or until
        long, told = until - self._clock() > COOLS_SECONDS, self._told.get(org, 0.0)
        # Not for every few seconds more: each word to the Fleet is a signal.
        if self._throttled and org and long and cool_until > told + TOLD_APART_SECONDS:
            self._told[org] = cool_until
            if not await self._throttled(org, cool_until):
                self._told[org] = told

    def _count(self, result: str) -> None:
        self.results[result] = self.results.get(result, 0) + 1
