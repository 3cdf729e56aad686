"""What grows with the queue and the fleet: workflow tasks of a semaphore, the Fleet's bytes."""

import asyncio
import json
import time
from dataclasses import asdict

from temporalio.client import Client

from checker.figures import Spread
from demo.site import Site
from embedded import stack
from policy import messages, names
from policy.allotment import Account, Book
from policy.fleet import FleetState, close
from policy.messages import Acquire, Release, Waiting
from policy.semaphore_state import SemaphoreState
from policy.usage import Usage

WAITERS = 10_000
MORE = 300  # signals once the queue stands
AT_ONCE = 50
REPO = "acme/crowd"


async def task_seconds(
    client: Client, site: Site, waiters: int = WAITERS
) -> tuple[Spread, Spread]:
    """Workflow tasks of a semaphore with so many waiters: while it fills, and then.

    From the tasks' start to their end on the server, worker and transport included. The tasks
    after the filling serve one asking and one leaving each; a fresh run's first task, which
    unpacks the queue, counts too.
    """
    settings = site.settings(limits={"max_runners": 0}, gateway={"port": 0})
    async with stack.whole(client, settings):
        handle = await client.start_workflow(
            names.REPO_SEMAPHORE,
            SemaphoreState(REPO),
            id=names.semaphore_id(REPO),
            task_queue=names.TASK_QUEUE,
        )
        began, gate = time.time(), asyncio.Semaphore(AT_ONCE)

        async def ask(number: int) -> None:
            async with gate:
                job = names.runner_job_id(REPO, number)
                await handle.signal("acquire", Acquire(job, "normal", began + number / 1000))

        await asyncio.gather(*(ask(number) for number in range(waiters)))
        while (await handle.query("state", args=[1]))["waiting"] < waiters:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        full = time.time()
        for number in range(MORE):
            await ask(waiters + number)
            await handle.signal("release", Release(names.runner_job_id(REPO, number)))
        filling: list[float] = []
        then: list[float] = []
        run_id: str | None = None
        while run_id != "":
            run = client.get_workflow_handle(handle.id, run_id=run_id)
            started = 0.0
            async for event in run.fetch_history_events():
                if event.HasField("workflow_execution_started_event_attributes"):
                    attributes = event.workflow_execution_started_event_attributes
                    run_id = attributes.continued_execution_run_id
                at = event.event_time.ToNanoseconds() / 1e9
                if event.HasField("workflow_task_started_event_attributes"):
                    started = at
                if event.HasField("workflow_task_completed_event_attributes"):
                    (then if started >= full else filling).append(at - started)
        return Spread.of(filling), Spread.of(then)


def fleet_bytes(repos: int) -> int:
    """The Fleet's carried state as JSON, every repository busy and known for long."""
    began = 1_790_000_000.0
    state = FleetState(book=Book("f1"))
    for i in range(repos):
        repo = f"organization-{i % 40}/repository-{i:04d}"
        state.book.accounts[repo] = Account(
            repo,
            messages.epoch(began + i, "5f0c2a7e-8a43"),
            number=4321,
            acked=1234,
            in_use=2,
            sequence=1236,
            allotment=2,
            outstanding={1234: 2, 1236: 2},
            likely_in_use=2,
            waiting=[Waiting("high", 3, began + i), Waiting("normal", 17, began - i)],
            running_since=[began + i, began + i + 70.7],
            durations=[round(12.3 * (k + 1) ** 1.7, 1) for k in range(11)],
            samples=64,
            usage=Usage(431.2, began + i, 2),
        )
    return len(json.dumps(asdict(close(state)), separators=(",", ":")))
