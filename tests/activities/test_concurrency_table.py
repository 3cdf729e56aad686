"""The table of what runs: its rows on DynamoDB, and a publisher on real semaphores."""

import asyncio
import time
import uuid

import pytest
from botocore.stub import Stubber
from temporalio.client import Client, Interceptor, OutboundInterceptor, QueryWorkflowInput
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.clients import dynamodb_table
from activities.clients.aws import Aws
from activities.clients.concurrency_table import DynamoDBConcurrency
from activities.concurrency import Publisher, TableUnavailable
from policy import names
from policy.concurrency import Row
from policy.semaphore_state import SemaphoreState
from tests.support import until
from worker import PASSED_THROUGH
from workflows.repo_semaphore import RepoSemaphore

ROW = Row("acme/api", 1, 2, 3, "e1", 7, 1_800_000_000.25)


@pytest.fixture
async def table(aws: Aws) -> str:
    """A new table."""
    name = f"concurrency-{uuid.uuid4()}"
    assert await dynamodb_table.ensure(aws.dynamodb(), name, dynamodb_table.CONCURRENCY)
    return name


@pytest.fixture
def rows(aws: Aws, table: str) -> DynamoDBConcurrency:
    """The adapter on it."""
    return DynamoDBConcurrency(aws.dynamodb, table)


async def test_what_was_written_is_read(aws, table, rows):
    """By a program of somebody else's as well."""
    assert await rows.rows() == {}
    assert await rows.write(ROW, 0)
    assert await rows.rows() == {"acme/api": ROW}
    key = {"repository": {"S": "acme/api"}}
    item = (await asyncio.to_thread(aws.dynamodb().get_item, TableName=table, Key=key))["Item"]
    assert item == {
        **key,
        "organization": {"S": "acme"},
        "runningCount": {"N": "1"},
        "waiting": {"N": "2"},
        "limit": {"N": "3"},
        "epoch": {"S": "e1"},
        "version": {"N": "7"},
        "lastUpdated": {"S": "2027-01-15T08:00:00.250Z"},
    }


async def test_a_row_replaces_one_certain_version(rows):
    """Not an older one, not a newer one, not one that is gone; of many at once one wins."""
    assert await rows.write(ROW, 0)
    for version in (0, 6, 8):
        assert not await rows.write(Row("acme/api", 9, version=9), version)
    assert not await rows.write(Row("acme/none", 9, version=9), 3)
    assert await rows.rows() == {"acme/api": ROW}
    writes = (rows.write(Row("acme/api", n, version=8), 7) for n in range(8))
    assert sum(await asyncio.gather(*writes)) == 1


async def test_a_row_of_somebody_else_is_taken_over(aws, table, rows):
    """It may hold next to nothing, or nonsense."""
    item = {
        "repository": {"S": "acme/api"},
        "runningCount": {"S": "many"},
        "lastUpdated": {"S": "today"},
    }
    await asyncio.to_thread(aws.dynamodb().put_item, TableName=table, Item=item)
    found = (await rows.rows())["acme/api"]
    assert (found.running, found.version, found.written_at) == (-1, 0, 0.0)
    assert await rows.write(ROW, 0)


async def test_all_pages_are_read(aws):
    """DynamoDB answers with a megabyte at a time."""
    client, last = aws.dynamodb(), {"repository": {"S": "acme/r1"}}
    with Stubber(client) as stub:
        asked = {"TableName": "some", "ConsistentRead": True}
        answer = {"Items": [last], "LastEvaluatedKey": last}
        stub.add_response("scan", answer, asked)
        answer = {"Items": [{"repository": {"S": "acme/r2"}}]}
        stub.add_response("scan", answer, {**asked, "ExclusiveStartKey": last})
        found = await DynamoDBConcurrency(lambda: client, "some").rows()
    assert sorted(found) == ["acme/r1", "acme/r2"]


async def test_a_table_that_does_not_answer_is_named_with_the_mend(aws, monkeypatch):
    """Not there, AWS away, or no AWS configured at all: one line each."""
    with pytest.raises(TableUnavailable, match=r"table gone-one: .*: run penstock setup$"):
        await DynamoDBConcurrency(aws.dynamodb, "gone-one").rows()
    nowhere = DynamoDBConcurrency(Aws("eu-central-1", "http://127.0.0.1:9").dynamodb, "some")
    with pytest.raises(TableUnavailable, match="EndpointConnectionError"):
        await nowhere.write(ROW, 0)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(TableUnavailable, match=r"set aws\.region"):
        await DynamoDBConcurrency(Aws().dynamodb, "some").rows()


def semaphore(client):
    """That of acme/api."""
    return client.get_workflow_handle(names.semaphore_id("acme/api"))


async def counted(rows) -> tuple[int, int, int]:
    """What the table says of it."""
    row = (await rows.rows())["acme/api"]
    return row.running, row.waiting, row.limit


async def in_use(client, running: int, waiting: int) -> None:
    """Until the semaphore says so."""

    async def ask():
        state = await semaphore(client).query("state", args=[0])
        return (state["in_use"], state["waiting"]) == (running, waiting)

    await until(ask)


async def test_the_table_says_what_the_semaphore_says(penstock, rows):
    """Whatever was there before; an older view never takes the place of a newer one.

    And when somebody ends the semaphore: as it was while jobs run, and nothing once none do.
    """
    stack = await penstock(limits={"default": 1})
    client = stack.client

    def publisher() -> Publisher:
        return Publisher(client, rows, time.time, whole_seconds=0.0)

    await rows.write(Row("gone/repo", 5, 5, 2, "e0", 4, time.time()), 0)
    (first,) = await stack.site.jobs("acme/api", seconds=600)
    await stack.site.wait("job_started", job_id=first)
    (second,) = await stack.site.jobs("acme/api", seconds=600)
    await in_use(client, 1, 1)
    assert await publisher().look() == 2
    assert await counted(rows) == (1, 1, 1)
    left = (await rows.rows())["gone/repo"]
    assert (left.running, left.waiting, left.version) == (0, 0, 5)
    assert await publisher().look() == 0, "nothing differs"
    await _costs_little(client, rows)

    slow = Publisher(client, _Held(rows), time.time)
    looking = asyncio.create_task(slow.look())
    await slow._table.reached.wait()  # it has asked, and is about to write what will be old
    await stack.site.call("POST", f"jobs/{second}/cancel")
    await in_use(client, 1, 0)
    assert await publisher().look() == 1
    slow._table.go.set()
    assert await looking == 0
    assert await counted(rows) == (1, 0, 1)
    slow._table.old = False
    assert await slow.look() == 0, "it looks again, and finds all right"

    await semaphore(client).terminate("a test")
    ended = publisher()
    assert await ended.look() == 0
    assert await counted(rows) == (1, 0, 1), "the guardian starts it again in a moment"
    await stack.site.call("POST", f"jobs/{first}/cancel")
    assert (await stack.result("acme/api", first))["outcome"]
    await until(lambda: _shows(ended, rows, (0, 0, 1)))


async def _shows(publisher, rows, wanted) -> bool:
    await publisher.look()
    return await counted(rows) == wanted


async def _costs_little(client, rows) -> None:
    """A look at a fleet in which nothing changes: one query, whatever runs."""
    asked = Asked()
    publisher = Publisher(Client(client.service_client, interceptors=[asked]), rows, time.time)
    await publisher.look()
    assert asked.take() == ["status", "state"], "at first it looks at everything"
    assert await publisher.look() == 0
    assert asked.take() == ["status"]


class Asked(Interceptor):
    """Which queries a client makes."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        asked = self.queries

        class Noting(OutboundInterceptor):
            async def query_workflow(self, input: QueryWorkflowInput):  # noqa: A002
                asked.append(input.query)
                return await super().query_workflow(input)

        return Noting(next)

    def take(self) -> list[str]:
        """Those since the last time."""
        taken = list(self.queries)
        self.queries.clear()
        return taken


class _Held:
    """The table, as a publisher has it that is stopped between its asking and its writing."""

    def __init__(self, rows) -> None:
        self._rows = rows
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self.old = True

    async def rows(self):
        """As they are; at first one that must be written again."""
        found = await self._rows.rows()
        if self.old:
            row = found["acme/api"]
            old = Row(row.repo, 9, 9, 9, row.epoch, row.version)
            return {"acme/api": old}
        return found

    async def write(self, row, replaced):
        self.reached.set()
        await self.go.wait()
        return await self._rows.write(row, replaced)


async def test_a_semaphore_that_knows_nothing_yet_is_not_believed(client, rows):
    """It asks running jobs first what they hold; here nobody does that for it."""
    await rows.write(Row("acme/api", 2, 1, 3, "e0", 4, time.time()), 0)
    await client.start_workflow(
        RepoSemaphore.run,
        SemaphoreState("acme/api"),
        id=names.semaphore_id("acme/api"),
        task_queue=names.TASK_QUEUE,
    )
    passed = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    runner = SandboxedWorkflowRunner(restrictions=passed)
    only = {"workflows": [RepoSemaphore], "workflow_runner": runner}
    async with Worker(client, task_queue=names.TASK_QUEUE, **only):
        assert (await semaphore(client).query("state"))["settled"] is False
        assert await Publisher(client, rows, time.time).look() == 0
    assert await counted(rows) == (2, 1, 3)


async def test_without_aws_jobs_are_served_and_the_log_says_it_once(penstock, caplog):
    """A worker starts, works and ends without the table."""
    aws = {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:9"}
    stack = await penstock(aws=aws, concurrency={"enabled": True, "every_seconds": 0.1})

    def said() -> list[str]:
        return [r.message for r in caplog.records if r.message.startswith("the table of what")]

    async def once():
        return said()

    await until(once)
    (job,) = await stack.site.jobs("acme/api", seconds=0.2)
    assert (await stack.result("acme/api", job))["outcome"] == "completed"
    (line,) = said()
    assert "self-runners-concurrency: EndpointConnectionError" in line
    assert "\n" not in line
