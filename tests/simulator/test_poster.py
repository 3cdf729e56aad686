"""The client that delivers: kept connections, and receivers of all kinds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from simulator.webhooks.http import BROKEN, Poster


@asynccontextmanager
async def receiver(*answers: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """Gives these answers, one per request; yields its address and the requests per connection."""
    left, served = list(answers), list[int]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        number = len(served) - 1
        try:
            while left:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                served[number] += 1
                answer = left.pop(0)
                writer.write(answer)
                await writer.drain()
                if b"close" in answer or b"HTTP" not in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?x=1", served
    finally:
        server.close()
        await server.wait_closed()


PLAIN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
CLOSED = b"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\nall of it"
EMPTY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"


async def test_answers_of_all_kinds_are_read_and_connections_kept() -> None:
    poster = Poster()
    async with receiver(PLAIN, CHUNKED, EMPTY, CLOSED, PLAIN) as (url, served):
        replies = [await poster.post(url, {"A": "b"}, b"{}") for _ in range(5)]
        poster.close()
    assert [one.status for one in replies] == [202, 200, 204, 500, 202]
    assert [one.body for one in replies] == ["ok", "abcde", "", "all of it", "ok"]
    assert served == [4, 1]


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", PLAIN[:-1] + b""])
async def test_a_broken_answer_is_not_retried(answer: bytes) -> None:
    poster = Poster()
    async with receiver(answer, PLAIN) as (url, served):
        with pytest.raises((*BROKEN, TimeoutError)):
            async with asyncio.timeout(0.2):
                await poster.post(url, {}, b"{}")
        assert sum(served) == 1
        poster.close()


async def test_only_http_addresses_are_posted_to() -> None:
    with pytest.raises(ValueError, match="not an http address"):
        await Poster().post("https://127.0.0.1/", {}, b"")
