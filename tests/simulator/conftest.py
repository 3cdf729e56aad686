"""One simulator process and one receiver for all tests; each test begins with an empty GitHub."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.server import Server, listen
from tests.simulator.helpers import APP_ID, CLIENT_ID, ROOT, SECRET, Receiver, Sim
from tests.support import PATIENCE


def make_key() -> tuple[rsa.RSAPrivateKey, str]:
    """A private key, and its public half as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return key, public.decode()


@pytest.fixture(scope="session")
def app_key() -> tuple[rsa.RSAPrivateKey, str]:
    return make_key()


@pytest.fixture(scope="session")
def other_key() -> rsa.RSAPrivateKey:
    return make_key()[0]


@pytest.fixture(scope="session")
async def simulator_url(
    app_key: tuple[rsa.RSAPrivateKey, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The simulator as a process of its own; it must end with 0."""
    tmp = tmp_path_factory.mktemp("simulator")
    (tmp / "secret").write_text(SECRET)
    (tmp / "app.pem").write_text(app_key[1])
    ready = tmp / "ready.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "--port", "0", "--seed", "7"),
        *("--webhook-secret-file", tmp / "secret", "--app-public-key-file", tmp / "app.pem"),
        *("--app-id", str(APP_ID), "--app-client-id", CLIENT_ID, "--ready-file", ready),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONDEVMODE": "0"},
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    told = json.loads(ready.read_text())
    assert told["url"] in line
    assert told["pid"] == process.pid
    yield told["url"]
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


@pytest.fixture(scope="session")
async def receiver_server() -> AsyncIterator[Receiver]:
    receiver, listener = Receiver(), listen(0)
    receiver.url = f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/github"
    config = uvicorn.Config(receiver, lifespan="off", access_log=False, log_level="critical")
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    yield receiver
    server.should_exit = True
    await serving


@pytest.fixture
def receiver(receiver_server: Receiver) -> Iterator[Receiver]:
    receiver_server.clear()
    yield receiver_server
    receiver_server.gate.set()


@pytest.fixture
async def sim(
    simulator_url: str, app_key: tuple[rsa.RSAPrivateKey, str], receiver: Receiver, tmp_path: Path
) -> AsyncIterator[Sim]:
    """An empty GitHub that sends to the receiver."""
    async with httpx.AsyncClient(
        base_url=simulator_url, trust_env=False, verify=False, timeout=PATIENCE
    ) as http:
        made = Sim(simulator_url, app_key[0], http, tmp_path)
        await made.control("reset")
        receiver.clear()
        await made.control("webhook", url=receiver.url, secret=SECRET)
        yield made
