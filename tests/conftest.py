"""Real parts for every test: a Temporal server, a simulated GitHub, a gateway and a worker.

Each test that wants them has its own, in its own folder and on its own ports: a server starts in a
quarter of a second, and the workflow `fleet` is one per namespace.
"""

import os
import signal
import ssl
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.worker._workflow import _WorkflowWorker

from demo.site import Site
from embedded.temporal_server import TemporalServer
from tests.api.gate import stop_at_once
from tests.support import PATIENCE, Penstock

pytest_plugins = ["tests.order"]

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every program
# that they start; some tests want to see what such a program does then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    """A simulated GitHub."""
    made = Site(tmp_path / "site")
    await made.start()
    # What a busy machine is late with is no lost webhook, but where a test wants one.
    await made.call("POST", "limits", delivery_timeout=PATIENCE)
    yield made
    await made.stop()


@pytest.fixture
def dynamic() -> dict[str, str]:
    """Temporal's dynamic configuration; a test file overrides it."""
    return {}


@pytest.fixture
async def server(tmp_path: Path, dynamic: dict[str, str]) -> AsyncGenerator[TemporalServer]:
    """A Temporal server."""
    made = TemporalServer(tmp_path / "site", ui=False, port=0, dynamic=dynamic)
    await made.start()
    yield made
    await stop_at_once(made)


@pytest.fixture
async def client(server: TemporalServer) -> Client:
    """A client of the Temporal server."""
    assert server.running
    return await Client.connect(server.running.address)


@pytest.fixture
async def penstock(
    site: Site, client: Client
) -> AsyncGenerator[Callable[..., Awaitable[Penstock]]]:
    """Start gateway and worker with these settings; more than once if a test restarts them."""
    async with AsyncExitStack() as held:

        async def start(**settings: Any) -> Penstock:
            made = Penstock(client, site, settings)
            await made.start()
            held.push_async_callback(made.leave_nothing)
            return made

        yield start


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how it went."""
    session.config.stash[_status] = int(session.exitstatus or exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave as the product does: temporalio can abort an interpreter that finalizes."""
    status = config.stash.get(_status, None)
    if status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


_status = pytest.StashKey[int]()


@pytest.fixture(scope="session", autouse=True)
def _late_is_no_deadlock() -> Generator[None]:
    """A task of a workflow may take longer than temporalio's two seconds: the machine is busy."""
    made = _WorkflowWorker.__init__

    def patiently(self: Any, **how: Any) -> None:
        made(self, **how)
        if self._deadlock_timeout_seconds:
            self._deadlock_timeout_seconds = 60

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_WorkflowWorker, "__init__", patiently)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """No Python program here speaks TLS, yet each HTTP client reads 140 certificates: 25 ms."""
    some = httpx.create_ssl_context().get_ca_certs(binary_form=True)[0]
    file = tmp_path_factory.mktemp("authority") / "one.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(some), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """No test depends on what the developer's shell says of Penstock or Temporal."""
    for key in list(os.environ):
        if key.startswith(("PENSTOCK_", "TEMPORAL_")) and key != "PENSTOCK_MODEL_STEPS":
            monkeypatch.delenv(key)
    yield
