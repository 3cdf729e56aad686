"""The process: listens on loopback, says so, ends cleanly."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn

from simulator.app import Simulator

KEEP_ALIVE_SECONDS = 120
SHUTDOWN_SECONDS = 2
BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn that says when it listens and leaves signals to us: it would end by them."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def listen(port: int) -> socket.socket:
    """A socket on loopback; port 0 picks a free one."""
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, every answer
    # waits 40 ms for an acknowledgement.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


def make_server(simulator: Simulator) -> Server:
    """uvicorn without what costs time: no log of requests, no headers that we write ourselves."""
    config = uvicorn.Config(
        simulator,
        lifespan="off",
        access_log=False,
        log_level="warning",
        date_header=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=BACKLOG,
    )
    return Server(config)


async def serve(simulator: Simulator, port: int, ready_file: Path | None) -> None:
    """Listen until SIGTERM or SIGINT."""
    listener = listen(port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    simulator.listen(url)
    server = make_server(simulator)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    if ready_file is not None:
        write_whole(ready_file, json.dumps({"url": url, "pid": os.getpid()}))
    print(f"simulated GitHub on {url}", flush=True)
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await simulator.close()
    server.should_exit = True
    await serving


def write_whole(path: Path, text: str) -> None:
    """Write a file that nobody sees half written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
