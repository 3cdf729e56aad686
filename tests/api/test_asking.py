"""Jobs of one repository ask together: one signal for many, none lost, none before its start."""

import asyncio
from itertools import chain

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from api.asking import MOST, Asking
from api.calls import AlreadyStarted, Calls
from policy import names
from policy.captions import Caption
from policy.messages import Acquire
from tests.api.gate import Gate
from tests.support import job_payload
from workflows.job_messages import JobInput

REPO = "acme/api"


class Recorder:
    """Stands where Temporal is: what is asked, when it lets it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.fails = False

    async def acquire(self, repo: str, asks: list[Acquire]) -> None:
        """As Calls.acquire."""
        assert repo == REPO
        self.batches.append([ask.job for ask in asks])
        self.asked.set()
        await self.open.wait()
        if self.fails:
            raise ConnectionError("no answer")


@pytest.fixture
def recorder() -> Recorder:
    """Nothing asked yet."""
    return Recorder()


@pytest.fixture
def asking(recorder) -> Asking:
    """On the recorder."""
    return Asking(recorder)  # pyright: ignore[reportArgumentType]


def ask(asking: Asking, job: int, patience: float = 60.0) -> asyncio.Task[None]:
    """A job asks; with all the time in the world, so that nothing here depends on the clock."""
    return asyncio.create_task(asking.ask(REPO, Acquire(str(job)), patience))


async def test_a_job_alone_asks_at_once(asking, recorder):
    """However patient it is."""
    asking.starts(REPO)
    asking.started(REPO)
    await ask(asking, 1)
    assert recorder.batches == [["1"]]


async def test_jobs_wait_for_those_that_are_being_started(asking, recorder, monkeypatch):
    """And then ask together, in the order in which they came."""
    monkeypatch.setattr("api.asking.LONGEST_WAIT_SECONDS", 60.0)
    for _ in range(3):
        asking.starts(REPO)
    told = []
    for job in (1, 2, 3):
        told.append(ask(asking, job))
        await asyncio.sleep(0)
        assert recorder.batches == []
        asking.started(REPO)
    await asyncio.gather(*told)
    assert recorder.batches == [["1", "2", "3"]]
    assert asking._lines == {}


async def test_no_job_waits_longer_than_its_patience(asking, recorder):
    """Though another start never ends."""
    asking.starts(REPO)
    await ask(asking, 1, patience=0.01)
    assert recorder.batches == [["1"]]
    await ask(asking, 2, patience=60.0)  # nor longer than anybody may
    assert recorder.batches == [["1"], ["2"]]
    asking.started(REPO)
    assert asking._lines == {}


async def test_what_comes_while_a_signal_is_on_its_way_goes_with_the_next(asking, recorder):
    """All of it in one, as many as a signal holds."""
    recorder.open.clear()
    first = ask(asking, 0)
    await recorder.asked.wait()
    later = [ask(asking, job) for job in range(1, MOST + 11)]
    await asyncio.sleep(0)  # each has taken its place
    recorder.open.set()
    await asyncio.gather(first, *later)
    assert [len(batch) for batch in recorder.batches] == [1, MOST, 10]
    assert list(chain(*recorder.batches)) == [str(job) for job in range(MOST + 11)]
    assert asking._lines == {}


async def test_a_signal_that_fails_fails_for_each_of_its_jobs_and_no_other(asking, recorder):
    """Each may ask again."""
    recorder.fails = True
    recorder.open.clear()
    first, second = ask(asking, 1), ask(asking, 2)
    await recorder.asked.wait()
    recorder.open.set()
    for task in (first, second):
        with pytest.raises(ConnectionError):
            await task
    recorder.fails = False
    await ask(asking, 1)
    assert recorder.batches[-1] == ["1"]
    assert asking._lines == {}


async def test_one_who_does_not_wait_any_more_takes_nobody_with_it(asking, recorder):
    """Its job is asked for all the same."""
    recorder.open.clear()
    first, second = ask(asking, 1), ask(asking, 2)
    await recorder.asked.wait()
    first.cancel()
    recorder.open.set()
    await second
    assert list(chain(*recorder.batches)) == ["1", "2"]


async def test_a_matrix_costs_a_start_each_and_few_signals(tmp_path):
    """Through the gateway: every job's asking is in the semaphore's history exactly once."""
    async with Gate.open(tmp_path) as gate:
        answers = await asyncio.gather(*(gate(job_payload("queued", 100 + n)) for n in range(40)))
        assert [answer.json()["status"] for answer in answers] == ["accepted"] * 40
        signals, jobs = await asked(gate.client)
        assert sorted(jobs) == sorted(names.runner_job_id(REPO, 100 + n) for n in range(40))
        assert signals < 40
        again = await asyncio.gather(*(gate(job_payload("queued", 100 + n)) for n in range(40)))
        assert [answer.json()["status"] for answer in again] == ["duplicate"] * 40


async def asked(client: Client) -> tuple[int, list[str]]:
    """Signals in the history of the repository's semaphore, and the jobs in them."""
    history = await client.get_workflow_handle(names.semaphore_id(REPO)).fetch_history()
    signals, jobs = 0, []
    for event in history.events:
        if event.HasField("workflow_execution_signaled_event_attributes"):
            signals += 1
            attributes = event.workflow_execution_signaled_event_attributes
            (message,) = await client.data_converter.decode(attributes.input.payloads)
            many = attributes.signal_name == "acquire_many"
            jobs += [ask["job"] for ask in message["asks"]] if many else [message["job"]]
    return signals, jobs


async def test_a_start_is_what_the_client_would_have_made_of_it(client):
    """Arguments, search attributes, priority, summary; a second one is known, as is a closed."""
    calls = Calls(client, eager=False)
    job = JobInput(REPO, "7", ["self-hosted"], "high", 1790000000.5)
    await calls.start_job(job, Caption("build of acme/api", "priority high: a rule"))
    handle = client.get_workflow_handle(names.runner_job_id(REPO, "7"))
    seen = await handle.describe()
    assert (seen.workflow_type, seen.task_queue) == (names.RUNNER_JOB, names.TASK_QUEUE)
    found = {pair.key.name: pair.value for pair in seen.typed_search_attributes}
    assert found == dict(zip(names.SEARCH_ATTRIBUTES, ("acme", REPO, "high"), strict=True))
    assert await seen.static_summary() == "build of acme/api"
    assert await seen.static_details() == "priority high: a rule"
    assert seen.raw_description.workflow_execution_info.priority.priority_key == 2
    started = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    assert await client.data_converter.decode(started.input.payloads, [JobInput]) == [job]
    with pytest.raises(AlreadyStarted):
        await calls.start_job(job, Caption("", ""))
    await handle.terminate()
    with pytest.raises(AlreadyStarted):
        await calls.start_job(job, Caption("", ""))


async def test_a_semaphore_that_has_ended_is_started_again(client):
    """Known as running or not: what is asked is heard by a running one."""
    calls = Calls(client, eager=False)
    semaphore = client.get_workflow_handle(names.semaphore_id(REPO))
    for life in range(2):
        for _ in range(3):
            await calls.acquire(REPO, [Acquire("1")])
        assert await asked(client) == (3, ["1"] * 3), f"in life {life}"
        await semaphore.terminate()


async def test_what_temporal_does_not_do_is_an_error_of_the_call(client, server):
    """Not of the process: the gateway answers 503."""
    calls = Calls(client, eager=False)
    other = Client(client.service_client, namespace="there-is-none")
    with pytest.raises(RPCError):
        await Calls(other, eager=False).acquire(REPO, [Acquire("1")])
    with pytest.raises(RPCError):
        await Calls(other, eager=False).start_job(JobInput(REPO, "1"), Caption("", ""))
    await calls.acquire(REPO, [Acquire("1"), Acquire("2")])
