"""The supervisor and the proxy of the chaos runs, alone."""

import asyncio
import signal

import pytest

from chaos.process import Process
from chaos.proxy import Proxy
from embedded import ports
from tests.support import until

SAYS = "import os, time; print(os.environ.get('WORD'), os.getpid(), flush=True); time.sleep(600)"


async def test_what_ends_by_itself_is_started_again(tmp_path):
    """And counted; what was killed on purpose stays down until it may start, and is not."""
    process = Process("it", tmp_path / "log", "-c", SAYS)
    try:
        await process.start()
        first = process.pid
        process.signal(signal.SIGTERM)

        async def anew():
            return process.pid not in (None, first) and process.pid

        second = await until(anew)
        await process.ready()
        assert process.ended == [-signal.SIGTERM]
        await process.kill()
        assert process.pid is None
        process.more = {"WORD": "other"}
        process.restart()
        await process.ready()
        assert process.pid not in (None, first, second)
        assert process.ended == [-signal.SIGTERM]
        assert "other" in (tmp_path / "log").read_text()
    finally:
        await process.stop()
    assert process.pid is None


@pytest.fixture
async def echo():
    """A server that says everything again, behind a proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    lines: list[asyncio.StreamWriter] = []

    async def connect():
        """A connection through the proxy."""
        host, _, port = proxy.address.rpartition(":")
        line = await asyncio.open_connection(host, int(port))
        lines.append(line[1])
        return line

    listener = ports.listening("127.0.0.1", 0)
    server = await asyncio.start_server(serve, sock=listener)
    proxy = Proxy(listener.getsockname)
    await proxy.start()
    yield proxy, connect
    for writer in lines:
        writer.transport.abort()
    await proxy.stop()
    server.close()
    await asyncio.sleep(0)


async def ask(line, word: bytes) -> bytes:
    """What comes back; nothing from a connection that was cut."""
    reader, writer = line
    try:
        writer.write(word)
        return await reader.read(100)
    except OSError:
        return b""


async def test_the_proxy_refuses_swallows_and_heals(echo):
    """Each state as a network has it."""
    echo, connect = echo
    line = await connect()
    assert await ask(line, b"one") == b"one"
    echo.swallow()
    held = asyncio.create_task(ask(line, b"two"))
    done, _ = await asyncio.wait({held}, timeout=0.2)
    assert not done, "a black hole answers nothing"
    echo.heal()
    assert await held == b"two", "what was held back passes"
    echo.refuse()
    assert await ask(line, b"three") == b"", "it was cut"
    assert await ask(await connect(), b"four") == b""
    echo.heal()
    line = await connect()
    assert await ask(line, b"five") == b"five"
    echo.swallow()
    held = asyncio.create_task(ask(line, b"six"))
    await asyncio.wait({held}, timeout=0.1)
    echo.heal(cut=True)
    assert await held == b""
