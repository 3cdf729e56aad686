"""Fetches histories from a Temporal server: all runs of all workflows, closed ones too."""

import asyncio
import json

from temporalio.client import Client

from checker import history
from checker.history import History

AT_ONCE = 20  # fetches under way; the server is shared with the system under test


async def export(
    client: Client, query: str | None = None, *, types: set[str] | None = None
) -> list[History]:
    """The histories of every run that the visibility list shows, the oldest run first.

    `query` is a visibility filter, `types` keeps workflows of these type names only. The list
    lags behind by a moment: let the system come to rest first. Raises RPCError.
    """
    found = [
        (one.id, one.run_id)
        async for one in client.list_workflows(query)
        if types is None or one.workflow_type in types
    ]
    free = asyncio.Semaphore(AT_ONCE)

    async def fetch(workflow_id: str, run_id: str) -> History:
        async with free:
            fetched = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        exported = await asyncio.to_thread(lambda: json.loads(fetched.to_json()))
        return history.of(exported, workflow_id=workflow_id, run_id=run_id)

    histories = await asyncio.gather(*(fetch(*one) for one in found))
    return sorted(histories, key=lambda one: (one.started_at, one.workflow_id))
