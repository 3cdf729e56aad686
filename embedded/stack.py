"""Gateway and worker in one process, on one client, with eager starts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio.client import Client

import worker
from activities.clients.dead_letter_files import DeadLetterFiles
from api.app import create_app
from embedded import ports
from embedded.http_server import serving
from settings import Settings


@asynccontextmanager
async def gateway(client: Client, settings: Settings, *, eager: bool) -> AsyncGenerator[str]:
    """The gateway alone; gives its address."""
    letters = DeadLetterFiles(settings.state_dir / "dead-letters")
    app = create_app(client, settings, letters, eager=eager)
    listener = ports.listening(settings.gateway.host, settings.gateway.port)
    async with serving(app, listener) as address:
        yield address


@asynccontextmanager
async def whole(client: Client, settings: Settings) -> AsyncGenerator[str]:
    """Worker, then gateway; gives the gateway's address. Left in the opposite order."""
    async with worker.running(client, settings), gateway(client, settings, eager=True) as address:
        yield address
