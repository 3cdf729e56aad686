"""Runner tokens within GitHub's limits: cache, then budget, then GitHub; one flight a key."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from temporalio import activity

from activities.errors import (
    GITHUB_REFUSED,
    Deferred,
    GitHubRefused,
    GitHubUnavailable,
    RateLimited,
    deferred,
    refused,
)
from activities.github import GitHub, RunnerToken
from policy import token_bucket
from policy.limits import org_of
from policy.token_bucket import Rate
from policy.token_cache import freshness

logger = logging.getLogger(__name__)

SOUGHT_SECONDS = 3.0  # a sign-in and a token take GitHub about one


@dataclass(frozen=True)
class TokenRequest:
    """A runner of this repository (`owner/repo`) is about to be launched."""

    repo: str


@dataclass(frozen=True)
class TokenReceipt:
    """That a token is at hand: no secret, for it stands in a history."""

    fingerprint: str
    expires_at: float


@dataclass(frozen=True)
class Budget:
    """How often GitHub may be asked for tokens."""

    per_org: Rate
    per_repo: Rate


@dataclass
class TokenStore:
    """Tokens and buckets of one worker process, in memory."""

    tokens: dict[str, RunnerToken] = field(default_factory=dict[str, RunnerToken])
    arrivals: dict[str, float] = field(default_factory=dict[str, float])


class Tokens:
    """The one place where runner tokens are minted, within the budget of calls.

    GitHub's own pauses are the gate's business (activities/gate.py), through which `github` goes.
    """

    def __init__(
        self,
        github: GitHub,
        budget: Budget,
        clock: Callable[[], float],
        *,
        jit: bool = False,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._github = github
        self._budget = budget
        self._clock = clock
        self._jit = jit
        self._store = TokenStore()
        self._locks: dict[str, asyncio.Lock] = {}
        self._refreshing: set[asyncio.Task[RunnerToken]] = set()
        self._sought: dict[str, asyncio.Future[None]] = {}

    async def ready(self, repo: str) -> RunnerToken | None:
        """Make sure that a launch can go: a cached token, or (jit) room in the budget.

        Raises Deferred, or GitHub's errors.
        """
        if self._jit:
            self._room(repo, self._github.calls_for_token(repo))
            return None
        return await self.registration(repo)

    async def at_hand(self, repo: str, name: str, labels: list[str]) -> RunnerToken | None:
        """What the runner `name` registers with, if it can be had without waiting for GitHub.

        A cached token; in jit mode one that is minted now, if there is room for it. None says
        that the caller should have `ready` called (on the queue that orders such calls). Only the
        first caller of a repository hears so at once: the others wait a moment for what it gets.
        Raises GitHub's errors (jit).
        """
        if self._jit:
            try:
                self._room(repo, self._github.calls_for_token(repo))
            except (Deferred, RateLimited):
                return None
            return await self.credential(repo, name, labels)
        if self._freshness(self._store.tokens.get(_key(repo))) == "stale":
            if repo not in self._sought:
                self._seek(repo)
                return None
            await asyncio.wait([self._sought[repo]])
            if self._freshness(self._store.tokens.get(_key(repo))) == "stale":
                return None
        return await self.registration(repo)

    async def credential(self, repo: str, name: str, labels: list[str]) -> RunnerToken:
        """What the runner `name` registers with. Raises Deferred, or GitHub's errors."""
        if not self._jit:
            return await self.registration(repo)
        self._spend(repo, self._github.calls_for_token(repo))
        return await self._call(repo, lambda: self._github.jit_config(repo, name, labels))

    async def registration(self, repo: str) -> RunnerToken:
        """The cached token of `{organization}#{repository}`, refreshed early, minted once."""
        cached = self._store.tokens.get(_key(repo))
        age = self._freshness(cached)
        if cached and age == "fresh":
            return cached
        if cached and age == "refresh":
            if not self._lock(repo).locked():
                task = asyncio.create_task(self._mint(repo))
                self._refreshing.add(task)
                task.add_done_callback(self._refreshed)
            return cached
        return await self._mint(repo)

    async def _mint(self, repo: str) -> RunnerToken:
        async with self._lock(repo):
            cached = self._store.tokens.get(_key(repo))
            if cached and self._freshness(cached) == "fresh":
                return cached  # another caller's flight brought it
            try:
                self._spend(repo, self._github.calls_for_token(repo))
                token = await self._call(repo, lambda: self._github.registration_token(repo))
                self._store.tokens[_key(repo)] = token
            finally:
                self._found(repo)
            return token

    async def _call(self, repo: str, call: Callable[[], Awaitable[RunnerToken]]) -> RunnerToken:
        try:
            return await call()
        except GitHubUnavailable:
            # GitHub's outage is not this repository's token: only the owner's calls were made.
            arrivals = self._store.arrivals
            arrivals[repo] = arrivals.get(repo, 0.0) - self._budget.per_repo.interval
            raise

    def _refreshed(self, task: "asyncio.Task[RunnerToken]") -> None:
        self._refreshing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # The old token serves for five more minutes; the next caller tries again.
            logger.warning("a runner token could not be refreshed: %s", error)

    def _seek(self, repo: str) -> None:
        """Somebody has been sent for a token; whoever comes next may wait for it a moment."""
        loop = asyncio.get_running_loop()
        sought = self._sought[repo] = loop.create_future()
        loop.call_later(SOUGHT_SECONDS, self._found, repo, sought)

    def _found(self, repo: str, sought: asyncio.Future[None] | None = None) -> None:
        """The search has ended, well or not: those who wait may look."""
        ours = self._sought.get(repo)
        if ours is not None and sought in (None, ours):
            del self._sought[repo]
            ours.set_result(None)

    def _spend(self, repo: str, calls: int) -> None:
        """Take from the organization's and the repository's bucket, or from neither."""
        self._store.arrivals.update(self._room(repo, calls))

    def _room(self, repo: str, calls: int) -> dict[str, float]:
        """Both buckets as they would be after so many calls. Raises Deferred."""
        now, arrivals = self._clock(), self._store.arrivals
        org = org_of(repo)
        of_org = token_bucket.take(arrivals.get(org, 0.0), self._budget.per_org, now, calls)
        of_repo = token_bucket.take(arrivals.get(repo, 0.0), self._budget.per_repo, now)
        takings = {org: of_org, repo: of_repo}
        waits = [t.retry_after for t in takings.values() if isinstance(t, token_bucket.Deferred)]
        if waits:
            raise Deferred(max(waits))
        return {key: t.arrival for key, t in takings.items() if isinstance(t, token_bucket.Taken)}

    def _freshness(self, token: RunnerToken | None) -> str:
        if token is None:
            return "stale"
        return freshness(token.minted_at, token.expires_at, self._clock())

    def _lock(self, repo: str) -> asyncio.Lock:
        return self._locks.setdefault(_key(repo), asyncio.Lock())


class TokenActivities:
    """Activities on the queue `penstock-github`."""

    def __init__(self, tokens: Tokens, clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._clock = clock

    @activity.defn(name="acquire_runner_token")
    async def acquire_runner_token(self, request: TokenRequest) -> TokenReceipt:
        """Have a token at hand for a launch; tells its fingerprint only."""
        try:
            token = await self._tokens.ready(request.repo)
        except Deferred as error:
            raise deferred(error.retry_after) from None
        except RateLimited as error:
            raise deferred(max(1.0, error.until - self._clock())) from None
        except GitHubRefused as error:
            raise refused(error, GITHUB_REFUSED) from None
        if token is None:
            return TokenReceipt("", 0.0)
        return TokenReceipt(fingerprint(token.value), token.expires_at)


def fingerprint(secret: str) -> str:
    """Eight hexadecimal digits by which two log lines can be seen to mean the same secret."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _key(repo: str) -> str:
    return repo.replace("/", "#", 1)
