"""Jobs that wait or run, read from Temporal's list: for /admin/jobs and for `penstock jobs`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client

from api.explain import JobSilent, UnknownJob, explain
from policy import names

PATIENCE_SECONDS = 8.0
AT_ONCE = 50  # jobs that are asked why they wait
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ListUnknown(Exception):
    """Temporal's list does not answer."""


@dataclass(frozen=True)
class OpenJob:
    """One of Temporal's list; it began at so many microseconds of the epoch."""

    id: str
    micros: int

    @property
    def shown(self) -> dict[str, Any]:
        """As a list of jobs has it."""
        return {
            "repo": names.repo_of(self.id),
            "job_id": names.job_of(self.id),
            "workflow_id": self.id,
            "started_at": self.micros / 1e6,
        }


@dataclass(frozen=True)
class Place:
    """After these jobs, which are all of one microsecond, in a list of the newest first."""

    micros: int
    shown: frozenset[str]


async def open_jobs(
    client: Client, repo: str, count: int, place: Place | None = None
) -> list[OpenJob]:
    """At most so many, the newest first; `repo`, in any case, empty for all.

    Temporal's list is a moment behind what happens. Raises ListUnknown, RPCError.
    """
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"
    if repo:
        query += f" AND PenstockRepo='{repo.lower()}'"
    if place:
        # One more: Temporal may count in nanoseconds. What that lets in again is left out below.
        until = EPOCH + timedelta(microseconds=place.micros + 1)
        query += f" AND StartTime <= '{until.isoformat()}'"
    jobs: list[OpenJob] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for found in client.list_workflows(query, page_size=count):
                job = OpenJob(found.id, (found.start_time - EPOCH) // timedelta(microseconds=1))
                if place and (job.micros > place.micros or _seen(job, place)):
                    continue
                jobs.append(job)
                if len(jobs) == count:
                    break
    except TimeoutError:
        raise ListUnknown("the workflow service does not answer") from None
    return jobs


async def with_reasons(client: Client, jobs: Sequence[OpenJob]) -> list[dict[str, Any]]:
    """Each of them as `explain` has it, and since when it is there.

    One that does not answer says so in its `why`. Raises JobSilent if none does.
    """
    room = asyncio.Semaphore(AT_ONCE)
    silent: list[JobSilent] = []

    async def one(job: OpenJob) -> dict[str, Any]:
        shown = job.shown
        async with room:
            try:
                return {**shown, **await explain(client, shown["repo"], shown["job_id"])}
            except JobSilent as error:
                silent.append(error)
                why = str(error)
            except UnknownJob as error:  # deleted since it was listed
                why = str(error)
        return {**shown, "state": "unknown", "permit": "unknown", "why": why}

    answers = await asyncio.gather(*map(one, jobs))
    if jobs and len(silent) == len(jobs):
        raise silent[0]
    return answers


def _seen(job: OpenJob, place: Place) -> bool:
    return job.micros == place.micros and job.id in place.shown
