"""Clients that are late: with their request, byte by byte, or with taking their answer."""

import asyncio
import json
import socket

import pytest

from api.security_headers import ALWAYS
from tests.embedded.wire import request, server

SOON = 0.8  # seconds; each trickle below would take several times as long
BODY = request("POST / HTTP/1.1", b"x" * 100)
HEAD, _, _ = BODY.partition(b"x" * 100)


async def test_a_request_in_pieces_is_served_if_it_is_in_time():
    """Head and body in pieces; then another on the same connection."""
    async with server() as srv:
        wire = await srv.connect()
        for piece in (BODY[:7], BODY[7:60], BODY[60:], BODY[:-1], BODY[-1:]):
            wire.send(piece)
            await asyncio.sleep(0.02)
        for _ in range(2):
            answer = await wire.answer()
            assert answer
            assert (answer.status, answer.body) == (200, b"x" * 100)
        assert not srv.why


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost: here\r\n"])
async def test_late_headers_are_answered_408(begun):
    """Each byte that trickles in does not buy more time."""
    async with server(header_seconds=SOON) as srv:
        wire = await srv.connect(begun)
        trickle = wire.trickle(b"x" * 100)
        answer = await wire.answer()
        assert answer
        assert answer.status == 408
        assert not trickle.done(), "the last byte came first"
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"] == "application/problem+json"
        assert ALWAYS.items() <= _named(answer.headers)
        assert json.loads(answer.body)["status"] == 408
        assert await wire.ended() == b""
        trickle.cancel()
        assert (srv.why, srv.heard) == ({"late_headers": 1}, [])


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_late_body_is_answered_408(chunked):
    """The application is told that its client is gone."""
    head = HEAD
    if chunked:
        head = HEAD.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")
    async with server(body_seconds=SOON) as srv:
        wire = await srv.connect(head)
        trickle = wire.trickle(b"1\r\nx\r\n" * 20 if chunked else b"x" * 99)
        answer = await wire.answer()
        assert answer
        assert (answer.status, trickle.done()) == (408, False)
        assert await wire.ended() == b""
        trickle.cancel()
        assert (srv.why, srv.heard) == ({"late_body": 1}, [])


async def test_silence_is_ended_without_a_word():
    """There is no request that could be answered."""
    async with server(header_seconds=SOON) as srv:
        wire = await srv.connect()
        assert await wire.ended() == b""
        assert srv.why == {"late_headers": 1}


async def test_an_idle_connection_is_ended_without_a_word():
    """After `keep_alive_seconds`; that is nobody's fault and not counted."""
    async with server(keep_alive_seconds=1) as srv:
        wire = await srv.connect()
        assert await wire.ask()
        assert srv.connections.count("idle") == 1
        assert await wire.ended() == b""
        assert not srv.why


async def test_a_second_request_has_its_own_deadline():
    """On a kept-alive connection a byte now and then does not keep it alive."""
    async with server(header_seconds=SOON) as srv:
        wire = await srv.connect()
        assert await wire.ask()
        trickle = wire.trickle(b"GET / HTTP/1.1\r\n" + b"x" * 100)
        answer = await wire.answer()
        assert answer
        assert (answer.status, trickle.done()) == (408, False)
        trickle.cancel()


async def test_a_pipelined_request_has_its_own_deadline():
    """Its beginning came with the request before."""
    async with server(header_seconds=SOON) as srv:
        wire = await srv.connect(request() + b"GET / HT")
        statuses = [answer.status for _ in range(2) if (answer := await wire.answer())]
        assert statuses == [200, 408]


async def test_an_application_has_all_the_time_it_wants():
    """The deadlines are for what the client has to do."""
    async with server(header_seconds=SOON, body_seconds=SOON, send_seconds=SOON) as srv:
        srv.hold = asyncio.Event()
        wire = await srv.connect(BODY)
        asking = asyncio.create_task(wire.answer())
        late = await srv.connect(HEAD)
        assert (await late.answer()).status == 408, "the deadlines pass meanwhile"
        assert not asking.done()
        srv.hold.set()
        assert (await asking).status == 200


async def test_an_answer_that_is_not_read_is_cut():
    """However patient the client: its memory is not ours to hold."""
    async with server(send_seconds=SOON) as srv:
        srv.answer_bytes = 64 * 1024 * 1024
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        host, port = srv.url.removeprefix("http://").split(":")
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, (host, int(port)))
        await loop.sock_sendall(deaf, request())
        await srv.turned("unread_answer")
        await srv.until("answering", 0)
        deaf.close()
        assert srv.why == {"unread_answer": 1}


async def test_an_answer_that_is_read_slowly_is_whole():
    """As long as it is read in time."""
    async with server() as srv:
        srv.answer_bytes = 8 * 1024 * 1024
        wire = await srv.connect(limit=1024)
        answer = await wire.ask()
        assert answer
        assert len(answer.body) == srv.answer_bytes
        assert await wire.ask(), "and the connection goes on"


def _named(headers: dict[str, str]) -> set[tuple[str, str]]:
    wanted = {name.lower(): name for name in ALWAYS}
    return {(wanted[name], value) for name, value in headers.items() if name in wanted}


async def test_an_upgrade_is_a_request_like_any_other():
    """No websocket, no HTTP/2: nothing escapes the deadlines that way."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    async with server(keep_alive_seconds=1) as srv:
        wire = await srv.connect()
        for _ in range(2):
            wire.send(request("GET / HTTP/1.1", b"", *upgrade))
            assert (await wire.answer()).status == 200
        await srv.until("idle", 1)
        assert await wire.ended() == b""
        assert not srv.why


async def test_who_asks_before_it_sends_is_told_to_go_on():
    """Expect: 100-continue; the deadline of the body runs meanwhile."""
    head = request("POST / HTTP/1.1", b"", "Content-Length: 3", "Expect: 100-continue")
    async with server(body_seconds=2.0) as srv:
        wire = await srv.connect(head)
        assert (await wire.answer()).status == 100
        wire.send(b"abc")
        assert (await wire.answer()).body == b"abc"
        wire.send(head)
        assert [(await wire.answer()).status for _ in range(2)] == [100, 408]
