"""The port to whatever runs runners, and the activities on it."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import (
    TOKEN_DEFERRED,
    TOKEN_MISSING,
    GitHubError,
    GitHubRefused,
    LaunchRefused,
    LaunchUnavailable,
    Waits,
    deferred,
    refused,
    token_missing,
    unavailable,
)
from activities.github import GitHub, RunnerToken
from activities.launches import LaunchLog
from activities.tokens import Tokens
from policy.labels import unknown

logger = logging.getLogger(__name__)

UNAVAILABLE_TRIES = 5  # 15 s with their pauses; then the job gives its permit back meanwhile
MOST_UNUSED = 1000


@dataclass(frozen=True)
class LaunchRequest:
    """One runner for one job: idempotent by its name, which holds the job and the attempt."""

    workflow_id: str
    repo: str
    name: str
    labels: list[str] = field(default_factory=list[str])
    token_ready: bool = False  # acquire_runner_token has seen to one: wait for it if need be
    unserved: bool = False  # the job's last runner came, and went without a job
    again: bool = False  # an earlier launch under this name was given up
    granted_at: float = 0.0  # when the job got the permit, if this is its first launch


@dataclass(frozen=True)
class RunnerReference:
    """A runner that was started: its name, and the provider's own name for it."""

    name: str
    provider_id: str = ""
    workflow_id: str = ""
    alive: bool = True
    why: str = ""  # it ended, where the provider says more than that


@dataclass(frozen=True)
class RetireRequest:
    """See a runner off that should be idle."""

    repo: str
    name: str


@dataclass(frozen=True)
class Retired:
    """`gone`: it is off GitHub's list and stopped. `busy`: it works, and was left alone."""

    result: str


class Launcher(Protocol):
    """Starts, lists and stops runners. Runners outlive the process that started them."""

    async def launch(self, request: LaunchRequest, token: RunnerToken) -> RunnerReference:
        """Start a runner, or find the one started before under this name.

        Raises LaunchRefused, or LaunchUnavailable: then nothing was started. After any other
        error nobody knows.
        """
        ...

    async def find(self, name: str, attempt: int) -> RunnerReference | None:
        """The runner that an earlier try has started, if any.

        `attempt` counts from 1: a launcher whose starts are idempotent need not look at the first.
        """
        ...

    async def all(self) -> list[RunnerReference]:
        """All runners that are alive, or whose end nobody has acknowledged."""
        ...

    async def stop(self, name: str) -> None:
        """End a runner; nothing happens if it is gone."""
        ...

    def ended(self) -> AsyncIterator[RunnerReference]:
        """Runners as they end, those first that ended while nobody watched."""
        ...

    async def acknowledge(self, name: str) -> None:
        """The end of this runner has been told to its job: forget it."""
        ...


class RunnerActivities:
    """Launch and retire."""

    def __init__(
        self,
        launcher: Launcher,
        tokens: Tokens,
        github: GitHub,
        clock: Callable[[], float],
        *,
        labels: Sequence[str] = ("*",),
        log: LaunchLog | None = None,
    ) -> None:
        """`labels` are patterns of those that a runner may have; `log` counts the launches."""
        self._labels = tuple(labels)
        self._log = log
        self._launcher = launcher
        self._tokens = tokens
        self._github = github
        self._clock = clock
        self._unused: dict[str, RunnerToken] = {}

    @activity.defn(name="launch_runner")
    async def launch_runner(self, request: LaunchRequest) -> RunnerReference:
        """Start the runner; its secret goes from the token store to the provider directly.

        A first try takes a token that is at hand, which is nearly always, and else fails at once
        with TOKEN_MISSING.
        """
        attempt = activity.info().attempt
        if found := await self._launcher.find(request.name, attempt + request.again):
            return found  # started by a try whose answer was lost; it needs no other token
        if request.unserved and attempt == 1:
            self._count(ok=False)
        try:
            started = await self._start(request, last=attempt >= UNAVAILABLE_TRIES)
        except ApplicationError as error:
            if error.type not in (TOKEN_MISSING, TOKEN_DEFERRED):
                self._count(ok=False)
            raise
        except Exception:
            self._count(ok=False)
            raise
        ordered_at = request.granted_at or activity.info().scheduled_time.timestamp()
        self._count(ok=True, ordered_at=ordered_at)
        return started

    async def _start(self, request: LaunchRequest, *, last: bool) -> RunnerReference:
        repo, name, labels = request.repo, request.name, request.labels
        token = None
        try:
            if not_ours := unknown(labels, self._labels):
                # The gateway lets no such job in; its configuration may have changed since.
                raise LaunchRefused(f"labels that gateway.labels does not allow: {not_ours}")
            token = self._unused.pop(name, None)
            if token:
                pass
            elif request.token_ready:
                token = await self._tokens.credential(repo, name, labels)
            else:
                token = await self._tokens.at_hand(repo, name, labels)
            if token is None:
                raise token_missing()
            return await self._launcher.launch(request, token)
        except Waits as error:
            raise deferred(error, self._clock()) from None
        except LaunchUnavailable as error:
            if token and token.jit and last:
                await self._take_off(repo, name)
            elif token and token.jit:
                self._keep(name, token)
            raise unavailable(error, last=last) from None
        except (LaunchRefused, GitHubRefused) as error:
            if token and token.jit:
                await self._take_off(repo, name)
            raise refused(error) from None

    def _keep(self, name: str, token: RunnerToken) -> None:
        """A JIT configuration that nothing was started with serves the next try."""
        self._unused[name] = token
        if len(self._unused) > MOST_UNUSED:  # its try went to another worker, which minted anew
            self._unused.pop(next(iter(self._unused)))

    def _count(self, *, ok: bool, ordered_at: float | None = None) -> None:
        if self._log:
            self._log.count(ok=ok, ordered_at=ordered_at)

    async def _take_off(self, repo: str, name: str) -> None:
        """A JIT configuration is a runner at GitHub already: without a process it goes."""
        try:
            await self._github.deregister(repo, name)
        except (GitHubError, Waits) as error:
            # GitHub drops a runner that never came after a while; its name is used only once.
            logger.warning("runner %s stays registered for now: %s", name, error)

    @activity.defn(name="retire_runner")
    async def retire_runner(self, request: RetireRequest) -> Retired:
        """Deregister first; only a runner that GitHub let go, or never knew, is stopped.

        GitHub's answer 422 to the deletion is the only sure sign of a busy runner: `busy: false`
        in its list has killed other people's jobs.
        """
        try:
            if await self._github.deregister(request.repo, request.name) == "busy":
                return Retired("busy")
        except Waits as error:
            raise deferred(error, self._clock()) from None
        except GitHubRefused as error:
            raise refused(error) from None
        await self._launcher.stop(request.name)
        return Retired("gone")
