"""The gateway ends: under load nobody who was let in is lost, a second signal ends it at once."""

import asyncio
import json
import signal
from collections import Counter, deque

import pytest

from api.signature import sign
from embedded import temporal_server
from embedded.http_protocol import LAST_CALL_SECONDS
from policy import names
from tests.e2e.gateway import SECRET
from tests.e2e.process import Dev
from tests.embedded.wire import Wire, request, wire_to
from tests.support import PATIENCE, exists, job_payload, until

A_SECOND = 200
AT_ONCE = 50
# A client that keeps connections alive leaves those alone that the server may be about to close.
REUSED_WITHIN = 1.0
# Who is let in and then silent for longer than this is shown out when the server ends.
SAID_WITHIN = 0.5 * LAST_CALL_SECONDS


def delivery(job: int) -> bytes:
    """A signed webhook, as bytes."""
    body = json.dumps(job_payload("queued", job, f"acme/r{job % 20}")).encode()
    head = ("X-GitHub-Event: workflow_job", f"X-Hub-Signature-256: {sign(SECRET, body)}")
    return request("POST /webhooks/github HTTP/1.1", body, *head)


async def status_of(url: str) -> tuple[int, str]:
    """What /readyz says."""
    async with wire_to(url) as wire:
        answer = await wire.ask("GET /readyz HTTP/1.1")
        assert answer
        return answer.status, json.loads(answer.body)["status"]


class Load:
    """So many webhooks a second, each a job of its own, until nobody can connect any more.

    Every other one has a connection of its own; the others share kept-alive ones, as they may.
    Fewer on a machine that cannot keep up: what is in flight at once is bounded.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: Counter[str] = Counter()
        self.accepted: list[int] = []
        self._kept: deque[tuple[float, Wire]] = deque()  # when it was last written to
        self._refused = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._flights: set[asyncio.Task[None]] = set()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        began, job = loop.time(), 0
        while not self._refused.is_set():
            job += 1
            await self._room.acquire()
            flight = asyncio.create_task(self._one(job))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)
            await asyncio.sleep(began + job / A_SECOND - loop.time())
        await asyncio.gather(*self._flights)
        while self._kept:
            await self._kept.popleft()[1].close()

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self._room.release()

    async def _one(self, job: int) -> None:
        clock = asyncio.get_running_loop().time
        wire = None
        while wire is None and job % 2 and self._kept:
            used, wire = self._kept.popleft()
            if not wire.is_open or clock() > used + REUSED_WITHIN:
                await wire.close()
                wire = None
        came = clock()
        try:
            wire = wire or await Wire.open(self.url)
        except ConnectionRefusedError:
            self.seen["never let in"] += 1
            self._refused.set()
            return
        wire.send(delivery(job))
        said = clock()
        answer = await wire.answer()
        silent = "said nothing for long" if said > came + SAID_WITHIN else "lost"
        self.seen[str(answer.status) if answer else silent] += 1
        if answer and answer.status == 200:
            self.accepted.append(job)
        if answer and job % 2 and "connection" not in answer.headers:
            self._kept.append((said, wire))
        else:
            await wire.close()


async def test_sigterm_under_load_loses_nobody(gateway, client):
    """Red first, then closed; who was let in is answered, and every 200 is a workflow."""
    its = await gateway(shutdown_lead_seconds=3.0)
    assert (await status_of(its.url))[0] == 200
    load = Load(its.url)

    async def well_under_way() -> bool:
        return len(load.accepted) >= A_SECOND

    await until(well_under_way)
    its.signal(signal.SIGTERM)

    async def red() -> bool:
        return await status_of(its.url) == (503, "stopping")

    await until(red)
    before = len(load.accepted)

    async def still_accepts() -> bool:
        return len(load.accepted) > before

    await until(still_accepts)
    assert not load.seen["never let in"], "the door was closed before it was red"
    assert await its.ended() == 0
    await load.task
    load.seen.pop("said nothing for long", None)  # this process was late: the machine is busy
    assert set(load.seen) == {"200", "never let in"}, load.seen
    for at in range(0, len(load.accepted), 50):
        handles = [
            client.get_workflow_handle(names.runner_job_id(f"acme/r{job % 20}", job))
            for job in load.accepted[at : at + 50]
        ]
        assert all(await asyncio.gather(*map(exists, handles)))


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(gateway, second):
    """Though the first one would have it wait for an hour."""
    its = await gateway(shutdown_lead_seconds=3600.0)
    its.signal(signal.SIGTERM)

    async def red() -> bool:
        return await status_of(its.url) == (503, "stopping")

    await until(red)
    its.signal(second)
    assert await its.ended() == 130
    assert "Traceback" not in its.log.read_text()


async def test_a_second_signal_leaves_no_process_behind(tmp_path, site):
    """`penstock dev`: its Temporal server goes with it."""
    dev = Dev(tmp_path / "dev", site, gateway="shutdown_lead_seconds = 3600")
    await dev.start()
    assert dev.process
    try:

        async def red() -> bool:
            return await status_of(dev.url) == (503, "stopping")

        dev.process.send_signal(signal.SIGINT)
        await until(red)
        dev.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await dev.process.wait() == 130
        assert temporal_server.read(tmp_path / "dev" / "state") is None
    finally:
        if dev.process.returncode is None:
            await dev.kill()
        if temporal_server.read(tmp_path / "dev" / "state"):
            dev.kill_temporal()
