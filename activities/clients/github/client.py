"""GitHub over HTTP. It never sleeps and never retries: it says what happened."""

from collections.abc import AsyncIterator
from typing import Any, Literal, cast

import httpx

from activities.clients.github.answers import error_of, object_in, said
from activities.clients.github.clock import GitHubClock
from activities.clients.github.http import (
    PAGES,
    TOKEN_LIFE_SECONDS,
    GitHubHttp,
    Wanted,
    last_of,
)
from activities.clients.github.identity import APP, Credentials, Identity
from activities.errors import (
    GitHubConflict,
    GitHubInvalid,
    GitHubNotFound,
    GitHubPermission,
    GitHubRefused,
    GitHubUnavailable,
)
from activities.github import JobRecord, RunnerToken
from activities.meter import NOBODY, Call, Meter
from activities.redaction import remember
from activities.secret_cache import SecretCache
from policy.limits import org_of

Scope = Literal["repository", "organization"]


class GitHubClient:
    """The adapter of the port activities/github.py."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        meter: Meter,
        cache: SecretCache,
        clock: GitHubClock,
        scope: Scope = "repository",
        runner_group: str = "",
        runner_group_id: int = 1,
    ) -> None:
        """`base_url` is the API's: https://api.github.com, or a GitHub Enterprise Server's.

        `runner_group` is a group's name, looked up once; without it `runner_group_id` counts.
        """
        self.http = GitHubHttp(base_url, meter, clock)
        self._meter = meter
        self._clock = clock
        self._scope: Scope = scope
        self._group = runner_group
        self._groups: dict[str, int] = {}
        self._group_id = runner_group_id
        self.identity = Identity(self.http, credentials, cache)

    async def close(self) -> None:
        """Close the connections."""
        await self.http.close()

    async def room(self, repo: str) -> None:
        """As the port says."""
        signing_in = await self.identity.calls_needed(repo)
        if signing_in:
            await self._meter.room(Call(APP, repo, "POST", pays=True), signing_in)
        await self._meter.room(self._to_mint(repo, "registration-token"), 1 + signing_in)

    async def registration_token(self, repo: str) -> RunnerToken:
        """POST …/registration-token (201; GitHub: any number of runners, for one hour)."""
        answer = object_in(await self._mint(repo, "registration-token", None))
        return RunnerToken(said(answer, "token"), self._clock(), self.http.end_of(answer))

    async def jit_config(self, repo: str, name: str, labels: list[str]) -> RunnerToken:
        """POST …/generate-jitconfig; a runner left by an attempt without answer gives way."""
        body: dict[str, object] = {
            "name": name,
            "runner_group_id": await self._group_of(repo),
            "labels": labels,
            "work_folder": "_work",
        }
        try:
            made = await self._mint(repo, "generate-jitconfig", body)
        except GitHubConflict:
            if await self.deregister(repo, name) == "busy":
                raise GitHubRefused(f"the runner {name} exists already, and works") from None
            try:
                made = await self._mint(repo, "generate-jitconfig", body)
            except GitHubConflict:
                # GitHub takes a while to forget a name (runs-on#546).
                raise GitHubUnavailable(
                    f"the name of the removed runner {name} is taken"
                ) from None
        now = self._clock()
        config = said(object_in(made), "encoded_jit_config")
        remember(config)
        return RunnerToken(config, now, now + TOKEN_LIFE_SECONDS, jit=True)

    async def deregister(
        self, repo: str, name: str, *, spare: bool = False
    ) -> Literal["removed", "busy", "absent"]:
        """Find by name, DELETE: 204 removed, 422 busy, 404 absent."""
        base = self.runners_of(repo)
        async for runner in self._list(repo, base, "runners", {"name": name}, spare=spare):
            if runner.get("name") != name:
                continue
            call = self._call_for(repo, "DELETE", "{id}", spare=spare)
            wanted = Wanted(call, f"{base}/{int(runner['id'])}")
            match (await self._send(wanted, 204, 404, 422)).status_code:
                case 204:
                    return "removed"
                case 422:
                    return "busy"
                case _:
                    return "absent"
        return "absent"

    async def job(self, repo: str, job_id: str) -> JobRecord:
        """GET …/actions/jobs/{id}."""
        call = self._call_for(repo, "GET", "{id}", spare=True)
        try:
            answer = object_in(
                await self._send(Wanted(call, f"/repos/{repo}/actions/jobs/{job_id}"), 200)
            )
        except GitHubNotFound:
            return JobRecord("missing")
        return JobRecord(
            str(answer.get("status") or ""),
            str(answer.get("conclusion") or ""),
            str(answer.get("runner_name") or ""),
        )

    async def ask(
        self,
        repo: str,
        method: str,
        path: str,
        *expected: int,
        params: dict[str, str] | None = None,
    ) -> httpx.Response:
        """A request that can wait, as the identity that serves a repository, or its owner."""
        call = self._call_for(repo, method, last_of(path), spare=True)
        return await self._send(Wanted(call, path, params=params), *expected)

    async def ask_as_app(
        self, method: str, path: str, expected: int, params: dict[str, str] | None = None
    ) -> httpx.Response:
        """A request of the App itself that can wait."""
        response = await self.identity.as_app(
            method, path, NOBODY, pays=False, spare=True, params=params
        )
        if response.status_code != expected:
            raise error_of(response)
        return response

    def runners_of(self, repo: str) -> str:
        """The path of the runners that serve a repository."""
        if self._scope == "organization":
            return f"/orgs/{org_of(repo)}/actions/runners"
        return f"/repos/{repo}/actions/runners"

    async def _group_of(self, repo: str) -> int:
        if not self._group or self._scope == "repository":
            return self._group_id
        org = org_of(repo)
        if org not in self._groups:
            path = f"/orgs/{org}/actions/runner-groups"
            async for group in self._list(repo, path, "runner_groups", {}):
                if str(group.get("name", "")).lower() == self._group.lower():
                    self._groups[org] = int(group["id"])
        if org not in self._groups:
            raise GitHubInvalid(
                f"{org} has no runner group {self._group!r}: make it or change github.runner_group"
            )
        return self._groups[org]

    async def _mint(self, repo: str, what: str, body: dict[str, object] | None) -> httpx.Response:
        call = self._to_mint(repo, what)
        return await self._send(Wanted(call, f"{self.runners_of(repo)}/{what}", body), 201)

    async def _list(
        self, repo: str, path: str, key: str, params: dict[str, str], *, spare: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """The items of all pages."""
        wanted = Wanted(
            self._call_for(repo, "GET", last_of(path), spare=spare),
            path,
            params={**params, "per_page": "100"},
        )
        for _ in range(PAGES):
            response = await self._send(wanted, 200)
            for item in cast(list[dict[str, Any]], object_in(response).get(key, [])):
                yield item
            following = self.http.next_page(response)
            if following is None:
                return
            wanted = Wanted(wanted.call, following)

    def _call_for(self, repo: str, method: str, last: str, *, spare: bool = False) -> Call:
        resource = self.http.resource_of(method, last)
        return Call(self.identity.name(repo), repo, method, resource, spare=spare)

    def _to_mint(self, repo: str, last: str) -> Call:
        resource = self.http.resource_of("POST", last)
        return Call(self.identity.name(repo), repo, "POST", resource, pays=True, mints=True)

    async def _send(self, wanted: Wanted, *expected: int) -> httpx.Response:
        """Call as the repository's identity; a token that died early is renewed once."""
        repo = wanted.call.repo
        for renewed in (False, True):
            token = await self.identity.token(repo)
            response = await self.http.send(wanted, token)
            if response.status_code in expected:
                return response
            again = response.status_code == 401 and not renewed
            if again and await self.identity.refused(repo, token):
                continue
            raise error_of(response)
        raise GitHubPermission("GitHub does not accept a token that it has just made")
