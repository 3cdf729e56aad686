"""One gate before all calls to GitHub: who was told to wait makes everybody wait."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from activities.errors import RateLimited
from activities.github import GitHub, JobRecord, RunnerToken
from policy.limits import org_of

T = TypeVar("T")


class GatedGitHub:
    """The port to GitHub around another one: a rate limit hit by any call pauses its owner.

    A paused call raises RateLimited without reaching GitHub; going on regardless risks a ban.
    """

    def __init__(
        self,
        github: GitHub,
        clock: Callable[[], float],
        throttled: Callable[[str, float], Awaitable[None]],
    ) -> None:
        """`clock` gives epoch seconds; `throttled` hears of each owner paused, and until when."""
        self._github = github
        self._clock = clock
        self._throttled = throttled
        self._paused_until: dict[str, float] = {}

    def calls_for_token(self, repo: str) -> int:
        """As the port says; raises RateLimited in a pause, before anything is spent on a call."""
        self._check(repo)
        return self._github.calls_for_token(repo)

    async def registration_token(self, repo: str) -> RunnerToken:
        """As the port says."""
        return await self._call(repo, lambda: self._github.registration_token(repo))

    async def jit_config(self, repo: str, name: str, labels: list[str]) -> RunnerToken:
        """As the port says."""
        return await self._call(repo, lambda: self._github.jit_config(repo, name, labels))

    async def deregister(self, repo: str, name: str) -> Literal["removed", "busy", "absent"]:
        """As the port says."""
        return await self._call(repo, lambda: self._github.deregister(repo, name))

    async def job(self, repo: str, job_id: str) -> JobRecord:
        """As the port says."""
        return await self._call(repo, lambda: self._github.job(repo, job_id))

    async def _call(self, repo: str, call: Callable[[], Awaitable[T]]) -> T:
        self._check(repo)
        try:
            return await call()
        except RateLimited as error:
            org = org_of(repo)
            self._paused_until[org] = max(error.until, self._paused_until.get(org, 0.0))
            await self._throttled(org, error.until)
            raise

    def _check(self, repo: str) -> None:
        until = self._paused_until.get(org_of(repo), 0.0)
        if self._clock() < until:
            raise RateLimited(until)
