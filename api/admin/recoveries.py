"""GET /admin/recoveries: what the last runs of the recovery paid, and what is still owed."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from temporalio.client import Client

from api.admin.results import Results, ended_as
from api.models.recoveries import RecoveryRuns
from policy import names

MOST = 50
SHOWN = (
    "mode",
    "room",
    "letters_replayed",
    "letters_left",
    "deliveries_redelivered",
    "deliveries_owed",
    "deliveries_written_off",
    "jobs_started",
    "jobs_ended",
    "runners_stopped",
    "runners_removed",
    "points",
    "failures",
)

Some = Annotated[int, Query(ge=1, le=MOST, description="At most so many.")]


class Recoveries:
    """Reads the list, and each result once."""

    def __init__(self, client: Client) -> None:
        self._results = Results(client)

    async def read(self, most: int) -> list[dict[str, Any]]:
        """The last to end first, without what a run hands to the next one.

        Raises Problem 503, RPCError.
        """
        query = f"WorkflowType='{names.RECOVERY}' AND ExecutionStatus!='Running'"
        return [
            {**ended_as(one), **{key: result[key] for key in SHOWN if key in result}}
            for one, result in await self._results.read(query, most)
        ]


def add(routes: APIRouter, recoveries: Recoveries) -> None:
    """The route of this file."""

    @routes.get(
        "/recoveries",
        summary="What the last runs of the recovery did",
        response_model=RecoveryRuns,
        response_model_exclude_unset=True,
    )
    async def get_recoveries(limit: Some = 20) -> dict[str, Any]:
        """The last to end first. Temporal's list is a moment behind what happens."""
        return {"recoveries": await recoveries.read(limit)}
