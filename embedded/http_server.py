"""An ASGI application on a socket of our own, without taking the process's signals."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to whoever runs the whole process."""
        yield


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncGenerator[str]:
    """Serve inside the block; gives the address. What is in flight at its end is answered."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        log_config=None,  # its lines go where all go, and lose their secrets there
        lifespan="off",
        timeout_graceful_shutdown=10,
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
        server.should_exit = True
        await task
        listener.close()
