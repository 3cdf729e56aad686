"""The port to the dead letters: every refused delivery, every job that failed for good."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from temporalio import activity


@dataclass(frozen=True)
class DeadLetter:
    """One thing that Penstock did not do, with why and what to do next."""

    id: str  # the same event gives the same id: it is kept once
    kind: str  # "delivery" or "job"
    reason: str
    at: float
    next_step: str = ""
    repo: str = ""
    job_id: str = ""
    payload: dict[str, Any] = field(default_factory=dict[str, Any])


class DeadLetters(Protocol):
    """A durable store of dead letters."""

    async def put(self, letter: DeadLetter) -> None:
        """Keep the letter; a second one of the same id replaces it."""
        ...

    async def all(self) -> list[DeadLetter]:
        """All letters, the oldest first."""
        ...

    async def get(self, id_: str) -> DeadLetter | None:
        """The letter of this id, if there is one."""
        ...

    async def remove(self, id_: str) -> bool:
        """Delete the letter; whether there was one."""
        ...


class DeadLetterActivities:
    """What a workflow says of a job it could not serve."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    @activity.defn(name="record_dead_letter")
    async def record_dead_letter(self, letter: DeadLetter) -> None:
        """Keep the letter."""
        await self._letters.put(letter)
