"""What a GitHub endpoint sees, and how endpoints are declared."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from simulator.github.identity import AppIdentity, Caller, RegistrationTokens, Tokens
from simulator.github.ratelimits import CORE, RateLimits
from simulator.state.jobs import Jobs
from simulator.state.model import Json, Repository, Scope
from simulator.state.registry import Registry
from simulator.state.world import World
from simulator.web import Answer, ApiError, Request, Routes
from simulator.webhooks.delivery import DeliveryLog
from simulator.webhooks.hooks import Hooks
from simulator.webhooks.sender import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The parts of this GitHub, for those who answer requests."""

    world: World
    jobs: Jobs
    registry: Registry
    log: DeliveryLog
    hooks: Hooks
    sender: Sender
    app: AppIdentity
    tokens: Tokens
    registration_tokens: RegistrationTokens
    rates: RateLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose caller is known and allowed."""

    back: Backend
    request: Request
    caller: Caller

    def param(self, name: str) -> str:
        return self.request.params[name]

    def id(self, name: str) -> int:
        """A number in the path; 404 when it is none."""
        value = self.param(name)
        if not value.isdecimal():
            raise not_found()
        return int(value)

    def repository(self) -> Repository:
        """The repository of the path, if it exists and the caller reaches it; 404."""
        repo = self.back.world.repository(self.param("owner"), self.param("repo"))
        if repo is None or not self.caller.sees(repo.owner, repo.name):
            raise not_found()
        return repo

    def scope(self) -> Scope:
        """The repository or organization of the path, if the caller reaches it; 404."""
        if "org" not in self.request.params:
            return self.repository().scope
        found = self.back.world.installation_of(self.param("org"))
        if found is None or not self.caller.sees(found.org, None):
            raise not_found()
        return Scope.of(found.org)

    def page(self, key: str, items: list[Json] | list[Callable[[], Json]]) -> Answer:
        """One page of a list, with Link; items may be functions, called for this page only."""
        size = max(1, min(100, self.request.number("per_page", 30)))
        page = max(1, self.request.number("page", 1))
        part = items[(page - 1) * size : page * size]
        shown = [item() if callable(item) else item for item in part]
        last = max(1, -(-len(items) // size))
        wanted: dict[str, int] = {}
        if page > 1:
            wanted |= {"prev": min(page - 1, last), "first": 1}
        if page < last:
            wanted |= {"next": page + 1, "last": last}
        body = {"total_count": len(items), key: shown}
        return Answer(200, body, self.link({rel: {"page": str(n)} for rel, n in wanted.items()}))

    def link(self, targets: dict[str, dict[str, str]]) -> dict[str, str]:
        """The Link header: relation -> the query parameters that differ."""
        if not targets:
            return {}
        url = f"{self.back.world.base_url}{self.request.path}"
        parts = [
            f'<{url}?{urlencode(self.request.query | change)}>; rel="{rel}"'
            for rel, change in targets.items()
        ]
        return {"Link": ", ".join(parts)}


def not_found() -> ApiError:
    """GitHub's answer for what is not there and for what you may not know of."""
    return ApiError(404, "Not Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What a path does, who may call it, and which primary limit it uses."""

    handler: Callable[[Call], Answer]
    callers: tuple[str, ...] = ("installation", "pat")
    needs: tuple[str, str] | None = None
    resource: str = CORE
    free: bool = False  # of the primary limit


Endpoints = Routes[Endpoint]
