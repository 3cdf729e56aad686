"""Credentials that all workers share: minted once, renewed early, one flight for each."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from activities.errors import Deferred, Waits
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

Judge = Callable[[Secret, float], Freshness]
Mint = Callable[[], Awaitable[Secret]]


@dataclass(frozen=True)
class Kind:
    """One sort of credential: when it is fresh, to be renewed, stale."""

    name: str
    judge: Judge


class SecretCache:
    """The secrets of one worker, before the store of all."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        """`clock` gives epoch seconds."""
        self._store = store
        self._clock = clock
        self._me = uuid.uuid4().hex
        self._known: dict[str, Secret] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._waits: dict[str, Waits] = {}
        self._renewing: set[asyncio.Task[Secret]] = set()

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
        if found is None:
            return await self._mint(kind, key, mint)
        if kind.judge(found, self._clock()) == "refresh" and not self._lock(key).locked():
            task = asyncio.create_task(self._mint(kind, key, mint))
            self._renewing.add(task)
            task.add_done_callback(self._renewed)
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
        async with self._lock(key):
            known = self._known.get(key)
            if known and kind.judge(known, self._clock()) == "fresh":
                return known  # another caller's flight brought it
            wait = self._waits.get(key)
            if wait and self._clock() < wait.until:
                # One of those who want the same has a time for it: all of them have.
                raise type(wait)(wait.until, str(wait))
            taken = await self._take_off(kind, key)
            if isinstance(taken, Secret):
                return taken
            try:
                made = await mint()
            except BaseException as error:
                if isinstance(error, Waits):
                    self._waits[key] = error
                await self._land(key, taken, None)
                raise
            self._waits.pop(key, None)
            self._known[key] = made
            remember(made.value)
            await self._land(key, taken, made)
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
            if record is None or record.value.get("flight_until", 0.0) <= now:
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

    def _renewed(self, task: "asyncio.Task[Secret]") -> None:
        self._renewing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, Waits):
            # The old one serves for a while; the next caller tries again.
            logger.warning("a token could not be renewed: %s", error)

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())
