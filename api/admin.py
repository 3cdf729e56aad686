"""/admin: drain, limits, status. Behind admin keys; all that it says is the Fleet's word."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from temporalio.client import Client

from activities.dead_letters import DeadLetters
from api.events import OWNER, REPOSITORY
from api.explain import JobSilent, UnknownJob, explain
from api.fleet_client import FleetClient, LimitsRefused
from api.keys import guard
from api.mode import ModeWatch
from api.problems import Problem, response
from api.replay import Replay
from policy import names
from policy.fleet import ModeChange
from policy.limits import LimitsChange


class ModeBody(BaseModel):
    """The mode to be in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"mode": "draining", "reason": "kernel update"}]},
    )
    mode: Literal["normal", "draining", "maintenance"]
    reason: str = Field(default="", max_length=500)
    deadline_seconds: float = Field(default=0.0, ge=0)
    stop_running: bool = False


class LimitsBody(BaseModel):
    """The limits to change; a null unsets one repository's or organization's limit."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"max_runners": 12, "repos": {"acme/api": 3}}]},
    )
    max_runners: int | None = None
    max_repo_share: float | None = None
    default: int | None = None
    repos: dict[str, int | None] = Field(default_factory=dict[str, int | None])
    orgs: dict[str, int | None] = Field(default_factory=dict[str, int | None])
    weights: dict[str, float | None] = Field(default_factory=dict[str, float | None])
    reason: str = Field(default="", max_length=500)


def router(
    client: Client, hashes: list[str], mode: ModeWatch, letters: DeadLetters, replay: Replay
) -> APIRouter:
    """The admin routes."""
    check = guard(lambda: hashes)
    routes = APIRouter(prefix="/admin", dependencies=[Depends(check)])
    fleet = FleetClient(client)

    @routes.get("/draining", summary="Mode and time to drain")
    async def get_draining() -> dict[str, Any]:
        return await fleet.drain_status()

    @routes.put("/draining", summary="Drain, resume, or stop for maintenance")
    async def put_draining(body: ModeBody, actor: str = Depends(check)) -> dict[str, Any]:
        change = ModeChange(body.reason, body.deadline_seconds, body.stop_running, actor)
        await fleet.set_mode(body.mode, change)
        answer = await fleet.drain_status()
        await mode.reread()  # from now on this gateway refuses, or accepts
        return answer

    @routes.get("/limits", summary="The limits in force")
    async def get_limits() -> dict[str, Any]:
        return (await fleet.status())["limits"]

    @routes.patch("/limits", summary="Change limits, all or none")
    async def patch_limits(body: LimitsBody, actor: str = Depends(check)) -> dict[str, Any]:
        change = LimitsChange(**body.model_dump(), actor=actor)
        return asdict(await fleet.set_limits(change))

    @routes.get("/status", summary="Mode, limits and every repository's permits")
    async def get_status() -> dict[str, Any]:
        return await fleet.status()

    @routes.get("/repos", summary="Every repository's permits")
    async def get_repos() -> dict[str, Any]:
        return {"repos": (await fleet.status())["repos"]}

    @routes.get("/jobs", summary="Jobs that wait or run, the newest first")
    async def get_jobs(limit: int = 100, repo: str = "") -> dict[str, Any]:
        if not 1 <= limit <= 1000:
            raise Problem(422, "limit must be from 1 to 1000")
        owner, _, name = repo.partition("/")
        if repo and not (OWNER.fullmatch(owner) and REPOSITORY.fullmatch(name)):
            raise Problem(422, "repo must be owner/repo")
        query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"
        if repo:
            query += f" AND PenstockRepo='{repo.lower()}'"
        jobs: list[dict[str, Any]] = []
        async for found in client.list_workflows(query, limit=limit):
            jobs.append(
                {
                    "repo": names.repo_of(found.id),
                    "job_id": names.job_of(found.id),
                    "workflow_id": found.id,
                    "started_at": found.start_time.timestamp(),
                }
            )
        return {"jobs": jobs}

    @routes.get("/jobs/{owner}/{repo}/{job_id}", summary="Why a job waits, and all that is known")
    async def get_job(owner: str, repo: str, job_id: str) -> dict[str, Any]:
        try:
            return await explain(client, f"{owner}/{repo}", job_id)
        except UnknownJob as error:
            raise Problem(404, str(error)) from None
        except JobSilent as error:
            raise Problem(503, str(error), retry_after=5) from None

    @routes.get("/dead-letters", summary="What was refused or failed, the oldest first")
    async def get_dead_letters(
        offset: int = Query(0, ge=0), limit: int = Query(100, ge=1, le=1000)
    ) -> dict[str, Any]:
        every = await letters.all()
        shown = [asdict(letter) for letter in every[offset : offset + limit]]
        return {"dead_letters": shown, "total": len(every)}

    @routes.get("/dead-letters/{id_}", summary="One of them")
    async def get_dead_letter(id_: str) -> dict[str, Any]:
        letter = await letters.get(id_)
        if letter is None:
            raise Problem(404, f"there is no dead letter {id_}")
        return asdict(letter)

    @routes.post("/dead-letters/{id_}/replay", summary="Handle a refused event as if it came now")
    async def post_replay(id_: str) -> dict[str, Any]:
        return await replay.replay(id_)

    @routes.delete("/dead-letters/{id_}", summary="Forget one of them", status_code=204)
    async def delete_dead_letter(id_: str) -> None:
        if not await letters.remove(id_):
            raise Problem(404, f"there is no dead letter {id_}")

    return routes


async def on_fleet_error(_request: Request, error: Exception) -> Any:
    """For FastAPI: what the Fleet refused, or did not answer."""
    if isinstance(error, LimitsRefused):
        return response(Problem(422, str(error)))
    return response(Problem(503, str(error), retry_after=5))


async def on_temporal_error(_request: Request, _error: Exception) -> Any:
    """For FastAPI: Temporal did not answer a question of the admin interface."""
    return response(Problem(503, "the workflow service does not answer", retry_after=5))
