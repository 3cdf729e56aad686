"""Requests to GitHub: one connection pool, metered, told apart; no retry and no sleep.

Source of the rules: GitHub's "Best practices for using the REST API" (User-Agent, redirects:
repeated as they are; conditional requests) and "Using pagination" (Link).
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import httpx

from activities.clients.github.answers import budget_in, date_of, limit_in, time_of
from activities.clients.github.clock import GitHubClock
from activities.errors import GitHubUnavailable, RateLimited
from activities.meter import Call, Meter, Ticket

TOKEN_LIFE_SECONDS = 3600.0  # of installation and registration tokens
API_VERSION = "2022-11-28"
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
WHOLE_SECONDS = 20.0  # an answer that comes in drops breaks no other time-out
REDIRECTS, HOPS = (301, 302, 307, 308), 3
REMEMBERED = 1000  # answers to ask for again by their ETag
KEPT = ("link", "x-oauth-scopes")  # of their headers: those that somebody reads
PAGES = 120  # of a list: GitHub has at most 10,000 runners in a group, 100 on a page


@dataclass(frozen=True)
class Wanted:
    """A request: where, what, and for whom it counts."""

    call: Call
    path: str
    body: dict[str, object] | None = None
    params: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of an answer: not its connection, nor the credential it was asked for with."""

    etag: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes

    @staticmethod
    def of(response: httpx.Response, etag: str) -> "_Known":
        headers = {name: response.headers[name] for name in KEPT if name in response.headers}
        return _Known(etag, response.request.url, headers, response.content)

    def again(self) -> httpx.Response:
        asked = httpx.Request("GET", self.url)
        return httpx.Response(200, headers=self.headers, content=self.content, request=asked)


def last_of(path: str) -> str:
    """The last part of a path, by which GitHub's limits are told apart; a number is any one."""
    last = path.partition("?")[0].rsplit("/", 1)[-1]
    return "{id}" if last.isdigit() else last


class GitHubHttp:
    """Sends requests; knows GitHub's clock, the answers' ETags, and what a path counts to."""

    def __init__(self, base_url: str, meter: Meter, clock: GitHubClock) -> None:
        """`base_url` is the API's: https://api.github.com, or a GitHub Enterprise Server's."""
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=TIMEOUT,
            headers={
                "Accept": "application/vnd.github+json",
                "User-Agent": "penstock",
                "X-GitHub-Api-Version": API_VERSION,
            },
        )
        self._meter = meter
        self.clock = clock
        self._etags: OrderedDict[str, _Known] = OrderedDict()
        self._resources: dict[str, str] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def end_of(self, answer: dict[str, Any]) -> float:
        """When the token in an answer dies; in an hour if GitHub does not say."""
        expires = time_of(answer.get("expires_at"))
        return self.clock() + TOKEN_LIFE_SECONDS if expires is None else expires

    def resource_of(self, method: str, last: str) -> str:
        """The primary limit that such a request counts to, as the last answer to one told.

        `last` is the last part of its path.
        """
        return self._resources.get(f"{method} {last}", "core")

    async def send(self, wanted: Wanted, credential: str) -> httpx.Response:
        """GitHub's answer, whatever its status, but for rate limits and redirects.

        Raises RateLimited, Deferred (before anything is sent) and GitHubUnavailable.
        """
        for _ in range(HOPS):
            response = await self._once(wanted, credential)
            if response.status_code not in REDIRECTS:
                return response
            moved = self._ours(response, response.headers.get("location", ""))
            wanted = replace(wanted, path=moved, params=None)
        raise GitHubUnavailable(f"{wanted.call.method} {wanted.path}: redirected too often")

    async def _once(self, wanted: Wanted, credential: str) -> httpx.Response:
        call, url = wanted.call, str(httpx.URL(wanted.path, params=wanted.params))
        headers = {"Authorization": f"Bearer {credential}"}
        etag_key = f"{call.identity} {url}"
        known = self._etags.get(etag_key) if call.method == "GET" else None
        if known:
            headers["If-None-Match"] = known.etag
        # Kept until what the answer says of limits is written: the next call goes by that.
        async with self._meter.lane(call):
            ticket = await self._meter.admit(call)
            response = await self._exchange(wanted, headers, ticket)
            found = budget_in(response, self.clock())
            if response.status_code < 500:
                await self._meter.answered(ticket, *(found or (call.resource, None)))
        if found:
            self._resources[f"{call.method} {last_of(wanted.path)}"] = found[0]
        if known and response.status_code == 304:
            self._etags.move_to_end(etag_key)
            return known.again()
        self._keep(etag_key, response)
        return response

    async def _exchange(
        self, wanted: Wanted, headers: dict[str, str], ticket: Ticket
    ) -> httpx.Response:
        """Send, and tell the meter what goes wrong."""
        call, sent = wanted.call, time.monotonic()
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                response = await self._client.request(
                    call.method,
                    wanted.path,
                    json=wanted.body,
                    params=wanted.params,
                    headers=headers,
                )
        except (httpx.RequestError, TimeoutError) as error:
            await self._meter.unavailable(ticket)
            what = f"{call.method} {wanted.path}: {type(error).__name__}"
            raise GitHubUnavailable(what) from None
        date = date_of(response)
        if date is not None:
            self.clock.heard(date, time.monotonic() - sent)
        if refusal := limit_in(response, self.clock()):
            raise RateLimited(await self._meter.refused(ticket, refusal), refusal.kind)
        if response.status_code >= 500:
            await self._meter.unavailable(ticket)
        return response

    def next_page(self, response: httpx.Response) -> str | None:
        """The address of the next page of a list; a link to another host is not followed."""
        link = response.links.get("next", {}).get("url", "")
        return self._ours(response, link) if link else None

    def _ours(self, response: httpx.Response, link: str) -> str:
        """Where an answer points, if that is GitHub: nobody else is to see a credential."""
        base, url = self._client.base_url, response.url.join(link)
        if not link or (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise GitHubUnavailable(f"{response.request.url.path} points elsewhere")
        return str(url)

    def _keep(self, key: str, response: httpx.Response) -> None:
        etag = response.headers.get("etag", "")
        if response.request.method != "GET" or response.status_code != 200 or not etag:
            return
        self._etags[key] = _Known.of(response, etag)
        self._etags.move_to_end(key)
        while len(self._etags) > REMEMBERED:
            self._etags.popitem(last=False)
