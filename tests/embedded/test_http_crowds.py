"""More connections, or more of a request, than the listener bears."""

import asyncio
import json
import resource
import socket
import sys
from pathlib import Path

from api.request_caps import RequestCaps
from tests.embedded.wire import Server, request, server

ROOT = Path(__file__).resolve().parents[2]
PARTIAL = b"GET / HTTP/1.1\r\n"


async def slow(srv: Server, count: int, sent: bytes = PARTIAL) -> list:
    """Connections with a part of a request, in this order."""
    wires = []
    for number in range(count):
        wires.append(await srv.connect(sent))
        await srv.until("waiting", number + 1)
    return wires


async def test_the_slowest_makes_room_for_a_newcomer():
    """Who has waited longest goes first, told why; the newcomer is served."""
    async with server(connections=3) as srv:
        wires = await slow(srv, 3)
        for wire in wires:
            newcomer = await srv.connect()
            assert (await newcomer.ask()).status == 200
            evicted = await wire.answer()
            assert (evicted.status, evicted.headers["connection"]) == (503, "close")
            assert int(evicted.headers["retry-after"]) >= 1
            assert await wire.ended() == b""
            await newcomer.close()
            await srv.until("idle", 0)
            await srv.connect(PARTIAL)  # the cap is reached again
            await srv.until("waiting", 3)
        assert srv.why == {"evicted": 3}


async def test_silent_connections_and_unfinished_bodies_make_room_too():
    """A silent one is ended without a word."""
    head = request("POST / HTTP/1.1", b"xx")[:-1]
    async with server(connections=2) as srv:
        (silent,) = await slow(srv, 1, b"")
        unfinished = await srv.connect(head)
        await srv.until("waiting", 2)
        assert (await (await srv.connect()).ask()).status == 200
        assert await silent.ended() == b""
        assert (await (await srv.connect()).ask()).status == 200
        assert (await unfinished.answer()).status == 503
        assert srv.heard == [b"", b""]


async def test_hundreds_of_slow_connections_shut_nobody_out():
    """At the cap, with ever new ones coming: each healthy request is served."""
    async with server(connections=50) as srv:
        await slow(srv, 50)
        for _ in range(20):
            for _ in range(10):
                await srv.connect(PARTIAL)
            healthy = await srv.connect()
            assert (await healthy.ask()).status == 200
        assert srv.why["evicted"] >= 200


async def test_who_does_not_read_makes_room_too():
    """Answers that nobody takes cannot fill the listener either."""
    async with server(connections=3) as srv:
        srv.answer_bytes = 16 * 1024 * 1024
        deaf = [await srv.connect(request(), limit=1024) for _ in range(3)]
        await srv.until("unread", 3)
        srv.answer_bytes = 0
        for number in range(3):
            newcomer = await srv.connect()
            assert (await newcomer.ask()).status == 200
            await srv.until("unread", 2 - number)
        whole = [await wire.ended() for wire in deaf]
        assert all(len(read) < 16 * 1024 * 1024 for read in whole)
        assert srv.why == {"evicted": 3}


async def test_an_idle_connection_makes_room_if_nobody_is_slow():
    """It can be opened again."""
    async with server(connections=2) as srv:
        idle = await srv.connect()
        assert await idle.ask()
        srv.hold = asyncio.Event()
        busy = await srv.connect(request())
        await srv.until("answering", 1)
        another = await srv.connect(request())
        await srv.until("answering", 2)
        assert await idle.ended() == b""
        srv.hold.set()
        assert [(await wire.answer()).status for wire in (busy, another)] == [200, 200]


async def test_who_has_just_gone_makes_room_as_well():
    """The server is about to say a last word, and does not know yet that nobody hears it."""
    async with server(connections=1) as srv:
        host, port = srv.url.removeprefix("http://").split(":")
        gone = socket.create_connection((host, int(port)))
        gone.sendall(PARTIAL)
        await srv.until("waiting", 1)
        gone.close()
        (connection,) = srv.connections._delaying
        connection.make_room()  # in the same turn of the loop: it cannot have noticed
        await srv.until("waiting", 0)
        newcomer = await srv.connect()
        assert (await newcomer.ask()).status == 200
        assert (srv.why, srv.connections.parting) == ({"evicted": 1}, 0)


async def test_real_load_at_the_cap_turns_newcomers_away_at_once():
    """503 with Retry-After, before a request is read; what is in flight is answered."""
    async with server(connections=3) as srv:
        srv.hold = asyncio.Event()
        busy = [await srv.connect(request()) for _ in range(3)]
        await srv.until("answering", 3)
        newcomer = await srv.connect()
        refused = await newcomer.answer()
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        assert int(refused.headers["retry-after"]) >= 1
        assert json.loads(refused.body)["detail"] == "too many connections"
        srv.hold.set()
        assert [(await wire.answer()).status for wire in busy] == [200] * 3
        assert srv.why == {"full": 1}
        await srv.until("idle", 3)


async def test_unfinished_bodies_share_a_bounded_memory():
    """Whoever holds the most of it goes; small requests are served all along."""
    async with server(buffered_bytes=1024 * 1024) as srv:
        head = request("POST / HTTP/1.1", b"", "Content-Length: 1000000")
        wires = [await srv.connect(head + b"x" * (500_000 - n)) for n in range(2)]
        await srv.until("waiting", 2)
        healthy = await srv.connect()
        assert (await healthy.ask("POST / HTTP/1.1", b"y" * 1000)).status == 200
        third = await srv.connect(head + b"x" * 100_000)
        assert (await wires[0].answer()).status == 503
        assert srv.why == {"evicted": 1}
        await wires[1].close()
        third.send(b"x" * 900_000)
        assert (await third.answer()).status == 200, "there is room again"
        assert (await healthy.ask("POST / HTTP/1.1", b"y" * 1000)).status == 200


async def test_memory_is_given_back():
    """Bodies one after another, each nearly all of the memory, finished or broken off."""
    async with server(buffered_bytes=1024 * 1024) as srv:
        for number in range(6):
            wire = await srv.connect()
            if number % 2:
                wire.send(request("POST / HTTP/1.1", b"x" * 1_000_000)[:-10])
                await srv.until("waiting", 1)
                await wire.close()
                await srv.until("waiting", 0)
            else:
                assert (await wire.ask("POST / HTTP/1.1", b"x" * 1_000_000)).status == 200
                await wire.close()
                await srv.until("idle", 0)
        assert not srv.why


async def test_what_is_no_http_is_answered_400():
    """A stranger's nonsense, at once and without a line in the log."""
    async with server() as srv:
        for nonsense in (
            b"\x16\x03\x01\x02\x00\x01",
            b"HELLO\r\n\r\n",
            b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        ):
            wire = await srv.connect(nonsense)
            answer = await wire.answer()
            assert (answer.status, answer.headers["connection"]) == (400, "close")
            assert await wire.ended() == b""
        broken = await srv.connect(
            request("POST / HTTP/1.1", b"", "Transfer-Encoding: chunked") + b"no number\r\n"
        )
        answer = await broken.answer()
        assert (answer.status, "date" in answer.headers) == (400, True)
        assert (srv.why, srv.heard) == ({"malformed": 4}, [])


async def test_endless_headers_are_answered_431():
    """As soon as they are too many, though they never end."""
    async with server(header_bytes=4096) as srv:
        wire = await srv.connect(b"GET / HTTP/1.1\r\n" + b"X-Y: " + b"z" * 5000)
        assert (await wire.answer()).status == 431
        assert srv.why == {"headers": 1}


def caps(app: Server) -> RequestCaps:
    """The echo behind the caps on requests."""
    return RequestCaps(app, webhook_bytes=100_000, header_bytes=4096, turned_away=app._turned_away)


async def test_a_body_that_is_answered_early_may_come_to_its_end():
    """413 at once; a client that sends the rest all the same can use the connection again.

    It is idle then as any other, and ended as one.
    """
    async with server(caps, keep_alive_seconds=1) as srv:
        wire = await srv.connect()
        wire.send(request("POST /webhooks/github HTTP/1.1", b"x" * 200_000)[:-100_000])
        assert (await wire.answer()).status == 413
        wire.send(b"x" * 100_000)
        assert (await wire.ask()).status == 200
        wire.send(request("POST /webhooks/github HTTP/1.1", b"x" * 200_000)[:-1])
        assert (await wire.answer()).status == 413
        wire.send(b"x")
        await srv.until("idle", 1)
        assert await wire.ended() == b""
        assert srv.why == {"body": 2}


async def test_an_endless_body_is_cut():
    """Chunks without end: 413, then the connection, whatever still comes."""
    head = request("POST /webhooks/github HTTP/1.1", b"", "Transfer-Encoding: chunked")
    async with server(caps) as srv:
        wire = await srv.connect(head)

        async def endless() -> None:
            while wire.is_open:
                wire.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await asyncio.sleep(0.001)

        sending = asyncio.create_task(endless())
        assert (await wire.answer()).status == 413
        await srv.turned("body", 2)
        await sending
        assert srv.heard == []


async def test_a_process_makes_itself_room_for_its_connections():
    """The limit of open files is raised as far as it goes; beyond it, fewer are let in."""
    script = (
        "import resource as r\n"
        "from embedded.connections import connections_possible as possible\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (1024, 3000))\n"
        "print(possible(500), r.getrlimit(r.RLIMIT_NOFILE)[0])\n"
        "print(possible(2000), r.getrlimit(r.RLIMIT_NOFILE)[0])\n"
        "print(possible(9000), r.getrlimit(r.RLIMIT_NOFILE)[0])\n"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 3000
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.split() == [b"500", b"1024", b"2000", b"2256", b"2744", b"3000"]
