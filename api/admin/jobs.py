"""GET /admin/jobs and /admin/jobs/{owner}/{repo}/{job_id}."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Query, Response
from temporalio.client import Client

from api.explain import JobSilent, UnknownJob, explain
from api.job_list import ListUnknown, Place, open_jobs
from api.models.base import JOB, OWNER, REPOSITORY
from api.models.jobs import JobExplained, JobPage
from api.openapi import problems
from api.paging import Limit, Wanted, bad_cursor, cursor_query
from api.problems import Problem

LAST_MICROS = 250_000_000_000_000_000  # a year that dates can still write

Repo = Annotated[
    str,
    Query(
        pattern=f"^({OWNER}/{REPOSITORY})?$",
        description="Only this repository's: owner/repo.",
        examples=["acme/api"],
    ),
]


def add(routes: APIRouter, client: Client) -> None:
    """The routes of this file."""

    @routes.get("/jobs", summary="Jobs that wait or run", response_model=JobPage)
    async def get_jobs(
        response: Response,
        limit: Limit = 100,
        cursor: Annotated[str, cursor_query("jobs")] = "",
        repo: Repo = "",
    ) -> dict[str, Any]:
        """The newest first, in pages. Temporal's list is a moment behind what happens."""
        wanted = Wanted("jobs", limit, cursor)
        place = _place(wanted.after())
        try:
            found = await open_jobs(client, repo, limit + 1, place)
        except ListUnknown as error:
            raise Problem(503, str(error)) from None
        page = found[:limit]
        following = ""
        if len(found) > limit:
            last = page[-1].micros
            shown = [job.id for job in page if job.micros == last]
            following = wanted.cursor_of(last, shown)
        return {
            "jobs": [job.shown for job in page],
            "next": wanted.link(response, following, repo=repo),
        }

    @routes.get(
        "/jobs/{owner}/{repo}/{job_id}",
        summary="Why a job waits, and all that is known of it",
        response_model=JobExplained,
        response_model_exclude_unset=True,
        responses=problems(404),
    )
    async def get_job(
        owner: Annotated[str, Path(pattern=f"^{OWNER}$", examples=["acme"])],
        repo: Annotated[str, Path(pattern=f"^{REPOSITORY}$", examples=["api"])],
        job_id: Annotated[str, Path(pattern=JOB, examples=["29679449526"])],
    ) -> dict[str, Any]:
        """Its state; while it waits, also which limit holds it, its place, and an estimate."""
        try:
            return await explain(client, f"{owner}/{repo}", job_id)
        except UnknownJob as error:
            raise Problem(404, str(error)) from None
        except JobSilent as error:
            raise Problem(503, str(error)) from None


def _place(key: list[Any] | None) -> Place | None:
    """What is in a cursor. Not Temporal's own page token: a forged one has it try for seconds."""
    if key is None:
        return None
    micros, shown = key if len(key) == 2 else (None, None)
    if not isinstance(micros, int) or not isinstance(shown, list):
        raise bad_cursor()
    if not 0 <= micros < LAST_MICROS:
        raise bad_cursor()
    return Place(micros, frozenset(map(str, cast(list[Any], shown))))
