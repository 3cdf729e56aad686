"""Who hears of events: the App's webhook, and those of repositories and organizations."""

import itertools
from dataclasses import dataclass, field

from simulator.clock import Clock
from simulator.state.model import Json, Scope

APP_HOOK = 483_920_117
NEVER_SENT: Json = {"code": None, "status": "unused", "message": None}


@dataclass(slots=True, kw_only=True)
class Hook:
    """One webhook; `scope` None is the App's, which hears of every installation."""

    id: int
    scope: Scope | None = None
    target_id: int = 0  # of the repository, organization or App
    url: str = ""
    secret: str = ""
    events: list[str] = field(default_factory=lambda: ["workflow_job"])
    active: bool = True
    created_at: float = 0.0
    last_response: Json = field(default_factory=lambda: dict(NEVER_SENT))

    @property
    def kind(self) -> str:
        """As the header X-GitHub-Hook-Installation-Target-Type names it."""
        if self.scope is None:
            return "integration"
        return "organization" if self.scope.repo is None else "repository"

    @property
    def config(self) -> Json:
        """As GitHub shows it: the secret never."""
        shown: Json = {"content_type": "json", "insecure_ssl": "0", "url": self.url}
        return shown | ({"secret": "********"} if self.secret else {})

    def hears(self, event: str, payload: Json) -> bool:
        """Whether an event is sent to it; a ping only to the App's."""
        if not self.url or not self.active:
            return False
        if self.scope is None:
            return True
        repo: Json = payload.get("repository", {})
        owner: Json = repo.get("owner", {})
        here = Scope.of(str(owner.get("login")), str(repo.get("name")))
        known = event in self.events or "*" in self.events
        return known and self.scope in (here, Scope(here.owner, None))


class Hooks:
    """All webhooks; the App's is always there, though its address may be empty."""

    def __init__(self, clock: Clock, app_id: int) -> None:
        self.app = Hook(id=APP_HOOK, target_id=app_id)
        self._clock = clock
        self._by_id: dict[int, Hook] = {}
        self._ids = itertools.count(APP_HOOK + 1)

    def add(self, scope: Scope, target_id: int, url: str, secret: str) -> Hook:
        """A new webhook of a repository or an organization."""
        made = Hook(
            id=next(self._ids),
            scope=scope,
            target_id=target_id,
            url=url,
            secret=secret,
            created_at=self._clock.now(),
        )
        self._by_id[made.id] = made
        return made

    def find(self, hook_id: int) -> Hook | None:
        """One of a repository or an organization."""
        return self._by_id.get(hook_id)

    def of(self, scope: Scope) -> list[Hook]:
        """Those of one repository, or those of an organization itself."""
        return [hook for hook in self._by_id.values() if hook.scope == scope]

    def all(self) -> list[Hook]:
        """The App's first."""
        return [self.app, *self._by_id.values()]
