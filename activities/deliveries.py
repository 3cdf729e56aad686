"""The port to GitHub's logs of deliveries, and where the webhooks are that are ours."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from temporalio.client import Client

from activities.errors import GitHubInvalid, GitHubRefused
from activities.parts import known_repos
from policy.limits import org_of
from policy.recovery import Purse
from policy.redelivery import Attempt

APP = "app"  # a place, beside repositories and organizations
APP_HOOK = "app/hook"
PATH = "/webhooks/github"
KEPT_SECONDS = 3600.0


@dataclass(frozen=True)
class FoundHook:
    """A webhook: GitHub's path of it, and where it sends events."""

    hook: str
    url: str


@dataclass(frozen=True)
class Page:
    """Attempts, the newest first; `following` is the next page's cursor, empty at the end."""

    attempts: list[Attempt]
    following: str


class Deliveries(Protocol):
    """GitHub's logs of deliveries. Each method is one request that can wait (`spare`)."""

    @property
    def is_app(self) -> bool:
        """Whether there is an App, whose webhook has a log."""
        ...

    def now(self) -> float:
        """The time by GitHub's clock, epoch seconds."""
        ...

    async def hooks(self, place: str) -> list[FoundHook]:
        """The active webhooks of owner/repo, or of an owner, that hear of jobs."""
        ...

    async def page(self, hook: str, cursor: str) -> Page:
        """A page of a webhook's log; an empty cursor is the newest."""
        ...

    async def retry_after(self, hook: str, attempt: int) -> float:
        """The seconds that the receiver's answer named; 0 if it named none."""
        ...

    async def redeliver(self, hook: str, attempt: int) -> None:
        """Have it sent again. GitHubNotFound: GitHub does not know it any more."""
        ...


@dataclass(frozen=True)
class Where:
    """Whose webhooks are ours, as configured.

    `hooks` names repositories and owners; `url` is our own address, for where others have hooks
    of the same path.
    """

    hooks: tuple[str, ...] = ()
    url: str = ""
    repositories: tuple[str, ...] = ()


class HookFinder:
    """Finds webhooks; remembers them for an hour."""

    def __init__(self, client: Client, deliveries: Deliveries, where: Where) -> None:
        self._client = client
        self._deliveries = deliveries
        self._where = where
        self._found: dict[str, tuple[float, list[str]]] = {}  # place → until, webhooks

    async def places(self) -> list[str]:
        """Where webhooks of ours may be. Raises RPCError.

        A person's token sees no App's log: if nothing is configured, all that is known is tried.
        """
        configured = [place.lower() for place in self._where.hooks]
        if self._deliveries.is_app:
            return [APP, *configured]
        if configured:
            return configured
        repos = await known_repos(self._client, self._where.repositories)
        return sorted({*repos, *map(org_of, repos)})

    def must_have_one(self, place: str) -> bool:
        """Whether it is a failure if no webhook is found at this place."""
        if place == APP:
            return not self._where.hooks  # else the App need not have one of its own
        return bool(self._where.hooks)

    async def hooks(self, place: str, purse: Purse) -> list[str] | None:
        """The webhooks at a place; None if the points do not suffice. Raises GitHub's errors."""
        if place == APP:
            return [APP_HOOK]
        now = self._deliveries.now()
        until, hooks = self._found.get(place, (0.0, []))
        if now < until:
            return hooks
        if not purse.take(1):
            return None
        try:
            hooks = self._ours(place, await self._deliveries.hooks(place))
        except GitHubRefused as error:
            if self.must_have_one(place) or isinstance(error, GitHubInvalid):
                raise
            hooks = []  # not ours to see: asked again in an hour
        self._found[place] = now + KEPT_SECONDS, hooks
        return hooks

    def found_none(self, places: Iterable[str]) -> bool:
        """Whether all of them were looked at, in vain."""
        return all(place != APP and not self._found.get(place, (0, [""]))[1] for place in places)

    def forget(self, place: str) -> None:
        """What was found there is gone."""
        self._found.pop(place, None)

    def _ours(self, place: str, found: Iterable[FoundHook]) -> list[str]:
        url = self._where.url.rstrip("/")
        if url:
            ours = [one for one in found if one.url.rstrip("/") == url]
        else:
            ours = [one for one in found if one.url.rstrip("/").endswith(PATH)]
        if len({one.url for one in ours}) > 1:
            raise GitHubInvalid(
                f"webhooks to several addresses end in {PATH}: set recovery.webhook_url"
            )
        if not ours and self.must_have_one(place):
            raise GitHubRefused(f"no active webhook for workflow jobs leads to {url or PATH}")
        return [one.hook for one in ours]


def place_of(hook: str) -> str:
    """Where a webhook was found, from GitHub's path of it."""
    if hook == APP_HOOK:
        return APP
    return hook.partition("/")[2].partition("/hooks/")[0]
