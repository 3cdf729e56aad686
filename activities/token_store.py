"""The port to where tokens, budgets and gates are kept: one for all workers.

Every record has a version; a change names the version it was made from, and changes are written
together or not at all. So two workers never spend the same permission twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Secret:
    """A credential with a life. Times are epoch seconds."""

    value: str = field(repr=False)
    minted_at: float
    expires_at: float


@dataclass(frozen=True)
class Record:
    """What stands under a key. `secret` is kept encrypted where it leaves the process."""

    version: int
    value: dict[str, Any] = field(default_factory=dict[str, Any])
    secret: str = field(default="", repr=False)
    expires_at: float = 0.0


@dataclass(frozen=True)
class Change:
    """A key's next record; `version` is that of the record it was made from, 0 for none."""

    key: str
    version: int
    value: dict[str, Any]
    secret: str = field(default="", repr=False)
    expires_at: float = 0.0

    @property
    def next_version(self) -> int:
        """The version of the record when it is written.

        A key's first one grows with its life, so that a record made anew after the old one has
        expired is never taken for it.
        """
        return self.version + 1 if self.version else max(1, int(self.expires_at * 1000))


class StoreUnavailable(Exception):
    """The store does not answer, or refuses: nothing was written as far as is known."""


class TokenStore(Protocol):
    """Records by key. A record past its `expires_at` counts as none, whether deleted or not."""

    async def read(self, *keys: str) -> dict[str, Record]:
        """The records that there are, as they are now. Raises StoreUnavailable."""
        ...

    async def write(self, changes: Sequence[Change]) -> bool:
        """Write all, or none if one of the versions is not the present one any more.

        Raises StoreUnavailable.
        """
        ...


class MemoryStore:
    """The store of a single worker process; what it holds ends with it."""

    def __init__(self, clock: "Clock") -> None:
        """`clock` gives epoch seconds."""
        self._records: dict[str, Record] = {}
        self._clock = clock

    async def read(self, *keys: str) -> dict[str, Record]:
        """As the port says."""
        return {key: found for key in keys if (found := self._present(key))}

    async def write(self, changes: Sequence[Change]) -> bool:
        """As the port says."""
        for change in changes:
            found = self._present(change.key)
            if (found.version if found else 0) != change.version:
                return False
        for change in changes:
            self._records[change.key] = Record(
                change.next_version, dict(change.value), change.secret, change.expires_at
            )
        return True

    def _present(self, key: str) -> Record | None:
        found = self._records.get(key)
        if found and found.expires_at <= self._clock():
            del self._records[key]
            return None
        return found


class Clock(Protocol):
    """Epoch seconds."""

    def __call__(self) -> float: ...
