"""However much is sent to the gateway, signed or not: its memory is bounded."""

import asyncio
import gzip
from contextlib import AsyncExitStack

from api.signature import sign
from tests.e2e.gateway import SECRET, Gateway
from tests.embedded.wire import request, wire_to

MIB = 1024 * 1024
PATH = "POST /webhooks/github HTTP/1.1"
BUFFERED = 64  # MiB for unfinished bodies together, the default


async def status(its: Gateway, sent: bytes) -> int:
    """The answer's, to these bytes on a connection of their own."""
    async with wire_to(its.url) as wire:
        wire.send(sent)
        answer = await wire.answer()
        assert answer
        return answer.status


async def test_refused_bodies_cost_no_memory(gateway):
    """At the largest cap: too large, endless, packed, or unsigned, one after another."""
    its = await gateway(max_body_bytes=25 * MIB)
    await status(its, request())
    before = its.memory()
    chunked = request(PATH, b"", "Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
    bomb = gzip.compress(b"0" * 100 * MIB)
    packed = ("Content-Encoding: gzip", f"X-Hub-Signature-256: {sign(SECRET, bomb)}")
    for _ in range(4):
        assert await status(its, request(PATH, b"x" * (25 * MIB + 1))) == 413
        assert await status(its, chunked + chunk * 40) == 413
        assert await status(its, request(PATH, bomb, *packed)) == 415
        assert await status(its, request(PATH, b"x" * 25 * MIB)) == 401
        assert await status(its, request("PUT /admin/draining HTTP/1.1", b"x" * 25 * MIB)) == 413
    grown = its.memory("VmHWM") - before
    assert grown < 2 * 25 * MIB + 10 * MIB, f"{grown / MIB:.0f} MiB"


async def test_unfinished_bodies_share_a_bounded_memory(gateway):
    """Forty clients with 20 of 25 MiB each: 800 MiB are offered, a fraction is ever held."""
    its = await gateway(max_body_bytes=25 * MIB)
    await status(its, request())
    before = its.memory()
    async with AsyncExitStack() as held:
        wires = [await held.enter_async_context(wire_to(its.url)) for _ in range(40)]
        for wire in wires:
            wire.send(request(PATH, b"", f"Content-Length: {25 * MIB}") + b"x" * 20 * MIB)
        answers = [asyncio.create_task(wire.answer()) for wire in wires]
        await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert await status(its, request(PATH, b"{}")) == 401, "others are served meanwhile"
        while sum(task.done() for task in answers) < 40 - BUFFERED // 20:
            await asyncio.wait([task for task in answers if not task.done()], timeout=1)
        for task in answers:
            task.cancel()
        grown = its.memory("VmHWM") - before
    assert grown < 2 * BUFFERED * MIB, f"{grown / MIB:.0f} MiB"
    assert await status(its, request(PATH, b"{}")) == 401
