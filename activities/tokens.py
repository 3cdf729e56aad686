"""Runner tokens within GitHub's limits: at hand, or minted within the budget; one flight a key."""

import asyncio
import hashlib
from dataclasses import dataclass

from temporalio import activity

from activities.errors import Deferred, GitHubRefused, RateLimited, Waits, deferred, refused
from activities.github import GitHub, RunnerToken
from activities.secret_cache import Kind, SecretCache
from activities.token_store import Clock, Secret
from policy.token_cache import freshness

SOUGHT_SECONDS = 3.0  # a sign-in and a token take GitHub about one

REGISTRATION = Kind(
    "registration",
    lambda secret, now: freshness(secret.minted_at, secret.expires_at, now),
    shared=(Exception,),  # all ask the same
)


@dataclass(frozen=True)
class TokenRequest:
    """A runner of this repository (`owner/repo`) is about to be launched."""

    repo: str


@dataclass(frozen=True)
class TokenReceipt:
    """That a token is at hand: no secret, for it stands in a history."""

    fingerprint: str
    expires_at: float


class Tokens:
    """Where runner tokens come from: the cache of all workers, else GitHub."""

    def __init__(self, github: GitHub, cache: SecretCache, *, jit: bool = False) -> None:
        self._github = github
        self._cache = cache
        self._jit = jit
        self._sought: dict[str, asyncio.Future[None]] = {}

    async def ready(self, repo: str) -> RunnerToken | None:
        """Make sure that a launch can go: a cached token, or (jit) room in the budget.

        Raises Deferred, or GitHub's errors.
        """
        if self._jit:
            await self._github.room(repo)
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
                return await self.credential(repo, name, labels)
            except (Deferred, RateLimited):
                return None
        if await self._cache.peek(REGISTRATION, _key(repo)) is None:
            if repo not in self._sought:
                self._seek(repo)
                return None
            await asyncio.wait([self._sought[repo]])
            if await self._cache.peek(REGISTRATION, _key(repo)) is None:
                return None
        return await self.registration(repo)

    async def credential(self, repo: str, name: str, labels: list[str]) -> RunnerToken:
        """What the runner `name` registers with. Raises Deferred, or GitHub's errors."""
        if self._jit:
            return await self._github.jit_config(repo, name, labels)
        return await self.registration(repo)

    async def registration(self, repo: str) -> RunnerToken:
        """The cached token of `{organization}#{repository}`, refreshed early, minted once."""
        found = await self._cache.get(REGISTRATION, _key(repo), lambda: self._mint(repo))
        return RunnerToken(found.value, found.minted_at, found.expires_at)

    async def _mint(self, repo: str) -> Secret:
        try:
            return await self._github.registration_token(repo)
        finally:
            self._found(repo)

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
            # Looked for once what was found is in the cache.
            ours.get_loop().call_soon(ours.set_result, None)


class TokenActivities:
    """Activities on the queue `penstock-github`."""

    def __init__(self, tokens: Tokens, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    @activity.defn(name="acquire_runner_token")
    async def acquire_runner_token(self, request: TokenRequest) -> TokenReceipt:
        """Have a token at hand for a launch; tells its fingerprint only."""
        try:
            token = await self._tokens.ready(request.repo)
        except Waits as error:
            raise deferred(error, self._clock()) from None
        except GitHubRefused as error:
            raise refused(error) from None
        if token is None:
            return TokenReceipt("", 0.0)
        return TokenReceipt(fingerprint(token.value), token.expires_at)


def fingerprint(secret: str) -> str:
    """Eight hexadecimal digits by which two log lines can be seen to mean the same secret."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _key(repo: str) -> str:
    return repo.replace("/", "#", 1)
