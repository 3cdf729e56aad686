"""The port to GitHub's list of registered runners."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class RegisteredRunner:
    """A runner as GitHub's list shows it."""

    id: int
    name: str
    status: str
    busy: bool


@dataclass(frozen=True)
class RunnersPage:
    """Runners, and whether there are more."""

    runners: list[RegisteredRunner]
    more: bool


class Registered(Protocol):
    """GitHub's list of runners. Each method is one request that can wait (`spare`).

    A scope is owner/repo, or an owner, as runners are registered.
    """

    async def page(self, scope: str, page: int) -> RunnersPage:
        """A page of a scope's runners, from 1."""
        ...

    async def look(self, scope: str, number: int) -> RegisteredRunner | None:
        """One runner; None if there is none of this number."""
        ...

    async def remove(self, scope: str, number: int) -> Literal["removed", "busy", "absent"]:
        """Take a runner off GitHub's list, unless it works on a job."""
        ...
