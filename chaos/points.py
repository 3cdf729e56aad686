"""kill -9 of the worker at every await point of a job, enumerated from a history.

One job is run and its history read: each of its events is a point at which a worker may die with
what it had in hand. For each point a job of its own is followed by a long poll of its history; at
the moment at which the point stands there the worker is killed, and then started anew. Jobs that
an earlier kill has met go on meanwhile. In the end every job has run once and every law held.

The worker keeps no workflow in its cache here, so that each workflow task begins with a replay;
and what waits for a dead worker's word waits for five seconds instead of ten.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError

from chaos import replay, rest
from chaos.run import BOUNDS, keep
from chaos.stack import Stack, running
from checker import check
from checker.evidence import Violation
from demo.evidence import gather
from policy import names

JOB_SECONDS = 0.3
POINT_SECONDS = 40.0  # for a job to come to its point; the worker's last death may hold it up
PATIENCE_SECONDS = 90.0
ENDS = "WORKFLOW_EXECUTION_COMPLETED"  # nothing is left to do then


@dataclass
class Killed:
    """What became of all points."""

    points: list[str] = field(default_factory=list[str])
    missed: list[str] = field(default_factory=list[str])  # whose job came to its end without it
    jobs: int = 0
    ran_once: int = 0
    seconds: float = 0.0
    missing: list[str] = field(default_factory=list[str])
    violations: list[Violation] = field(default_factory=list[Violation])
    folder: Path = Path()

    @property
    def good(self) -> bool:
        """Whether all jobs ran once and every law held. A history may differ: most is enough."""
        whole = self.ran_once == self.jobs and not self.missing and not self.violations
        return whole and len(self.missed) <= len(self.points) // 4


async def play(
    folder: Path, say: Callable[[str], None], *, most: int | None = None, seed: int = 0
) -> Killed:
    """All points, or `most` of them, chosen by the seed."""
    began, clock = time.time(), time.monotonic()
    async with running(folder, 1, hurry=True) as stack:
        every = await _enumerate(stack)
        chosen = list(range(len(every)))
        if most is not None:
            chosen = sorted(random.Random(seed).sample(chosen, min(most, len(every))))  # noqa: S311
        result = Killed([every[number] for number in chosen], folder=folder)
        say(f"{len(every)} await points; {len(chosen)} of them now")
        for number, point in enumerate(result.points):
            met = await _at(stack, point, f"points/r{number}")
            say(f"  {time.monotonic() - clock:6.1f} s  {point}: {'killed' if met else 'not met'}")
            if not met:
                result.missed.append(point)
        calm = time.time()
        result.missing = await rest.wait(stack, PATIENCE_SECONDS, say)
        result.seconds = time.monotonic() - clock
        jobs = (await stack.site.call("GET", "jobs"))["jobs"]
        result.jobs = len(jobs)
        result.ran_once = sum(
            job["times_run"] == 1 and job["conclusion"] == "success" for job in jobs
        )
        evidence = await gather(
            stack.client, stack.site, bounds=BOUNDS, outages=[(began, calm)], texts=stack.logs()
        )
        await keep(stack, evidence)
        result.violations = [*check(evidence), *await replay.check(list(evidence.histories))]
        return result


def show(console: Console, result: Killed) -> None:
    """A line, and what went wrong."""
    for line in result.missing:
        console.print(f"  not recovered: {line}", highlight=False)
    for violation in result.violations:
        console.print(f"  {violation}", highlight=False)
    broken = ", ".join(sorted({v.law for v in result.violations})) or "none"
    console.print(
        f"{len(result.points)} points, {len(result.missed)} not met; {result.ran_once} of"
        f" {result.jobs} jobs ran once; laws broken: {broken}; {result.seconds:.0f} s",
        highlight=False,
    )
    if not result.good:
        console.print(f"evidence in {result.folder}", highlight=False)


async def _enumerate(stack: Stack) -> list[str]:
    """The points of a job that nobody disturbs. Its first event is its start, its last its end."""
    (job,) = await stack.site.jobs("points/first", seconds=JOB_SECONDS)
    found = [point async for point in _follow(stack.client, "points/first", job)]
    return found[:-1]


async def _at(stack: Stack, point: str, repo: str) -> bool:
    """Kill the worker when a new job's history stands there; whether it did."""
    (job,) = await stack.site.jobs(repo, seconds=JOB_SECONDS)
    worker = stack.processes["worker-0"]
    try:
        async with asyncio.timeout(POINT_SECONDS):
            async for reached in _follow(stack.client, repo, job):
                if reached == point:
                    await worker.kill()
                    worker.restart()
                    await worker.ready()
                    return True
    except TimeoutError:
        return False
    return False


async def _follow(client: Client, repo: str, job: int) -> AsyncIterator[str]:
    """Each event as it is written, by its name and how often it was there before."""
    handle = client.get_workflow_handle(names.runner_job_id(repo, job))
    seen: dict[str, int] = {}
    while True:
        try:
            async for event in handle.fetch_history_events(wait_new_event=True):
                name = _name(event)
                seen[name] = seen.get(name, 0) + 1
                yield f"{name} #{seen[name]}"
                if name == ENDS:
                    return
        except RPCError:  # its webhook is on its way still
            if seen:
                raise
            await asyncio.sleep(0.02)


def _name(event: HistoryEvent) -> str:
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    scheduled = event.activity_task_scheduled_event_attributes.activity_type.name
    signalled = event.workflow_execution_signaled_event_attributes.signal_name
    sent = event.signal_external_workflow_execution_initiated_event_attributes.signal_name
    what = scheduled or signalled or sent
    return f"{name} {what}" if what else name
