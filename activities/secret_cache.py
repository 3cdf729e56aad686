"""Credentials that all workers share: minted once, renewed early, one flight for each."""

import asyncio
import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from activities.errors import Deferred, GitHubUnavailable, Waits
from activities.redaction import remember
from activities.token_store import (
    Change,
    Clock,
    Record,
    Secret,
    StoreUnavailable,
    TokenStore,
)
from policy.token_cache import Freshness

logger = logging.getLogger(__name__)

# A flight that takes longer is given up by the others: its worker may be dead.
FLIGHT_SECONDS = 30.0
WAIT_SECONDS = 5.0  # that one caller waits for another worker's flight
LOOK_AGAIN_SECONDS = 0.1
RENEWAL_PAUSE_SECONDS = 30.0  # after a renewal in vain: the old secret serves for minutes yet

Judge = Callable[[Secret, float], Freshness]
Mint = Callable[[], Awaitable[Secret]]


@dataclass(frozen=True)
class Kind:
    """One sort of credential: when it is fresh, to be renewed, stale.

    `shared`: failures of a flight that are the answer to all who waited for it; whoever waited
    through another one tries for itself.
    """

    name: str
    judge: Judge
    shared: tuple[type[Exception], ...] = (GitHubUnavailable, StoreUnavailable, Waits)


@dataclass
class Flights:
    """One worker's flights for one key, of which there is one at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: int = 0
    failure: Exception | None = None  # of the last one
    wait: Deferred | None = None  # our own measure said so to the last one
    renew_at: float = 0.0


class SecretCache:
    """The secrets of one worker, before the store of all."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        """`clock` gives epoch seconds."""
        self._store = store
        self._clock = clock
        self._me = uuid.uuid4().hex
        self._known: dict[str, Secret] = {}
        self._flights: defaultdict[str, Flights] = defaultdict(Flights)
        self._renewing: set[asyncio.Task[Secret]] = set()
        self.lookups: Counter[tuple[str, str]] = Counter()  # by kind; hit or miss

    async def peek(self, kind: Kind, key: str) -> Secret | None:
        """A secret that serves and is at hand, here or in the store; nothing is minted."""
        known = self._known.get(key)
        if known and kind.judge(known, self._clock()) == "fresh":
            return known
        try:
            found = self._remember(key, (await self._store.read(key)).get(key)) or known
        except StoreUnavailable:
            if known is None or kind.judge(known, self._clock()) == "stale":
                raise
            return known
        return found if found and kind.judge(found, self._clock()) != "stale" else None

    async def get(self, kind: Kind, key: str, mint: Mint) -> Secret:
        """A secret that serves; minted if there is none, renewed behind the caller's back if old.

        Raises what `mint` raises; Deferred if another worker is at it for long.
        """
        found = await self.peek(kind, key)
        self.lookups[kind.name, "miss" if found is None else "hit"] += 1
        if found is None:
            return await self._mint(kind, key, mint)
        flights, now = self._flights[key], self._clock()
        due = kind.judge(found, now) == "refresh" and now >= flights.renew_at
        if due and not flights.lock.locked():
            task = asyncio.create_task(self._mint(kind, key, mint))
            self._renewing.add(task)
            task.add_done_callback(partial(self._renewed, flights))
        return found

    async def close(self) -> None:
        """Give up what is being renewed; another worker, or the next start, takes it up."""
        for task in self._renewing:
            task.cancel()
        await asyncio.gather(*self._renewing, return_exceptions=True)

    async def forget(self, key: str, value: str) -> None:
        """No worker is to use this value any more: GitHub refused it."""
        known = self._known.get(key)
        if known and known.value == value:
            del self._known[key]
        found = (await self._store.read(key)).get(key)
        if found and found.secret == value:
            await self._store.write([Change(key, found.version, {}, "", self._clock() + 1)])

    async def _mint(self, kind: Kind, key: str, mint: Mint) -> Secret:
        flights = self._flights[key]
        ended = flights.ended
        async with flights.lock:
            known = self._known.get(key)
            if known and kind.judge(known, self._clock()) == "fresh":
                return known  # another caller's flight brought it
            if flights.ended > ended and isinstance(flights.failure, kind.shared):
                raise flights.failure.with_traceback(None)  # it failed for us as well
            if flights.wait and self._clock() < flights.wait.until:
                # One of those who want the same has a time for it: all of them have.
                raise Deferred(flights.wait.until, str(flights.wait))
            flights.failure = flights.wait = None
            try:
                return await self._fly(kind, key, mint)
            except Exception as error:
                flights.failure = error
                # GitHub's own pauses have one home, the gate; this is a place in our own line.
                flights.wait = error if isinstance(error, Deferred) else None
                raise
            finally:
                flights.ended += 1

    async def _fly(self, kind: Kind, key: str, mint: Mint) -> Secret:
        taken = await self._take_off(kind, key)
        if isinstance(taken, Secret):
            return taken
        try:
            made = await mint()
        except BaseException:
            await asyncio.shield(self._land(key, taken, None))
            raise
        self._known[key] = made
        remember(made.value)
        await asyncio.shield(self._land(key, taken, made))  # others wait for it, whoever gives up
        return made

    async def _take_off(self, kind: Kind, key: str) -> Secret | Record:
        """The right to mint, as the record that says so; or the secret that another brought."""
        tries = max(1, int(WAIT_SECONDS / LOOK_AGAIN_SECONDS))
        for _ in range(tries):
            record = (await self._store.read(key)).get(key)
            now = self._clock()
            found = self._remember(key, record)
            age = kind.judge(found, now) if found else "stale"
            if found and age == "fresh":
                return found
            flying = record is not None and record.value.get("flight_until", 0.0) > now
            # One of our own has been cut short: there is no other while we are here.
            if not flying or (record and record.value.get("flight") == self._me):
                change = Change(
                    key,
                    record.version if record else 0,
                    {**(record.value if record else {}), "flight_until": now + FLIGHT_SECONDS}
                    | {"flight": self._me},
                    record.secret if record else "",
                    max(record.expires_at if record else 0.0, now + FLIGHT_SECONDS),
                )
                if await self._store.write([change]):
                    return Record(
                        change.next_version, change.value, change.secret, change.expires_at
                    )
                continue
            if found and age == "refresh":
                return found
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        raise Deferred(self._clock() + 1.0, "another worker is fetching this token")

    async def _land(self, key: str, taken: Record, made: Secret | None) -> None:
        """Write what was brought, or that nothing was; whoever took over meanwhile stays."""
        value = {k: v for k, v in taken.value.items() if k not in ("flight", "flight_until")}
        if made:
            value = {"minted_at": made.minted_at, "expires_at": made.expires_at}
        change = Change(
            key,
            taken.version,
            value,
            made.value if made else taken.secret,
            made.expires_at if made else taken.expires_at,
        )
        try:
            await self._store.write([change])
        except Exception:
            # The secret serves this worker; the others wait out the flight and mint their own.
            logger.warning("the token store did not take the end of a flight", exc_info=True)

    def _remember(self, key: str, record: Record | None) -> Secret | None:
        if record is None or not record.secret or "minted_at" not in record.value:
            return None
        found = Secret(
            record.secret, float(record.value["minted_at"]), float(record.value["expires_at"])
        )
        known = self._known.get(key)
        if known is None or found.minted_at > known.minted_at:
            self._known[key] = found
            remember(found.value)
        return found

    def _renewed(self, flights: Flights, task: "asyncio.Task[Secret]") -> None:
        self._renewing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        flights.renew_at = self._clock() + RENEWAL_PAUSE_SECONDS
        if not isinstance(error, Waits):
            # The old one serves for a while; a later caller tries again.
            logger.warning("a token could not be renewed: %s", error)
