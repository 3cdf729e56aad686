"""GET /admin/jobs/ended: the last jobs that ended, what became of them, how long they waited."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from temporalio.client import Client

from api.admin.jobs import Repo
from api.admin.results import Results, ended_as
from api.models.jobs import EndedJobs
from policy import names

MOST = 50

Some = Annotated[int, Query(ge=1, le=MOST, description="At most so many.")]


class Ended:
    """Reads the list, and each result once."""

    def __init__(self, client: Client) -> None:
        self._results = Results(client)

    async def read(self, most: int, repo: str = "") -> list[dict[str, Any]]:
        """The last to end first; Temporal's list is a moment behind what happens.

        Raises Problem 503, RPCError.
        """
        query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus!='Running'"
        if repo:
            query += f" AND PenstockRepo='{repo}'"
        return [
            {
                "repo": names.repo_of(one.id),
                "job_id": names.job_of(one.id),
                **ended_as(one),
                **result,
            }
            for one, result in await self._results.read(query, most)
        ]


def add(routes: APIRouter, ended: Ended) -> None:
    """The route of this file. It must stand before the one of a single job."""

    @routes.get(
        "/jobs/ended",
        summary="The last jobs that ended, and how",
        response_model=EndedJobs,
        response_model_exclude_unset=True,
    )
    async def get_ended(limit: Some = 20, repo: Repo = "") -> dict[str, Any]:
        """The last to end first. Temporal's list is a moment behind what happens."""
        return {"jobs": await ended.read(limit, repo.lower())}
