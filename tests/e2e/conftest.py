"""What tests of whole processes share: AWS, a cluster, a gateway that is gone after the test."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import pytest

from activities.clients.aws import Aws
from tests.activities.conftest import aws
from tests.e2e.cluster import CONCURRENCY, TOKENS, Cluster
from tests.e2e.diagnosis import FAILED, told_of
from tests.e2e.gateway import Gateway
from tests.e2e.planted import MARK

__all__ = ["aws"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure, for fixtures that have something to say of it."""
    report = yield
    if call.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
async def gateway(tmp_path, server):
    """Start one with these keys of `[gateway]`."""
    made = []

    async def start(**keys) -> Gateway:
        made.append(Gateway(tmp_path, server.running.address, **keys))
        await made[-1].start()
        return made[-1]

    yield start
    for one in made:
        await one.stop()


@asynccontextmanager
async def ended(
    request: pytest.FixtureRequest, made: Cluster, moto: Aws
) -> AsyncGenerator[Cluster]:
    """Ended at the block's end, with its tables; before, after a failure, asked what it was at."""
    async with told_of(request, made):
        yield made
    await made.stop()
    database = moto.dynamodb()
    for table in (await asyncio.to_thread(database.list_tables))["TableNames"]:
        if table in (TOKENS, CONCURRENCY):
            await asyncio.to_thread(database.delete_table, TableName=table)


@pytest.fixture
async def cluster(request, tmp_path, site, server, aws):
    """Not started yet."""
    made = Cluster(tmp_path / MARK, site, server.running.address, aws)
    async with ended(request, made, aws):
        yield made
