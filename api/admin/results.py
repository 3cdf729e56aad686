"""What ended workflows answered: each read once, for it does not change any more."""

import asyncio
from collections import OrderedDict
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.service import RPCError

from api.job_list import PATIENCE_SECONDS
from api.problems import Problem

KEPT = 500
AT_ONCE = 8


class Results:
    """Reads lists of ended workflows, and their results."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._results: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, query: str, most: int) -> list[tuple[WorkflowExecution, dict[str, Any]]]:
        """The last to end first, each with its result; empty for one that was ended from outside.

        Temporal's list is a moment behind what happens. Raises Problem 503, RPCError.
        """
        found: list[WorkflowExecution] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for one in self._client.list_workflows(query, limit=most, page_size=most):
                    found.append(one)
                results = await asyncio.gather(*(self._of(one) for one in found))
        except TimeoutError:
            raise Problem(503, "the workflow service does not answer") from None
        return list(zip(found, results, strict=True))

    async def _of(self, one: WorkflowExecution) -> dict[str, Any]:
        if one.status != WorkflowExecutionStatus.COMPLETED:
            return {}
        key = f"{one.id} {one.run_id}"
        if key not in self._results:
            handle = self._client.get_workflow_handle(
                one.id, run_id=one.run_id, result_type=dict[str, Any]
            )
            try:
                async with self._turns:
                    self._results[key] = await handle.result(follow_runs=False)
            except (RPCError, WorkflowFailureError):
                return {}
            while len(self._results) > KEPT:
                self._results.popitem(last=False)
        return self._results[key]


def ended_as(one: WorkflowExecution) -> dict[str, Any]:
    """Who it was, when, and how it ended in Temporal's word."""
    return {
        "workflow_id": one.id,
        "started_at": one.start_time.timestamp(),
        "ended_at": one.close_time.timestamp() if one.close_time else 0.0,
        "ended": one.status.name.lower() if one.status else "unknown",
    }
