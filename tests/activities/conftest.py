"""Parts that several tests of the activities use."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from activities.clients import aws as adapter
from activities.clients.aws import Aws
from demo.site import Site
from tests.activities.aws import ENVIRONMENT, moto
from tests.activities.hub import Hub, site_in
from tests.activities.launching import Runners
from tests.support import PATIENCE


@pytest.fixture
async def runners(tmp_path: Path) -> AsyncGenerator[Runners]:
    """A folder of runners; none of their processes is left."""
    made = Runners(tmp_path)
    yield made
    await made.close()


@pytest.fixture(scope="package")
async def one_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    """One simulated GitHub for all tests here that need nothing else."""
    made = await site_in(tmp_path_factory.mktemp("hub"))
    yield made
    await made.stop()


@pytest.fixture
async def hub(one_site: Site) -> AsyncGenerator[Hub]:
    """That GitHub, with three repositories and nothing to do."""
    made = Hub(one_site)
    for repo in ("acme/api", "acme/web", "other/api"):  # they exist once they have had a job
        await one_site.jobs(repo, conclusion="skipped", deliver=False)
    yield made
    await made.close()


@pytest.fixture(scope="session")
async def aws() -> AsyncGenerator[Aws]:
    """Moto's server, with credentials in the environment that only it accepts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        # Moto loads what it knows of a service when it is first asked, which takes its time where
        # the machine is busy: nobody gives up here after our five seconds, and the processes of
        # tests find the most used services loaded.
        patch.setattr(adapter._CONFIG, "connect_timeout", PATIENCE)
        patch.setattr(adapter._CONFIG, "read_timeout", PATIENCE)
        async with moto() as made:
            await asyncio.to_thread(made.dynamodb().list_tables)
            await asyncio.to_thread(made.sqs().list_queues)
            yield made
