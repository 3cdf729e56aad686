"""Gateway and worker in one process, on one client, with eager starts."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from temporalio.client import Client

import worker
from activities.clients.sts import StsClient
from activities.redaction import remember
from api.app import create_app
from api.hardening import hardened
from api.metrics import GatewayMetrics
from api.page.routes import Page
from embedded import ports
from embedded.connections import Connections, ServerLimits, connections_possible
from embedded.http_server import serving
from settings import Settings
from wiring import letters_of
from wiring_metrics import publishing_of


@asynccontextmanager
async def gateway(client: Client, settings: Settings, *, eager: bool) -> AsyncGenerator[str]:
    """The gateway alone; gives its address."""
    for secret in settings.gateway.secrets:
        remember(secret, lasting=True)
    iam = settings.gateway.iam
    async with AsyncExitStack() as held:
        sts = StsClient(iam.sts_url) if iam else None
        if sts:
            held.push_async_callback(sts.close)
        app = create_app(client, settings, letters_of(settings), eager=eager, sts=sts)
        page: Page = app.state.page
        await held.enter_async_context(page.running())
        metrics: GatewayMetrics = app.state.metrics
        connections = Connections(server_limits_of(settings), metrics.turned_away)
        metrics.follow(connections.count)
        listener = ports.listening(settings.gateway.host, settings.gateway.port)
        server = serving(
            hardened(app, settings.gateway, metrics.turned_away),
            listener,
            connections,
            stopping=app.state.stopping.set,
            lead_seconds=settings.gateway.shutdown_lead_seconds,
        )
        await held.enter_async_context(publishing_of(settings, metrics.figures))
        yield await held.enter_async_context(server)


def server_limits_of(settings: Settings) -> ServerLimits:
    """What the listener bears, from the configuration and by what the process may open."""
    of = settings.gateway
    return ServerLimits(
        connections_possible(of.max_connections),
        of.max_buffered_bytes,
        of.max_header_bytes,
        of.header_timeout_seconds,
        of.body_timeout_seconds,
        of.send_timeout_seconds,
        of.keep_alive_seconds,
    )


@asynccontextmanager
async def whole(client: Client, settings: Settings) -> AsyncGenerator[str]:
    """Worker, then gateway; gives the gateway's address. Left in the opposite order."""
    async with worker.running(client, settings), gateway(client, settings, eager=True) as address:
        yield address
