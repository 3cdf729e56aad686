"""Every route of /admin, a file each subject, and what becomes of the Fleet's refusals."""

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from temporalio.client import Client

from activities.dead_letters import DeadLetters
from api.admin import (
    audit,
    dead_letters,
    draining,
    ended,
    jobs,
    limits,
    recoveries,
    status,
    waiting,
)
from api.admin.ended import Ended
from api.admin.gate import caller_of
from api.admin.recoveries import Recoveries
from api.fleet_client import FleetClient, LimitsChanged, LimitsRefused
from api.mode import ModeWatch
from api.pressure import PressureWatch
from api.problems import Problem, response
from api.replay import Replay


@dataclass(frozen=True)
class Parts:
    """What the routes need of the gateway."""

    client: Client
    mode: ModeWatch
    pressure: PressureWatch
    letters: DeadLetters
    replay: Replay
    ended: Ended
    recoveries: Recoveries


def router(parts: Parts, *, require_if_match: bool = False) -> APIRouter:
    """The admin routes. They must be mounted behind AdminGate (api/admin/gate.py)."""
    routes = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(caller_of)])
    fleet = FleetClient(parts.client)
    draining.add(routes, fleet, parts.mode)
    limits.add(routes, fleet, require_if_match=require_if_match)
    status.add(routes, fleet, parts.pressure)
    waiting.add(routes, parts.client, fleet)
    ended.add(routes, parts.ended)
    jobs.add(routes, parts.client)
    dead_letters.add(routes, parts.letters, parts.replay)
    recoveries.add(routes, parts.recoveries)
    audit.add(routes, fleet)
    return routes


async def on_fleet_error(_request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: what the Fleet refused, or did not answer."""
    if isinstance(error, LimitsChanged):
        etag = {"ETag": limits.etag(error.digest)}
        said = f"{error}: GET /admin/limits, then try again"
        return response(Problem(412, said, headers=etag))
    if isinstance(error, LimitsRefused):
        return response(Problem(422, str(error)))
    return response(Problem(503, str(error)))


async def on_temporal_error(_request: Request, _error: Exception) -> JSONResponse:
    """For FastAPI: Temporal did not answer a question of the admin interface."""
    return response(Problem(503, "the workflow service does not answer"))


async def on_letters_error(_request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: the store of the dead letters did not do it."""
    return response(Problem(503, str(error)))
