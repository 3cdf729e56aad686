"""GET /admin/status and /admin/repos."""

from typing import Annotated, Any

from fastapi import APIRouter, Response

from api import readings
from api.fleet_client import FleetClient
from api.models.status import RepoPage, Status
from api.paging import Limit, Wanted, cursor_query, cut
from api.pressure import PressureWatch


async def read(fleet: FleetClient, pressure: PressureWatch) -> dict[str, Any]:
    """What GET /admin/status answers. Raises FleetUnavailable."""
    return {**await readings.status(fleet), "pressure": await pressure.view()}


def add(routes: APIRouter, fleet: FleetClient, pressure: PressureWatch) -> None:
    """The routes of this file."""

    @routes.get(
        "/status",
        summary="What the fleet does now",
        response_model=Status,
        response_model_exclude_unset=True,
    )
    async def get_status() -> dict[str, Any]:
        """Mode, limits, every repository's permits, the last ten changes, this gateway's load."""
        return await read(fleet, pressure)

    @routes.get(
        "/repos",
        summary="Every repository's permits",
        response_model=RepoPage,
        response_model_exclude_unset=True,
    )
    async def get_repos(
        response: Response, limit: Limit = 100, cursor: Annotated[str, cursor_query("repos")] = ""
    ) -> dict[str, Any]:
        """Repositories that have, or had, jobs: by name, in pages."""
        wanted = Wanted("repos", limit, cursor)
        wanted.after()
        repos = await readings.repos(fleet)
        page, following = cut(wanted, repos, lambda repo: [repo["repo"]])
        return {"repos": page, "next": wanted.link(response, following)}
