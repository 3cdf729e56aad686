"""A gateway with a Temporal server and nothing else."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

import settings as configuration
from api.signature import sign
from embedded import stack
from embedded.temporal_server import TemporalServer
from settings import Settings
from tests.support import ADMIN_HASH, PATIENCE, count, deliver

SECRET = "a secret of these tests"


class Gate:
    """Call it with a payload: it signs and posts."""

    def __init__(
        self, client: Client, server: TemporalServer, settings: Settings, url: str
    ) -> None:
        self.client, self.server, self.settings, self.url = client, server, settings, url
        # A connection that the server is about to close as idle (after 5 s) is not used again.
        self.http = httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits(keepalive_expiry=2))

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, **more: Any) -> AsyncGenerator["Gate"]:
        """Start both; end both. `more` are tables of the configuration."""
        gateway = {
            "port": 0,
            "webhook_secret": SECRET,
            "owners": ["acme"],
            "admin_key_hashes": [ADMIN_HASH],
            **more.pop("gateway", {}),
        }
        settings = configuration.load(state_dir=folder, gateway=gateway, **more)
        async with AsyncExitStack() as held:
            server = TemporalServer(folder, ui=False, port=0)
            running = await server.start()
            held.push_async_callback(stop_at_once, server)
            client = await Client.connect(running.address)
            url = await held.enter_async_context(stack.gateway(client, settings, eager=False))
            gate = cls(client, server, settings, url)
            held.push_async_callback(gate.http.aclose)
            yield gate

    async def __call__(self, payload: Any, **headers: str) -> httpx.Response:
        """A signed delivery."""
        return await deliver(self.http, self.url, SECRET, payload, **headers)

    async def started(self, job: str = "") -> int:
        """How many workflows were started for a job; without one, for unusable events."""
        if job:
            return await count(self.client, f"WorkflowId='runner-job/acme/api/{job}'")
        return await count(self.client, "WorkflowId='runner-job/acme/api/7001'") + await count(
            self.client, "PenstockOrg!='acme'"
        )

    async def raw(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """A signed delivery on a connection of its own, without a client library's pool."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /webhooks/github HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
            f"X-GitHub-Event: workflow_job\r\nX-Hub-Signature-256: {sign(SECRET, body)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        top, _, content = answer.partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(content)


async def stop_at_once(server: TemporalServer) -> None:
    """End a test's server; nobody needs its data any more."""
    if server.running:
        os.kill(server.running.pid, signal.SIGKILL)
    await server.stop()
