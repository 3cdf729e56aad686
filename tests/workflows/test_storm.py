"""Thousands of signals to one semaphore that continues as new all the while."""

import asyncio
import random
import time

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from policy import names
from policy.line import rank
from policy.messages import Acquire, Release
from tests.support import ask, until

REPO = "acme/api"
JOBS = 3200
AT_ONCE = 12
LIVES = 3  # there must be more


@pytest.mark.parametrize("dynamic", [{"limit.historyCount.suggestContinueAsNew": "400"}])
async def test_no_waiter_is_lost_or_doubled_in_a_storm(penstock, dynamic):
    """Asking, asking twice, leaving: at the end the line is what was asked for, in order."""
    stack = await penstock(limits={"max_runners": 0})
    await stack.site.jobs(REPO)  # starts the semaphore; this one waits too
    await stack.site.wait("deliveries_idle")
    semaphore = stack.client.get_workflow_handle(names.semaphore_id(REPO))
    dice = random.Random(3)
    began = time.time()
    sent = 0
    gate = asyncio.Semaphore(AT_ONCE)
    left: dict[str, float] = {}

    async def tell(signal: str, message: object) -> None:
        nonlocal sent
        await say(semaphore, signal, message)
        sent += 1

    async def job(number: int, again: bool, leaves: bool) -> None:
        name = names.runner_job_id(REPO, 10_000_000 + number)
        request = Acquire(name, "normal", began + number / 1000)
        async with gate:
            await tell("acquire", request)
            if again:
                await tell("acquire", request)
            if leaves:
                await tell("release", Release(name))
            else:
                left[name] = request.queued_at

    await asyncio.gather(*(job(n, dice.random() < 0.4, dice.random() < 0.2) for n in range(JOBS)))
    assert sent >= 1.5 * JOBS
    line: dict[str, Acquire] = {}
    lives = 0

    async def as_recorded() -> bool:
        """The line is what the histories say, in their order, and nobody asked in vain.

        A signal that the server answered late may be recorded twice, the second time in the next
        run and after what followed it. One that came during a workflow task is recorded after it,
        and a run whose end the server refused, because signals came, may answer without those: so
        it is looked at anew until all is in.
        """
        nonlocal lives
        heard, lives = await recorded(stack.client, semaphore.id)
        line.clear()
        for signal, message in heard:
            if signal == "acquire":
                line[message["job"]] = Acquire(**message)
            elif signal == "release" and not message["lease"]:
                line.pop(message["job"], None)
        asked = {message["job"] for signal, message in heard if signal == "acquire"}
        now = time.time()
        expected = [w.job for w in sorted(line.values(), key=lambda w: rank(w, now))]
        state = await ask(semaphore, "state", JOBS + 1)
        return asked >= set(left) and len(heard) > sent and state["waiters"] == expected

    await until(as_recorded)
    assert len(line) >= len(left)
    print(f"{sent} signals, {lives} lives")
    assert lives > LIVES, "it did not continue as new in the storm"


async def say(handle: WorkflowHandle, signal: str, message: object) -> None:
    """Until it is taken: each try may meet a run that is just closing."""
    while True:
        try:
            return await handle.signal(signal, message)
        except RPCError as error:
            if error.status not in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED):
                raise


async def recorded(client: Client, workflow_id: str) -> tuple[list[tuple[str, dict]], int]:
    """All signals in the order in which the histories of all runs have them; how many runs."""
    lives = await lives_of(client, workflow_id)
    return [signal for life in lives for signal in life], len(lives)


async def lives_of(client: Client, workflow_id: str) -> list[list[tuple[str, dict]]]:
    """The signals of each run, the first run first."""
    runs: list[list[tuple[str, dict]]] = []
    run_id = None
    while run_id != "":
        signals: list[tuple[str, dict]] = []
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        async for event in handle.fetch_history_events():
            if event.HasField("workflow_execution_started_event_attributes"):
                attributes = event.workflow_execution_started_event_attributes
                run_id = attributes.continued_execution_run_id
            if event.HasField("workflow_execution_signaled_event_attributes"):
                attributes = event.workflow_execution_signaled_event_attributes
                (message,) = await client.data_converter.decode(attributes.input.payloads)
                signals.append((attributes.signal_name, message))
        runs.insert(0, signals)
    return runs
