"""The same work, limited in other ways, on one server in one run.

The work: one repository queues many jobs at once and then five queue few each; a job takes a
while; six may run at once, and no more than two of one repository. What runs it:

- the bare floor: a workflow of one activity a job, nothing limits it;
- a naive semaphore: one workflow; a job asks by a signal, is granted in order, one signal after
  the other, and gives back by a third;
- Temporal's task-queue fairness alone: the job's activity carries its repository as fairness key,
  on a queue whose only worker takes six at once. It orders a backlog and counts nothing that runs:
  it knows no limit of a repository, and with two workers the limit of all would be twelve;
- Penstock's whole path. It alone signs, verifies, gets tokens and starts a process for each job.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from benchmarks.growth import completed
from benchmarks.record import Found
from benchmarks.whole_path import rest
from demo.evidence import gather
from demo.site import Site
from embedded import stack
from embedded.temporal_server import TemporalServer

SLOTS, LIMIT = 6, 2
SECONDS = 0.5  # a job's
ELEPHANT, ELEPHANT_JOBS = "acme/elephant", 60
MICE, MOUSE_JOBS = [f"beta/mouse{i}" for i in range(5)], 12
AT_ONCE = 32  # as the simulator delivers
HOLD_TIMEOUT = timedelta(seconds=15)  # a task that a busy server loses on its way is given again
ROUNDS = 3
FAIR = {"matching.enableFairness": "true"}


@dataclass(frozen=True)
class Held:
    """A job held a slot from then to then, seconds."""

    repo: str
    since: float
    until: float


@dataclass(frozen=True)
class Seen:
    """One way, one run."""

    jobs_per_second: float
    jain: float  # of slot-seconds, while all six had work left
    over_repo: int  # the most of one repository at once, over its limit
    over_all: int
    mouse_wait: float  # the longest of a mouse's jobs, seconds


def work() -> list[str]:
    """The jobs' repositories in the order in which they are queued."""
    return [ELEPHANT] * ELEPHANT_JOBS + [mouse for _ in range(MOUSE_JOBS) for mouse in MICE]


def seen(held: list[Held], queued: float) -> Seen:
    """What became of work that was queued then."""
    first = min(one.since for one in held)
    repos = [ELEPHANT, *MICE]
    # Until the first repository has nothing left to begin: then it wants less than its share.
    backlogged = min(max(h.since for h in held if h.repo == repo) for repo in repos)
    shares = [
        sum(
            max(0.0, min(h.until, backlogged) - max(h.since, first))
            for h in held
            if h.repo == repo
        )
        for repo in repos
    ]
    squares = len(shares) * sum(share * share for share in shares)
    return Seen(
        len(held) / (max(one.until for one in held) - queued),
        sum(shares) ** 2 / squares if squares else 0.0,
        max(0, max(most(h for h in held if h.repo == repo) for repo in repos) - LIMIT),
        max(0, most(held) - SLOTS),
        max(one.since for one in held if one.repo in MICE) - queued,
    )


def most(held: Iterable[Held]) -> int:
    """The most at once; one that ends as another begins counts once."""
    marks = sorted(mark for one in held for mark in ((one.since, 1), (one.until, -1)))
    return max(accumulate(step for _, step in marks), default=0)


class Holder:
    """The work itself, and a record of when it was done."""

    def __init__(self) -> None:
        self.held: list[Held] = []

    @activity.defn(name="hold")
    async def hold(self, repo: str) -> None:
        """Take a while."""
        since = time.time()
        await asyncio.sleep(SECONDS)
        self.held.append(Held(repo, since, time.time()))


@workflow.defn(name="Unlimited")
class Unlimited:
    """A job that nothing limits, or its queue's worker does, in the order of the queue."""

    @workflow.run
    async def run(self, repo: str) -> None:
        """One activity."""
        await workflow.execute_activity(
            "hold",
            repo,
            start_to_close_timeout=HOLD_TIMEOUT,
            priority=Priority(fairness_key=repo),
        )


@workflow.defn(name="NaiveSemaphore")
class NaiveSemaphore:
    """Permits for all, first come, first served; the samples' mutex with more than one holder."""

    def __init__(self) -> None:
        self._free = SLOTS
        self._waiting: list[str] = []

    @workflow.run
    async def run(self, jobs: int) -> None:
        """Grant so many, one after the other."""
        for _ in range(jobs):
            await workflow.wait_condition(lambda: bool(self._waiting) and self._free > 0)
            self._free -= 1
            job = workflow.get_external_workflow_handle(self._waiting.pop(0))
            await job.signal("granted")

    @workflow.signal
    def request(self, job: str) -> None:
        """A job asks."""
        self._waiting.append(job)

    @workflow.signal
    def release(self) -> None:
        """A job gives back."""
        self._free += 1


@workflow.defn(name="Asking")
class Asking:
    """A job that asks the naive semaphore."""

    def __init__(self) -> None:
        self._granted = False

    @workflow.run
    async def run(self, repo: str, semaphore: str) -> None:
        """Ask, work, give back."""
        its = workflow.get_external_workflow_handle(semaphore)
        await its.signal("request", workflow.info().workflow_id)
        await workflow.wait_condition(lambda: self._granted)
        await workflow.execute_activity("hold", repo, start_to_close_timeout=HOLD_TIMEOUT)
        try:
            await its.signal("release")
        except ApplicationError:  # its last grant was the semaphore's end
            workflow.logger.debug("the semaphore has ended")

    @workflow.signal
    def granted(self) -> None:
        """It may work."""
        self._granted = True


async def bare(client: Client) -> Seen:
    """Nothing limits it."""
    return await _queue(client, at_once=1_000)


async def fair_queue(client: Client) -> Seen:
    """The queue's one worker takes six at once; the queue is fair by repository."""
    return await _queue(client, at_once=SLOTS)


async def naive(client: Client) -> Seen:
    """By the naive semaphore."""
    holder, mark = Holder(), uuid.uuid4()
    async with _worker(client, holder, f"naive-{mark}", at_once=1_000):
        queued = time.time()
        semaphore = await client.start_workflow(
            NaiveSemaphore.run, len(work()), id=f"naive-{mark}", task_queue=f"naive-{mark}"
        )

        async def start(number: int, repo: str) -> WorkflowHandle[Any, Any]:
            return await client.start_workflow(
                Asking.run,
                args=[repo, semaphore.id],
                id=f"{mark}-{number}",
                task_queue=f"naive-{mark}",
                request_eager_start=True,
            )

        await _all(start)
        await semaphore.result()
    return seen(holder.held, queued)


async def penstock(client: Client, site: Site) -> Seen:
    """The whole path; a permit is held from its grant to its release, longer than the job runs."""
    settings = site.settings(
        limits={"max_runners": SLOTS, "default": LIMIT, "max_repo_share": 1.0},
        gateway={"port": 0},
        github={"github_api_calls_per_minute": 900},
        pressure={"max_queue_depth": 10_000},
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        queued = time.time()
        for repo, count in Counter(work()).items():
            await site.jobs(repo, count=count, seconds=SECONDS)
        await completed(site)
        await rest(client)
        evidence = await gather(client, site)
    leases = [
        Held(lease.repo, lease.granted_at, lease.ended_at)
        for lease in evidence.permits.leases
        if lease.ended_at is not None and lease.granted_at >= queued
    ]
    return seen(leases, queued)


WAYS: tuple[tuple[str, Callable[[Client, Site], Awaitable[Seen]]], ...] = (
    ("bare floor, no limit", lambda client, _: bare(client)),
    ("naive semaphore", lambda client, _: naive(client)),
    ("task-queue fairness", lambda client, _: fair_queue(client)),
    ("Penstock", penstock),
)


async def measure(console: Console, found: Found) -> None:
    """Each way in each round, on one server."""
    rounds = 1 if found.quick else ROUNDS
    results: dict[str, list[Seen]] = {name: [] for name, _ in WAYS}
    async with _fair_site() as (client, site):
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds}")
            for name, way in WAYS:
                results[name].append(await way(client, site))
    floor = [one.jobs_per_second for one in results[WAYS[0][0]]]
    for name, of in results.items():
        ours = name == WAYS[-1][0]
        found.figure(
            f"{name}: jobs a second (six slots could do {SLOTS / SECONDS:g})",
            [one.jobs_per_second for one in of],
            "jobs/s",
            floor=("bare", floor) if of is not results[WAYS[0][0]] else None,
        )
        found.figure(
            f"{name}: Jain's index of slot-seconds",
            [one.jain for one in of],
            at_least=0.95 if ours else None,
        )
        for said, what in (("a repository's", "over_repo"), ("the fleet's", "over_all")):
            found.figure(
                f"{name}: most over {said} limit",
                [getattr(one, what) for one in of],
                at_most=0 if ours else None,
            )
        found.figure(f"{name}: longest wait of a small one", [one.mouse_wait for one in of], "s")


async def _all(start: Callable[[int, str], Awaitable[WorkflowHandle[Any, Any]]]) -> None:
    """Start all in their order, as many at a time as GitHub would deliver; wait for their ends."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, repo: str) -> WorkflowHandle[Any, Any]:
        async with gate:
            return await start(number, repo)

    started = await asyncio.gather(*(one(*each) for each in enumerate(work())))
    await asyncio.gather(*(handle.result() for handle in started))


async def _queue(client: Client, *, at_once: int) -> Seen:
    holder, queue = Holder(), f"queue-{uuid.uuid4()}"
    async with _worker(client, holder, queue, at_once=at_once):
        queued = time.time()

        async def start(number: int, repo: str) -> WorkflowHandle[Any, Any]:
            return await client.start_workflow(
                Unlimited.run,
                repo,
                id=f"{queue}-{number}",
                task_queue=queue,
                request_eager_start=True,
            )

        await _all(start)
    return seen(holder.held, queued)


@asynccontextmanager
async def _worker(
    client: Client, holder: Holder, queue: str, *, at_once: int
) -> AsyncGenerator[None]:
    restrictions = SandboxRestrictions.default.with_passthrough_modules("benchmarks")
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Unlimited, NaiveSemaphore, Asking],
        activities=[holder.hold],
        max_concurrent_activities=at_once,
        # An eager activity skips the queue, and with it the queue's order.
        disable_eager_activity_execution=True,
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    ):
        yield


@asynccontextmanager
async def _fair_site() -> AsyncGenerator[tuple[Client, Site]]:
    """As `on_fresh_site`, with the queues' fairness switched on."""
    with TemporaryDirectory(prefix="penstock-bench-") as name:
        async with AsyncExitStack() as held:
            site = Site(Path(name))
            held.push_async_callback(site.stop)
            server = TemporalServer(Path(name), ui=False, port=0, dynamic=FAIR)
            held.push_async_callback(server.stop)
            running = await server.start()
            await site.start()
            yield await Client.connect(running.address), site
