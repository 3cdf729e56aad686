"""What runs cost at Temporal: history events, their bytes, and billable actions.

All three are read from the histories: events and actions are counts, bytes are those of the events
as protobuf, which is what the server keeps and sends. The rules for actions: checker/actions.py.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.client import Client, WorkflowHistory

from checker import actions, history

AT_ONCE = 20  # fetches under way


@dataclass(frozen=True)
class Cost:
    """Of one or several runs."""

    events: float = 0
    bytes: float = 0
    actions: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.events + other.events, self.bytes + other.bytes, self.actions + other.actions
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return self + Cost(-other.events, -other.bytes, -other.actions)

    def per(self, jobs: int) -> "Cost":
        """Of one of so many jobs."""
        return Cost(self.events / jobs, self.bytes / jobs, self.actions / jobs)


def of(fetched: WorkflowHistory) -> Cost:
    """Of one run."""
    return Cost(
        len(fetched.events),
        sum(event.ByteSize() for event in fetched.events),
        actions.count(history.of(json.loads(fetched.to_json()))),
    )


async def by_type(client: Client) -> dict[str, Cost]:
    """Of all runs, summed up by the workflow's type. Let the system come to rest before."""
    listed = [(one.id, one.run_id, one.workflow_type) async for one in client.list_workflows()]
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(workflow_id: str, run_id: str) -> Cost:
        async with gate:
            handle = client.get_workflow_handle(workflow_id, run_id=run_id)
            fetched = await handle.fetch_history()
        return await asyncio.to_thread(of, fetched)

    costs = await asyncio.gather(*(one(key, run) for key, run, _ in listed))
    found: dict[str, Cost] = {}
    for (_, _, kind), each in zip(listed, costs, strict=True):
        found[kind] = found.get(kind, Cost()) + each
    return found


def total(costs: Iterable[Cost]) -> Cost:
    """Of all."""
    return sum(costs, Cost())
