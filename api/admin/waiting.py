"""GET /admin/jobs/waiting: who waits, in the order of who is ahead, why, and for how long yet."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query
from temporalio.client import Client

from api.admin.jobs import Repo
from api.explain import UNKNOWN, ask, compose
from api.fleet_client import FleetClient
from api.models.jobs import WaitingJobs
from policy import names, priority
from policy.explain import InLine

MOST_REPOSITORIES = 12  # whose lines are read, those with the first in line
MOST = 50  # jobs

Some = Annotated[int, Query(ge=1, le=MOST, description="At most so many.")]


def add(routes: APIRouter, client: Client, fleet: FleetClient) -> None:
    """The route of this file. It must stand before the one of a single job."""

    @routes.get(
        "/jobs/waiting",
        summary="Jobs that wait, the first in line first, and why",
        response_model=WaitingJobs,
        response_model_exclude_unset=True,
    )
    async def get_waiting(limit: Some = 20, repo: Repo = "") -> dict[str, Any]:
        """By effective priority, then arrival, of the repositories with the first in line."""
        status = await fleet.status()
        lines = [one for one in status["repos"] if repo.lower() in ("", one["repo"])]
        return await read(client, lines, limit)


async def read(client: Client, repos: list[dict[str, Any]], most: int) -> dict[str, Any]:
    """The same of these repositories, which are as `status` has them.

    Who does not answer leaves a gap that is named.
    """
    waiting = [repo for repo in repos if repo["waiting"]]
    lines = await asyncio.gather(
        *(_front(client, repo, most) for repo in sorted(waiting, key=_head)[:MOST_REPOSITORIES])
    )
    jobs = sorted(
        (job for line in lines for job in line),
        key=lambda job: (priority.level(job["priority_now"]), job["queued_at"], job["job"]),
    )[:most]
    places = [InLine(job["repo"], job["position"]) for job in jobs]
    kind = list[dict[str, Any]]
    held = await ask(client, names.FLEET_ID, "holds_each", places, kind=kind) if jobs else []
    told = zip(jobs, held or [None] * len(jobs), strict=True)
    return {
        "waiting": sum(repo["waiting"] for repo in waiting),
        "jobs": list(await asyncio.gather(*(_explained(client, *one) for one in told))),
    }


def _head(repo: dict[str, Any]) -> tuple[int, float, str]:
    """By which a repository's first waiter comes before another's, as far as status tells."""
    now = time.time()
    heads = [
        (priority.effective_level(g["priority"], now - g["oldest_wait_seconds"], now),
         -float(g["oldest_wait_seconds"]))
        for g in repo.get("waiting_by_priority", [])
    ]  # fmt: skip
    return (*min(heads, default=(len(priority.PRIORITIES), 0.0)), repo["repo"])


async def _front(client: Client, repo: dict[str, Any], most: int) -> list[dict[str, Any]]:
    asked = await ask(
        client, names.semaphore_id(repo["repo"]), "front", most, kind=list[dict[str, Any]]
    )
    return [{**job, "repo": repo["repo"], "in_line": repo["waiting"]} for job in asked or []]


async def _explained(
    client: Client, job: dict[str, Any], held: dict[str, Any] | None
) -> dict[str, Any]:
    now = time.time()
    told: dict[str, Any] = {"not_before": job["not_before"], "why": ""}
    if told["not_before"] > now:  # only the job itself knows why
        word = await ask(client, job["job"], "explain", kind=dict[str, Any])
        told["why"] = word["why"] if word else UNKNOWN
    place = {**job, "waiting": max(job["in_line"], job["position"])}
    said = compose(told, place, held, now)
    return {
        "repo": job["repo"],
        "job_id": names.job_of(job["job"]),
        "workflow_id": job["job"],
        "priority": job["priority"],
        "waited_seconds": round(max(0.0, now - job["queued_at"]), 1),
        **{key: said[key] for key in ("position", "priority_now", "limit", "why", "estimate")},
    }
