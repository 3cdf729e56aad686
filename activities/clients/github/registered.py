"""The runners that are registered at GitHub, a page or one at a time."""

from typing import Any, Literal, cast

from activities.clients.github import GitHubClient
from activities.clients.github.answers import object_in
from activities.registered import RegisteredRunner, RunnersPage

MOST = "100"  # on a page


class GitHubRunners:
    """The adapter of the port activities/registered.py. One method, one request.

    `scope` is owner/repo, or an owner, as runners are registered.
    """

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    async def page(self, scope: str, page: int) -> RunnersPage:
        """GET …/actions/runners."""
        params = {"per_page": MOST, "page": str(page)}
        response = await self._client.ask(scope, "GET", self._path(scope), 200, params=params)
        found = cast(list[dict[str, Any]], object_in(response).get("runners") or [])
        more = self._client.http.next_page(response) is not None
        return RunnersPage([_runner(one) for one in found], more)

    async def look(self, scope: str, number: int) -> RegisteredRunner | None:
        """GET …/actions/runners/{id}; None if there is none any more."""
        path = f"{self._path(scope)}/{number}"
        response = await self._client.ask(scope, "GET", path, 200, 404)
        return None if response.status_code == 404 else _runner(object_in(response))

    async def remove(self, scope: str, number: int) -> Literal["removed", "busy", "absent"]:
        """DELETE …/actions/runners/{id}: 204 removed, 422 busy, 404 absent."""
        path = f"{self._path(scope)}/{number}"
        match (await self._client.ask(scope, "DELETE", path, 204, 404, 422)).status_code:
            case 204:
                return "removed"
            case 422:
                return "busy"
            case _:
                return "absent"

    def _path(self, scope: str) -> str:
        return self._client.runners_of(scope)


def _runner(one: dict[str, Any]) -> RegisteredRunner:
    return RegisteredRunner(
        int(one["id"]),
        str(one.get("name") or ""),
        str(one.get("status") or ""),
        bool(one.get("busy")),
    )
