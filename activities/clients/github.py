"""GitHub over HTTP. It never sleeps and never retries: it says what happened."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

import httpx
import jwt

from activities.errors import GitHubNotFound, GitHubRefused, GitHubUnavailable, RateLimited
from activities.github import JobRecord, RunnerToken
from policy.limits import org_of
from policy.throttle import limited_until

API_VERSION = "2022-11-28"
TOKEN_LIFE_SECONDS = 3600.0  # of installation and registration tokens
JWT_LIFE_SECONDS = 540  # GitHub refuses more than 600
INSTALLATION_MARGIN_SECONDS = 300.0  # an activity may run this long with the token it took
TIMEOUT = httpx.Timeout(10.0, connect=5.0)


@dataclass(frozen=True)
class Credentials:
    """An App (its client id or app id, and its key in PEM), or a personal access token."""

    app_id: str = ""
    private_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class _Installation:
    id: str
    token: str = field(default="", repr=False)
    expires_at: float = 0.0


class GitHubClient:
    """The adapter of the port activities/github.py."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        scope: Literal["repository", "organization"] = "repository",
        runner_group_id: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`base_url` is the API's: https://api.github.com, or a GitHub Enterprise Server's."""
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=TIMEOUT,
            follow_redirects=True,
            headers={
                "Accept": "application/vnd.github+json",
                "User-Agent": "penstock",
                "X-GitHub-Api-Version": API_VERSION,
            },
        )
        self._credentials = credentials
        self._scope = scope
        self._group = runner_group_id
        self._clock = clock
        self._installations: dict[str, _Installation] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def calls_for_token(self, repo: str) -> int:
        """1, and more while the installation or its token must be fetched first."""
        if self._credentials.token:
            return 1
        known = self._installations.get(org_of(repo))
        return 3 if known is None else 1 if self._serves(known) else 2

    async def registration_token(self, repo: str) -> RunnerToken:
        """POST …/registration-token (201; GitHub: any number of runners, for one hour)."""
        now = self._clock()
        answer = await self._call(
            "POST", f"{self._runners(repo)}/registration-token", repo, expected=201
        )
        return RunnerToken(
            _said(answer, "token"),
            now,
            _time(answer.get("expires_at")) or now + TOKEN_LIFE_SECONDS,
        )

    async def jit_config(self, repo: str, name: str, labels: list[str]) -> RunnerToken:
        """POST …/generate-jitconfig; a runner left by an attempt without answer gives way."""
        body = {
            "name": name,
            "runner_group_id": self._group,
            "labels": labels,
            "work_folder": "_work",
        }
        now = self._clock()
        path = f"{self._runners(repo)}/generate-jitconfig"
        try:
            answer = await self._call("POST", path, repo, expected=201, body=body)
        except _Conflict:
            if await self.deregister(repo, name) == "busy":
                raise GitHubRefused(f"the runner {name} exists already, and works") from None
            answer = await self._call("POST", path, repo, expected=201, body=body)
        return RunnerToken(
            _said(answer, "encoded_jit_config"), now, now + TOKEN_LIFE_SECONDS, jit=True
        )

    async def deregister(self, repo: str, name: str) -> Literal["removed", "busy", "absent"]:
        """Find by name, DELETE: 204 removed, 422 busy, 404 absent."""
        base = self._runners(repo)
        found = await self._call(
            "GET", base, repo, expected=200, params={"name": name, "per_page": "100"}
        )
        for runner in cast(list[dict[str, Any]], found.get("runners", [])):
            if runner.get("name") == name:
                try:
                    await self._call("DELETE", f"{base}/{int(runner['id'])}", repo, expected=204)
                except _Unprocessable:
                    return "busy"
                except GitHubNotFound:
                    return "absent"
                return "removed"
        return "absent"

    async def job(self, repo: str, job_id: str) -> JobRecord:
        """GET …/actions/jobs/{id}."""
        try:
            answer = await self._call(
                "GET", f"/repos/{repo}/actions/jobs/{job_id}", repo, expected=200
            )
        except GitHubNotFound:
            return JobRecord("missing")
        return JobRecord(
            str(answer.get("status") or ""),
            str(answer.get("conclusion") or ""),
            str(answer.get("runner_name") or ""),
        )

    def _runners(self, repo: str) -> str:
        if self._scope == "organization":
            return f"/orgs/{org_of(repo)}/actions/runners"
        return f"/repos/{repo}/actions/runners"

    async def _call(
        self,
        method: str,
        path: str,
        repo: str,
        *,
        expected: int,
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call as the owner's installation; a token that died early is renewed once."""
        for renewed in (False, True):
            token = await self._token(repo)
            response = await self._send(method, path, token, body, params)
            if response.status_code == 401 and not renewed and not self._credentials.token:
                self._forget(org_of(repo), token)
                continue
            return self._read(response, expected)
        raise GitHubRefused("GitHub does not accept a token that it has just made")

    async def _send(
        self,
        method: str,
        path: str,
        token: str,
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return await self._http.request(
                method,
                path,
                json=body,
                params=params,
                headers={"Authorization": f"Bearer {token}"},
            )
        except httpx.RequestError as error:
            raise GitHubUnavailable(f"{method} {path}: {type(error).__name__}") from None

    def _read(self, response: httpx.Response, expected: int) -> dict[str, Any]:
        status = response.status_code
        if status == expected:
            return _object(response)
        try:
            answer = cast(dict[str, Any], response.json())
            message = str(answer.get("message", ""))[:200]
            documentation = str(answer.get("documentation_url", ""))
        except (ValueError, AttributeError):
            message, documentation = "", ""
        until = limited_until(status, response.headers, message, documentation, self._clock())
        if until is not None:
            raise RateLimited(until)
        said = f"{response.request.method} {response.request.url.path}: {status} {message}"
        if status >= 500:
            raise GitHubUnavailable(said)
        kinds = {404: GitHubNotFound, 409: _Conflict, 422: _Unprocessable}
        raise kinds.get(status, GitHubRefused)(said)

    async def _token(self, repo: str) -> str:
        if self._credentials.token:
            return self._credentials.token
        org = org_of(repo)
        async with self._locks.setdefault(org, asyncio.Lock()):
            known = self._installations.get(org)
            if known is None:
                # Asked by repository: it serves organizations and users alike.
                found = await self._send("GET", f"/repos/{repo}/installation", self._jwt())
                known = _Installation(_said(self._read(found, 200), "id"))
                self._installations[org] = known
            if not self._serves(known):
                made = await self._send(
                    "POST", f"/app/installations/{known.id}/access_tokens", self._jwt()
                )
                try:
                    answer = self._read(made, 201)
                except GitHubNotFound:
                    self._installations.pop(org, None)  # uninstalled, or installed anew
                    raise
                expires = _time(answer.get("expires_at")) or self._clock() + TOKEN_LIFE_SECONDS
                known = _Installation(known.id, _said(answer, "token"), expires)
                self._installations[org] = known
            return known.token

    def _serves(self, installation: _Installation) -> bool:
        return self._clock() < installation.expires_at - INSTALLATION_MARGIN_SECONDS

    def _forget(self, org: str, token: str) -> None:
        known = self._installations.get(org)
        if known and known.token == token:
            self._installations[org] = _Installation(known.id)

    def _jwt(self) -> str:
        now = int(self._clock())
        # One minute back: GitHub refuses an `iat` ahead of its own clock.
        claims = {"iat": now - 60, "exp": now + JWT_LIFE_SECONDS, "iss": self._credentials.app_id}
        try:
            return jwt.encode(claims, self._credentials.private_key, algorithm="RS256")
        except (ValueError, jwt.PyJWTError):
            # The library's message may quote the key.
            raise GitHubRefused("github.private_key is no RSA key in PEM") from None


def _object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a good answer; a proxy's page in its place is no word of GitHub's."""
    try:
        answer: object = response.json() if response.content else {}
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        request = response.request
        raise GitHubUnavailable(f"{request.method} {request.url.path}: an answer without sense")
    return cast(dict[str, Any], answer)


def _said(answer: dict[str, Any], key: str) -> str:
    if not (value := str(answer.get(key) or "")):
        raise GitHubUnavailable(f"GitHub's answer has no {key}")
    return value


class _Conflict(GitHubRefused):
    pass


class _Unprocessable(GitHubRefused):
    pass


def _time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
