"""One delivery attempt, and the log of all of them (docs:redelivering-webhooks)."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.clock import Clock, stamp
from simulator.limits import Limits
from simulator.state.model import Json
from simulator.webhooks.hooks import Hook

FIRST_DELIVERY = 271_884_930_417


@dataclass(slots=True, kw_only=True)
class Delivery:
    """An attempt: the guid stays on redelivery, the id does not. `duration` in seconds."""

    id: int
    guid: str
    hook: Hook
    event: str
    payload: Json
    redelivery: bool = False
    job_id: int | None = None
    fault: str | None = None
    status: str = ""
    status_code: int = 0
    duration: float = 0.0
    delivered_at: float = 0.0
    request_headers: dict[str, str] = field(default_factory=dict[str, str])
    response_headers: dict[str, str] = field(default_factory=dict[str, str])
    response_body: str = ""

    @property
    def action(self) -> str | None:
        return self.payload.get("action")

    @property
    def ok(self) -> bool:
        """True when the receiver answered 2xx in time."""
        return self.status == "OK"

    def _id_of(self, part: str) -> int | None:
        whole: Json = self.payload.get(part, {})
        return whole.get("id")

    def view(self) -> Json:
        """As GitHub lists it."""
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": stamp(self.delivered_at),
            "redelivery": self.redelivery,
            "duration": round(self.duration, 3),
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event,
            "action": self.action,
            "installation_id": self._id_of("installation"),
            "repository_id": self._id_of("repository"),
            "throttled_at": None,
        }


class DeliveryLog:
    """Attempts in the order in which they ended; GitHub shows those of the last three days."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.all: list[Delivery] = []
        self.ids = itertools.count(FIRST_DELIVERY, 13)
        self.ok = 0
        self._by_id: dict[int, int] = {}
        self._clock = clock
        self._limits = limits

    def add(self, delivery: Delivery) -> None:
        """An attempt has ended."""
        self._by_id[delivery.id] = len(self.all)
        self.all.append(delivery)
        self.ok += delivery.ok

    def find(self, delivery_id: int) -> Delivery | None:
        """An attempt that GitHub still shows."""
        index = self._by_id.get(delivery_id)
        found = None if index is None else self.all[index]
        return found if found is not None and self._shown(found) else None

    def newest_first(
        self, before: int | None = None, hook: Hook | None = None
    ) -> Iterator[tuple[int, Delivery]]:
        """Shown attempts (of one hook) with their positions, from before position `before`."""
        start = len(self.all) if before is None else min(before, len(self.all))
        for index in range(start - 1, -1, -1):
            one = self.all[index]
            if self._shown(one) and (hook is None or one.hook is hook):
                yield index, one

    def unpaid(self) -> list[Delivery]:
        """For each guid of a hook without an OK attempt its newest attempt, oldest first."""
        newest: dict[tuple[int, str], Delivery] = {}
        paid: set[tuple[int, str]] = set()
        for _, delivery in self.newest_first():
            newest.setdefault((delivery.hook.id, delivery.guid), delivery)
            if delivery.ok:
                paid.add((delivery.hook.id, delivery.guid))
        return [one for key, one in reversed(newest.items()) if key not in paid]

    def _shown(self, delivery: Delivery) -> bool:
        return delivery.delivered_at >= self._clock.now() - self._limits.delivery_window_seconds
