"""The server ends: nobody who was let in goes without an answer."""

import asyncio
import socket
import threading
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from embedded import http_protocol, http_server, ports
from embedded.http_server import serving
from tests.embedded.wire import PATIENCE, Server, Wire, request
from tests.support import until


class Ending:
    """A server that a test ends; what it does meanwhile goes on in a task."""

    def __init__(self, lead_seconds: float = 0.0, **limits: Any) -> None:
        self.srv = Server(**limits)
        self.serves = asyncio.Event()
        self.stopping = asyncio.Event()
        self._stop = asyncio.Event()
        self._listener = ports.listening("127.0.0.1", 0)
        self._lead = lead_seconds
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with serving(
            self.srv,
            self._listener,
            self.srv.connections,
            stopping=self.stopping.set,
            lead_seconds=self._lead,
        ) as self.srv.url:
            self.serves.set()
            await self._stop.wait()

    async def begin(self) -> None:
        """End it; until it has begun to end."""
        self._stop.set()
        await self.stopping.wait()

    async def closed(self) -> None:
        """Until nobody can connect any more."""

        async def is_closed() -> bool:
            return self._listener.fileno() == -1

        await until(is_closed)


@pytest.fixture
async def ending():
    """Make them; whatever happens they end."""
    async with AsyncExitStack() as held:

        async def make(**how) -> Ending:
            made = Ending(**how)

            async def end() -> None:
                for wire in made.srv.wires:
                    await wire.close()
                made.task.cancel()
                await asyncio.gather(made.task, return_exceptions=True)

            held.push_async_callback(end)
            await made.serves.wait()
            return made

        yield make


async def test_what_is_in_flight_is_answered_and_idle_connections_end(ending):
    """The answer says that it is the last one; then the server is done."""
    its = await ending()
    idle = await its.srv.connect()
    first = await idle.ask()
    assert "connection" not in first.headers
    its.srv.hold = asyncio.Event()
    busy = await its.srv.connect(request())
    await its.srv.until("answering", 1)
    await its.begin()
    assert await idle.ended() == b""
    await its.closed()
    assert not its.task.done()
    its.srv.hold.set()
    answer = await busy.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await busy.ended() == b""
    await its.task
    with pytest.raises(OSError):
        await Wire.open(its.srv.url)


async def test_a_body_that_is_on_its_way_is_waited_for(ending):
    """The head came before the end, the rest after it."""
    its = await ending()
    whole = request("POST / HTTP/1.1", b"x" * 100)
    wire = await its.srv.connect(whole[:-50])
    await its.srv.until("waiting", 1)
    await its.begin()
    await its.closed()
    wire.send(whole[-50:])
    answer = await wire.answer()
    assert (answer.status, answer.body) == (200, b"x" * 100)
    assert answer.headers["connection"] == "close"
    await its.task


@pytest.mark.parametrize("before", [b"", b"GET / HT"])
async def test_a_request_on_its_way_is_answered(ending, before, monkeypatch):
    """Its connection was let in, though nothing, or not all, had come when the server ended."""
    monkeypatch.setattr(http_protocol, "LAST_CALL_SECONDS", PATIENCE)
    its = await ending()
    wire = await its.srv.connect(before)
    await its.srv.until("waiting", 1)
    await its.begin()
    await its.closed()
    wire.send(request()[len(before) :])
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await wire.ended() == b""
    await its.task


async def test_who_sends_nothing_does_not_hold_up_the_end(ending, monkeypatch):
    """It had its last call."""
    monkeypatch.setattr(http_protocol, "LAST_CALL_SECONDS", 0.2)
    its = await ending(header_seconds=3600)
    silent = await its.srv.connect()
    half = await its.srv.connect(b"GET / HT")
    await its.srv.until("waiting", 2)
    await its.begin()
    assert await silent.ended() == b""
    assert (await half.answer()).status == 408
    await its.task


async def test_who_was_shown_out_does_not_hold_up_the_end(ending, monkeypatch):
    """Its last words are said already; it does not go by itself."""
    monkeypatch.setattr(http_server, "FINISH_SECONDS", 3600)
    its = await ending(header_seconds=0.2)
    late = await its.srv.connect(b"GET / HT")
    assert (await late.answer()).status == 408
    await its.begin()
    async with asyncio.timeout(PATIENCE):
        await its.task


async def test_a_lead_serves_on_and_says_goodbye(ending):
    """A load balancer needs time to hear of it; each connection is used once more."""
    its = await ending(lead_seconds=3.0)
    kept = await its.srv.connect()
    assert await kept.ask()
    await its.begin()
    for wire in (kept, await its.srv.connect()):
        answer = await wire.ask()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.ended() == b""
    assert not its.task.done()
    await its.task
    with pytest.raises(OSError):
        await Wire.open(its.srv.url)


async def test_an_answer_that_never_comes_is_given_up(ending, monkeypatch):
    """After FINISH_SECONDS nobody waits for it any more."""
    monkeypatch.setattr(http_server, "FINISH_SECONDS", 1)
    its = await ending()
    its.srv.hold = asyncio.Event()
    busy = await its.srv.connect(request())
    await its.srv.until("answering", 1)
    await its.begin()
    await its.task
    assert await busy.answer() is None


async def test_a_cancellation_ends_it_at_once(ending):
    """A second signal: what is in flight is cut, nobody can connect."""
    its = await ending(lead_seconds=3600)
    its.srv.hold = asyncio.Event()
    busy = await its.srv.connect(request())
    await its.srv.until("answering", 1)
    await its.begin()
    its.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await its.task
    assert await busy.answer() is None
    with pytest.raises(OSError):
        await Wire.open(its.srv.url)


@pytest.mark.parametrize("half", [False, True])
async def test_who_was_connected_but_not_accepted_is_served(ending, monkeypatch, half):
    """The kernel let it in in the very moment in which the listener is about to be closed.

    Or had let it in by half: it holds itself for connected, and the kernel waits for its word.
    """
    its = await ending()
    host, port = its.srv.url.removeprefix("http://").split(":")
    turn_away = ports.turn_away
    knocking = socket.socket()

    def too_late(listener: socket.socket) -> None:
        if half:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        knocking.connect((host, int(port)))
        if half:
            turn_away(listener)
        knocking.sendall(request())
        if not half:
            turn_away(listener)

    monkeypatch.setattr(ports, "turn_away", too_late)
    with knocking:
        await its.begin()
        await its.task
        knocking.settimeout(PATIENCE)
        said = await asyncio.to_thread(knocking.recv, 4096)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in said


async def test_nobody_who_was_connected_is_reset(ending, monkeypatch):
    """A storm of new connections while the listener closes: answered, or never let in."""
    monkeypatch.setattr(http_protocol, "LAST_CALL_SECONDS", PATIENCE)
    monkeypatch.setattr(http_server, "FINISH_SECONDS", PATIENCE)
    its = await ending()
    host, port = its.srv.url.removeprefix("http://").split(":")
    seen: Counter[str] = Counter()

    def knock() -> None:
        while not seen["refused"]:
            with socket.socket() as one:
                one.settimeout(PATIENCE)
                try:
                    one.connect((host, int(port)))
                except ConnectionRefusedError:
                    seen["refused"] += 1
                    return
                try:
                    one.sendall(request())
                    seen["answered" if one.recv(12) == b"HTTP/1.1 200" else "ended"] += 1
                except (ConnectionError, TimeoutError):
                    seen["reset or forgotten"] += 1

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()

    async def under_way() -> bool:
        return seen["answered"] >= 200

    await until(under_way)
    await its.begin()
    await its.task
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert seen["refused"] >= 1
    assert set(seen) == {"answered", "refused"}, seen
