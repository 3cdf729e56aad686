"""What a failed test of whole processes leaves to be read: what all of them were at, just then.

A wait of minutes that was in vain says only which condition did not come about. So before such a
test's processes are ended, they are asked: the Fleet, every open workflow, GitHub, all logs.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription

from demo.site import Site
from policy import names

FAILED = pytest.StashKey[bool]()
LINES = 20  # of the end of each log
WIDTH = 400  # of each line
MOST = 30  # open workflows
RECORD = re.compile(r"\d{4}-\d\d-\d\d ")  # how one of a log begins
SECONDS = 10.0  # for any answer: a test that failed is not to hang too
QUERIES = {names.FLEET: "status", names.REPO_SEMAPHORE: "state", names.RUNNER_JOB: "explain"}


class Whole(Protocol):
    """A running Penstock: its folder, its GitHub, where its Temporal server listens."""

    folder: Path
    site: Site

    @property
    def address(self) -> str:
        """HOST:PORT."""
        ...


@asynccontextmanager
async def told_of(request: pytest.FixtureRequest, *which: Whole) -> AsyncGenerator[None]:
    """After a test that failed, say what became of these; in a fixture, around its `yield`.

    pytest shows it as the test's "Captured stdout teardown".
    """
    yield
    if request.node.stash.get(FAILED, False):
        for one in which:
            print(await state(one))


async def state(whole: Whole) -> str:
    """Many lines, whatever still answers."""
    parts = [
        *await _of_temporal(whole),
        await _part("GitHub", whole.site.call("GET", "summary")),
        await _part("GitHub's jobs that are not over", _open_jobs(whole.site)),
        *(_end(log) for log in _logs(whole)),
    ]
    return "\n".join(parts)


async def _of_temporal(whole: Whole) -> list[str]:
    try:
        async with asyncio.timeout(SECONDS):
            client = await Client.connect(whole.address)
            query = "ExecutionStatus='Running'"
            every = [found async for found in client.list_workflows(query, limit=MOST)]
    except Exception as error:  # the test has failed already, and not for this
        return [f"Temporal: {error!r}"]
    fleet = client.get_workflow_handle(names.FLEET_ID)
    asked = [_part("the Fleet's overview", fleet.query("overview"))]
    asked += [_part(f"open: {one.id}", _workflow(client, one)) for one in every]
    return list(await asyncio.gather(*asked))


async def _workflow(client: Client, which: WorkflowExecution) -> dict[str, Any]:
    """What it says of itself, and what Temporal says of its tasks."""
    handle, kind = client.get_workflow_handle(which.id), which.workflow_type
    found: dict[str, Any] = {"temporal": _pending(await handle.describe())}
    try:
        async with asyncio.timeout(SECONDS / 2):
            said = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
            found["says"] = said.current_details
            if kind in QUERIES:
                found[QUERIES[kind]] = await handle.query(QUERIES[kind])
    except Exception as error:  # no worker answers: then Temporal's word is all
        found["no answer"] = repr(error)
    return found


def _pending(described: WorkflowExecutionDescription) -> dict[str, Any]:
    raw = described.raw_description
    task = raw.pending_workflow_task
    return {
        "history": described.history_length,
        "workflow task, attempts": task.attempt if raw.HasField("pending_workflow_task") else 0,
        "activities": [
            f"{one.activity_type.name}, attempt {one.attempt}: {one.last_failure.message}"
            for one in raw.pending_activities
        ],
    }


async def _open_jobs(site: Site) -> list[Any]:
    made = (await site.call("GET", "jobs"))["jobs"]
    return [job for job in made if job["status"] != "completed"][:MOST]


def _logs(whole: Whole) -> list[Path]:
    folders = (whole.folder, whole.folder / "state", whole.site.folder)
    return [log for folder in folders for log in sorted(folder.glob("*.log"))]


def _end(log: Path) -> str:
    """Of what is said at DEBUG the first line is enough; a traceback is shown whole."""
    lines: list[str] = []
    detail = False
    for line in log.read_text(errors="replace").splitlines():
        begins = RECORD.match(line) is not None
        if begins or not detail:
            lines.append(line[:WIDTH])
        if begins:
            detail = " DEBUG " in line
    return "\n".join([f"the end of {log.parent.name}/{log.name}:", *lines[-LINES:]])


async def _part(title: str, asked: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            return f"{title}: {json.dumps(await asked, default=str)}"
    except Exception as error:  # one that does not answer hides no other
        return f"{title}: {error!r}"
