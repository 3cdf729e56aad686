"""The port to GitHub."""

from dataclasses import dataclass
from typing import Literal, Protocol

from activities.token_store import Secret


@dataclass(frozen=True)
class RunnerToken(Secret):
    """What a runner registers with: secret, so never part of a result or a message."""

    jit: bool = False


@dataclass(frozen=True)
class JobRecord:
    """A job as GitHub's REST interface shows it; `status` is `missing` when there is none."""

    status: str
    conclusion: str = ""
    runner_name: str = ""


class GitHub(Protocol):
    """GitHub as Penstock needs it. Every method raises what activities/errors.py names."""

    async def room(self, repo: str) -> None:
        """Raise what a call for a token would raise before it is made: RateLimited or Deferred."""
        ...

    async def registration_token(self, repo: str) -> RunnerToken:
        """A token with which runners of this repository register, for one hour."""
        ...

    async def jit_config(self, repo: str, name: str, labels: list[str]) -> RunnerToken:
        """A configuration for one runner and one job."""
        ...

    async def deregister(
        self, repo: str, name: str, *, spare: bool = False
    ) -> Literal["removed", "busy", "absent"]:
        """Take a runner off GitHub's list, unless it works on a job. `spare`: it can wait."""
        ...

    async def job(self, repo: str, job_id: str) -> JobRecord:
        """What GitHub says of a job."""
        ...
