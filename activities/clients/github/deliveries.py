"""GitHub's logs of webhook deliveries: read a page, look at an attempt, have it sent again."""

from typing import Any, cast

import httpx

from activities.clients.github import GitHubClient
from activities.clients.github.answers import list_in, object_in, time_of
from activities.deliveries import APP_HOOK, FoundHook, Page
from policy.redelivery import EVENT, Attempt

MOST = "100"  # on a page


class GitHubDeliveries:
    """The adapter of the port activities/deliveries.py. One method, one request."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    @property
    def is_app(self) -> bool:
        """As the port says."""
        return self._client.identity.is_app

    def now(self) -> float:
        """As the port says."""
        return self._client.http.clock()

    async def hooks(self, place: str) -> list[FoundHook]:
        """GET /repos/{owner}/{repo}/hooks or /orgs/{org}/hooks: at most 100, GitHub allows 20."""
        base = f"repos/{place}/hooks" if "/" in place else f"orgs/{place}/hooks"
        response = await self._client.ask(place, "GET", f"/{base}", 200, params={"per_page": MOST})
        return [
            FoundHook(f"{base}/{int(hook['id'])}", _url_of(hook))
            for hook in list_in(response)
            if hook.get("active") and {EVENT, "*"} & set(hook.get("events") or [])
        ]

    async def page(self, hook: str, cursor: str) -> Page:
        """GET …/deliveries?cursor=…"""
        params = {"per_page": MOST} | ({"cursor": cursor} if cursor else {})
        response = await self._ask(hook, "GET", "deliveries", 200, params)
        following = self._client.http.next_page(response)
        return Page(
            [_attempt(one) for one in list_in(response)],
            httpx.URL(following).params.get("cursor", "") if following else "",
        )

    async def retry_after(self, hook: str, attempt: int) -> float:
        """GET …/deliveries/{id}: the header of the receiver's answer, if it is a number."""
        answer = object_in(await self._ask(hook, "GET", f"deliveries/{attempt}", 200))
        response = cast(dict[str, Any], answer.get("response") or {})
        headers = cast(dict[str, Any], response.get("headers") or {})
        found = [str(headers[name]) for name in headers if name.lower() == "retry-after"]
        return float(found[0]) if found and found[0].isdigit() else 0.0

    async def redeliver(self, hook: str, attempt: int) -> None:
        """POST …/deliveries/{id}/attempts: 202, sent soon."""
        await self._ask(hook, "POST", f"deliveries/{attempt}/attempts", 202)

    async def _ask(
        self,
        hook: str,
        method: str,
        what: str,
        expected: int,
        params: dict[str, str] | None = None,
    ) -> httpx.Response:
        path = f"/{hook}/{what}"
        if hook == APP_HOOK:
            return await self._client.ask_as_app(method, path, expected, params)
        _, _, place = hook.partition("/")
        return await self._client.ask(
            place.partition("/hooks/")[0], method, path, expected, params=params
        )


def _url_of(hook: dict[str, Any]) -> str:
    config = cast(dict[str, Any], hook.get("config") or {})
    return str(config.get("url") or "")


def _attempt(one: dict[str, Any]) -> Attempt:
    return Attempt(
        id=int(one["id"]),
        guid=str(one["guid"]),
        at=time_of(one["delivered_at"]) or 0.0,
        code=int(one.get("status_code") or 0),
        event=str(one.get("event") or ""),
        action=str(one.get("action") or ""),
        redelivery=bool(one.get("redelivery")),
    )
