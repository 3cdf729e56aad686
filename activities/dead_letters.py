"""The port to the dead letters: every refused delivery, every job that failed for good."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from typing import Any, Protocol, cast

from temporalio import activity

LISTED = 10_000  # letters that one listing reads at most
LARGEST = 1_000_000  # bytes of a letter; SQS takes 1 MiB (AWS, "Amazon SQS message quotas")
Key = tuple[float, str]
DELIVERY, JOB, UNREADABLE = "delivery", "job", "unreadable"


class LettersUnavailable(Exception):
    """The store did not do it; the message is one line with the cause and the mend."""


@dataclass(frozen=True)
class DeadLetter:
    """One thing that Penstock did not do, with why and what to do next."""

    id: str  # the same event gives the same id: it is listed once
    kind: str  # "delivery", "job"; "unreadable" for what lies in the store and is no letter
    reason: str
    at: float  # of the last refusal or failure, epoch seconds
    next_step: str = ""
    repo: str = ""
    job_id: str = ""
    payload: dict[str, Any] = field(default_factory=dict[str, Any])
    first_at: float = 0.0  # of the first; 0: it happened once
    times: int = 1
    retry_at: float = 0.0  # `at` and the Retry-After that was answered: nobody retries before
    guid: str = ""  # the last delivery's X-GitHub-Delivery: unsigned, for people alone
    cause: str = ""  # a short code: draining, maintenance, temporal, fault, …

    @property
    def since(self) -> float:
        """When it began, epoch seconds."""
        return self.first_at or self.at

    @property
    def key(self) -> Key:
        """Its place among the others; it does not move when the event is refused again."""
        return self.since, self.id


_TEXTS = ("id", "kind", "reason", "next_step", "repo", "job_id", "guid", "cause")
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("at", "first_at", "retry_at"), (int, float)),
    "times": int,
    "payload": dict,
}


@dataclass(frozen=True)
class Page:
    """A part of the letters, the oldest first; how many there are in all; whether more follow."""

    letters: list[DeadLetter]
    total: int
    more: bool = False


class DeadLetters(Protocol):
    """A durable store of dead letters. Every method raises LettersUnavailable."""

    @property
    def settle_seconds(self) -> float:
        """How long to gather the ids of letters that are settled before `purge` is told."""
        ...

    async def put(self, letter: DeadLetter) -> None:
        """Keep the letter. One of a known id counts on and keeps its first time.

        The same letter put again (same id, same `at`) is the same refusal said twice.
        """
        ...

    async def all(self) -> list[DeadLetter]:
        """The oldest LISTED letters, the oldest first."""
        ...

    async def page(self, after: Key | None, most: int) -> Page:
        """So many letters whose keys come after this one, the oldest first."""
        ...

    async def get(self, id_: str) -> DeadLetter | None:
        """The letter of this id, if there is one."""
        ...

    async def remove(self, id_: str) -> bool:
        """Delete the letter; whether there was one."""
        ...

    async def purge(self, ids: Collection[str] = (), before: float = 0.0) -> list[str]:
        """Delete these, and all whose last refusal was before this time; the ids that went."""
        ...


def joined(one: DeadLetter, other: DeadLetter) -> DeadLetter:
    """Two letters of one id as one: the later word, the first time, both counts."""
    if one.at == other.at:
        return one if one.times >= other.times else other
    earlier, later = sorted((one, other), key=lambda letter: letter.at)
    return replace(
        later,
        first_at=min(earlier.since, later.since),
        times=earlier.times + later.times,
    )


def merged(copies: Iterable[DeadLetter]) -> DeadLetter:
    """All copies of one letter as one; those of the same refusal count once."""
    of_moment: dict[float, DeadLetter] = {}
    for copy in copies:
        known = of_moment.get(copy.at)
        of_moment[copy.at] = joined(known, copy) if known else copy
    return reduce(joined, of_moment.values())


def to_json(letter: DeadLetter, largest: int = LARGEST) -> str:
    """The letter as text of at most so many bytes (ASCII): what is larger loses its payload."""
    text = json.dumps(asdict(letter))
    if len(text) <= largest:
        return text
    without = replace(
        letter,
        reason=letter.reason[:2000],
        payload={},
        next_step=f"its {len(text)} bytes were too many to keep: redeliver it at GitHub",
    )
    return json.dumps(asdict(without))


def from_json(text: str) -> DeadLetter:
    """The letter in the text; fields of a newer Penstock are left out. Raises ValueError."""
    try:
        found: Any = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested without end") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    values = {k: v for k, v in cast(dict[str, Any], found).items() if k in _KINDS}
    for name, value in values.items():
        if not isinstance(value, _KINDS[name]):
            raise ValueError(f"its {name} is of another kind")
    try:
        return DeadLetter(**values)
    except TypeError as error:
        raise ValueError(f"it is no letter: {error}") from None


class DeadLetterActivities:
    """What a workflow says of a job it could not serve."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    @activity.defn(name="record_dead_letter")
    async def record_dead_letter(self, letter: DeadLetter) -> None:
        """Keep the letter."""
        await self._letters.put(letter)
