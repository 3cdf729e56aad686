"""An ASGI application on a socket of our own, without taking the process's signals."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from embedded import ports
from embedded.connections import Connections, ServerLimits
from embedded.http_protocol import GuardedConfig

CLOSE = (b"connection", b"close")
FINISH_SECONDS = 10  # GitHub waits no longer for an answer
# asyncio accepts in one turn of its loop all who wait, and makes their transports in the next: who
# is between the two when the listener is closed is lost without a word. Three turns of this task
# are enough; the others are for versions of Python to come.
ACCEPT_TURNS = 5
# What a peer's last packet of a connection's beginning may take: half the time around the world.
LETTING_IN_SECONDS = 0.2


class _Server(uvicorn.Server):
    def __init__(self, config: GuardedConfig) -> None:
        super().__init__(config)
        self._connections = config.connections

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to whoever runs the whole process."""
        yield

    def last_answers(self) -> None:
        """From now on each answer is the last one of its connection, and says so."""
        self.config.encoded_headers.append(CLOSE)  # uvicorn makes its headers of these anew
        self.server_state.default_headers.append(CLOSE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept who is connected already; then close the listener, and finish."""
        for listener in sockets or []:
            ports.turn_away(listener)
        if sockets:
            await asyncio.sleep(LETTING_IN_SECONDS)
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        self._connections.closing = True
        # Before uvicorn gives up itself, with a bare 500 to whoever waits.
        asyncio.get_running_loop().call_later(FINISH_SECONDS, self.cut)
        await super().shutdown(sockets)

    def cut(self) -> None:
        """End what is left, without a word."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


@asynccontextmanager
async def serving(
    app: Any,
    listener: socket.socket,
    connections: Connections | None = None,
    *,
    stopping: Callable[[], None] = lambda: None,
    lead_seconds: float = 0.0,
) -> AsyncGenerator[str]:
    """Serve inside the block; gives the address. What is in flight at its end is answered.

    At the end `stopping` is called first; then all is served for `lead_seconds` more, so that a
    load balancer hears of it; then the listener closes. A cancellation meanwhile cuts it short.
    """
    config = GuardedConfig(
        app,
        connections or Connections(ServerLimits()),
        access_log=False,
        log_level="error",  # below it: a line for each stranger's nonsense, which is counted
        log_config=None,  # its lines go where all go, and lose their secrets there
        lifespan="off",
        timeout_graceful_shutdown=FINISH_SECONDS + 1,
        backlog=1024,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"http://{host}:{port}"
    finally:
        stopping()
        server.last_answers()
        try:
            await asyncio.sleep(lead_seconds)
            server.should_exit = True
            await task
        finally:
            task.cancel()
            server.cut()
            listener.close()
