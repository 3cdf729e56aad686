"""What `penstock doctor` asks GitHub: who we are, what we may, where events go. Reads only."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from activities.clients.github import GitHubClient
from activities.clients.github.answers import error_of, list_in, object_in, said
from activities.clients.github.http import Wanted
from activities.clients.github.identity import PERSON
from activities.meter import Call

NOBODY = "doctor/doctor"  # calls of the App itself are on no repository's behalf


@dataclass(frozen=True)
class Ourselves:
    """An App, or a person; `scopes` is None where the token does not tell them."""

    name: str
    is_app: bool
    events: list[str] = field(default_factory=list[str])
    scopes: list[str] | None = None


@dataclass(frozen=True)
class Installed:
    """The App in an organization or user account, and what it may do there."""

    id: str
    owner: str
    permissions: dict[str, str]
    suspended: bool


@dataclass(frozen=True)
class Hook:
    """Where the App's events go."""

    url: str
    content_type: str
    has_secret: bool
    checks_certificate: bool


@dataclass(frozen=True)
class Standing:
    """A primary limit of an hour: how much of it is left."""

    resource: str
    limit: int
    remaining: int


class Survey:
    """Questions beside the port, through the same meter. All raise GitHub's errors."""

    def __init__(self, client: GitHubClient) -> None:
        self._http = client.http
        self._identity = client.identity

    @property
    def skew(self) -> float:
        """GitHub's clock less ours, seconds; small differences are 0."""
        return self._http.clock.skew

    @property
    def is_app(self) -> bool:
        """Whether an App asks; else a person."""
        return self._identity.is_app

    async def ourselves(self) -> Ourselves:
        """Who GitHub takes us for."""
        if self._identity.is_app:
            app = object_in(await self._as_app("/app"))
            events = [str(event) for event in cast(list[Any], app.get("events") or [])]
            return Ourselves(f"App {said(app, 'name')}", is_app=True, events=events)
        response = await self._as_person("/user")
        scopes = response.headers.get("x-oauth-scopes")
        return Ourselves(
            f"user {said(object_in(response), 'login')}",
            is_app=False,
            scopes=None if scopes is None else [s.strip() for s in scopes.split(",") if s.strip()],
        )

    async def installations(self) -> list[Installed]:
        """Where the App is installed."""
        return [_installed(one) async for one in self._app_pages("/app/installations")]

    async def hook(self) -> Hook:
        """The App's webhook."""
        config = object_in(await self._as_app("/app/hook/config"))
        return Hook(
            str(config.get("url") or ""),
            str(config.get("content_type") or ""),
            bool(config.get("secret")),
            str(config.get("insecure_ssl", "0")) == "0",
        )

    async def deliveries(self) -> list[tuple[int, str]]:
        """Status code and status of the App's last deliveries, newest first; at most thirty."""
        response = await self._as_app("/app/hook/deliveries")
        return [
            (int(one.get("status_code") or 0), str(one.get("status") or ""))
            for one in list_in(response)
        ]

    async def standing(self, installed: Installed | None) -> list[Standing]:
        """What is left of the hour for an installation, or for the person."""
        if installed is None:
            response = await self._as_person("/rate_limit")
        else:
            repo = f"{installed.owner}/-"
            self._identity.know(installed.owner, installed.id)
            token = await self._identity.token(repo)
            call = Call(self._identity.name(repo), repo, "GET")
            response = _good(await self._http.send(Wanted(call, "/rate_limit"), token))
        resources: dict[str, Any] = object_in(response).get("resources") or {}
        return [
            Standing(name, int(one["limit"]), int(one["remaining"]))
            for name, one in resources.items()
            if name in ("core", "actions_runner_registration")
        ]

    async def _app_pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        following: str | None = f"{path}?per_page=100"
        while following:
            response = await self._as_app(following)
            for one in list_in(response):
                yield one
            following = self._http.next_page(response)

    async def _as_app(self, path: str) -> httpx.Response:
        return _good(await self._identity.as_app("GET", path, NOBODY, pays=False))

    async def _as_person(self, path: str) -> httpx.Response:
        token = await self._identity.token(NOBODY)
        return _good(await self._http.send(Wanted(Call(PERSON, NOBODY, "GET"), path), token))


def _installed(one: dict[str, Any]) -> Installed:
    account = cast(dict[str, Any], one.get("account") or {})
    permissions = cast(dict[str, Any], one.get("permissions") or {})
    return Installed(
        str(one["id"]),
        str(account.get("login", "")).lower(),
        {name: str(level) for name, level in permissions.items()},
        bool(one.get("suspended_at")),
    )


def _good(response: httpx.Response) -> httpx.Response:
    if response.status_code != 200:
        raise error_of(response)
    return response
