"""Requests to GitHub: one connection pool, metered, told apart; no retry and no sleep.

Source of the rules: GitHub's "Best practices for using the REST API" (User-Agent, redirects,
conditional requests) and "Using pagination" (Link).
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import httpx

from activities.clients.github.answers import budget_in, date_of, limit_in, time_of
from activities.errors import GitHubUnavailable, RateLimited
from activities.meter import Call, Meter
from activities.token_store import Clock

TOKEN_LIFE_SECONDS = 3600.0  # of installation and registration tokens
API_VERSION = "2022-11-28"
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
SKEW_SECONDS = 5.0  # a difference of clocks that is smaller is the network's, or Date's seconds
REMEMBERED = 1000  # answers to ask for again by their ETag
PAGES = 120  # of a list: GitHub has at most 10,000 runners in a group, 100 on a page


@dataclass(frozen=True)
class Wanted:
    """A request: where, what, and for whom it counts."""

    call: Call
    path: str
    body: dict[str, object] | None = None
    params: dict[str, str] | None = None


class GitHubHttp:
    """Sends requests; knows GitHub's clock, the answers' ETags, and what a path counts to."""

    def __init__(self, base_url: str, meter: Meter, clock: Clock) -> None:
        """`base_url` is the API's: https://api.github.com, or a GitHub Enterprise Server's."""
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=TIMEOUT,
            follow_redirects=True,
            headers={
                "Accept": "application/vnd.github+json",
                "User-Agent": "penstock",
                "X-GitHub-Api-Version": API_VERSION,
            },
        )
        self._meter = meter
        self._clock = clock
        self._etags: OrderedDict[str, tuple[str, httpx.Response]] = OrderedDict()
        self._resources: dict[str, str] = {}
        self.skew = 0.0  # GitHub's clock less ours, in seconds

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def now(self) -> float:
        """GitHub's time, epoch seconds."""
        return self._clock() + self.skew

    def here(self, githubs: float) -> float:
        """A time of GitHub's by our own clock."""
        return githubs - self.skew

    def end_of(self, answer: dict[str, Any]) -> float:
        """When the token in an answer dies, by our clock; in an hour if GitHub does not say."""
        expires = time_of(answer.get("expires_at"))
        return self._clock() + TOKEN_LIFE_SECONDS if expires is None else self.here(expires)

    def resource_of(self, method: str, last: str) -> str:
        """The primary limit that such a request counts to, as the last answer to one told.

        `last` is the last part of its path.
        """
        return self._resources.get(f"{method} {last}", "core")

    async def send(self, wanted: Wanted, credential: str) -> httpx.Response:
        """GitHub's answer, whatever its status, but for the rate limits.

        Raises RateLimited, Deferred (before anything is sent) and GitHubUnavailable.
        """
        call, url = wanted.call, str(httpx.URL(wanted.path, params=wanted.params))
        headers = {"Authorization": f"Bearer {credential}"}
        etag_key = f"{call.identity} {url}"
        known = self._etags.get(etag_key) if call.method == "GET" else None
        if known:
            headers["If-None-Match"] = known[0]
        async with self._meter.under_way:
            ticket = await self._meter.admit(call)
            sent = time.monotonic()
            try:
                response = await self._client.request(
                    call.method,
                    wanted.path,
                    json=wanted.body,
                    params=wanted.params,
                    headers=headers,
                )
            except httpx.RequestError as error:
                await self._meter.unavailable(ticket)
                what = f"{call.method} {wanted.path}: {type(error).__name__}"
                raise GitHubUnavailable(what) from None
        self._set_clock(response, time.monotonic() - sent)
        if refusal := limit_in(response, self.now()):
            here = type(refusal)(refusal.kind, self.here(refusal.until), refusal.said)
            raise RateLimited(await self._meter.refused(ticket, here))
        if response.status_code >= 500:
            await self._meter.unavailable(ticket)
            return response
        found = budget_in(response, self.skew)
        if found:
            last = wanted.path.rsplit("/", 1)[-1]
            self._resources[f"{call.method} {'{id}' if last.isdigit() else last}"] = found[0]
        await self._meter.answered(ticket, *(found or (call.resource, None)))
        if known and response.status_code == 304:
            self._etags.move_to_end(etag_key)
            return known[1]
        self._keep(etag_key, response)
        return response

    def next_page(self, response: httpx.Response) -> str | None:
        """The path of the next page of a list; a link to another host is not followed."""
        link = response.links.get("next", {}).get("url", "")
        if not link:
            return None
        base, url = self._client.base_url, httpx.URL(link)
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            raise GitHubUnavailable(f"the next page of {response.request.url.path} is elsewhere")
        return link

    def _keep(self, key: str, response: httpx.Response) -> None:
        etag = response.headers.get("etag", "")
        if response.request.method != "GET" or response.status_code != 200 or not etag:
            return
        self._etags[key] = (etag, response)
        self._etags.move_to_end(key)
        while len(self._etags) > REMEMBERED:
            self._etags.popitem(last=False)

    def _set_clock(self, response: httpx.Response, took: float) -> None:
        date = date_of(response)
        if date is None:
            return
        # The header was written somewhere in the time it took, and says whole seconds only.
        skew = date + 0.5 - (self._clock() - took / 2)
        self.skew = skew if abs(skew) > SKEW_SECONDS + took else 0.0
