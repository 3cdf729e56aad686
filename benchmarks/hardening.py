"""What slow clients cost the others; whether a signature's check tells by its time how near."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import statistics
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from api.signature import sign, verify
from benchmarks import welch
from demo.site import Site

ROOT = Path(__file__).resolve().parents[1]
SLOW = 1000
A_SECOND = 25
PHASE_SECONDS = 16.0  # longer than a head may take: those shut out come again within it
SETTLE_SECONDS = 2.0  # before each phase, not counted: a thousand have just connected
PAIRS = 4  # of a phase without and one with
TRIES = 100_000
HTTP_TRIES = 4_000
BODY = b'{"action": "queued"}'


@dataclass(frozen=True)
class Beside:
    """Healthy webhooks' p99, seconds, without slow clients and with them, in turns."""

    without: list[float]
    beside: list[float]
    failed: int

    @property
    def ratio(self) -> float:
        """Of neighbours, the median: a machine whose speed drifts matters less."""
        pairs = zip(self.without, self.beside, strict=True)
        return statistics.median(beside / without for without, beside in pairs)


@dataclass(frozen=True)
class Times:
    """|t| between a signature that is wrong at once and one that is wrong at its end."""

    function: float
    http: float
    control: float  # of a comparison that stops at the first difference: the test would see it


@asynccontextmanager
async def gateway(client: Client, site: Site) -> AsyncGenerator[str]:
    """`penstock gateway` as a process of its own; gives its address."""
    config = site.folder / "penstock.toml"
    config.write_text(
        f'state_dir = "{site.folder / "state"}"\n[github]\ntoken = "none"\n'
        '[runner]\ncommand = ["true"]\n[pressure]\nmax_queue_depth = 1_000_000\n'
        "[gateway]\nport = 0\n"
        f'webhook_secret_file = "{site.folder / "webhook-secret"}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "gateway", "--config", str(config)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "COLUMNS": "300",
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        },
    )
    try:
        yield (await line_of(process)).split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def slow_clients(url: str) -> AsyncGenerator[None]:
    """A thousand of them in a process of their own, inside the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.slow_clients", url, str(SLOW)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await line_of(process)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def beside_slow_clients(client: Client, site: Site, pairs: int = PAIRS) -> Beside:
    """Signed webhooks at a steady rate, each a job and a connection of its own, in turns."""
    secret = (site.folder / "webhook-secret").read_text().strip()
    jobs = itertools.count(1)
    p99: dict[bool, list[float]] = {False: [], True: []}
    failed = 0
    async with gateway(client, site) as url:
        await healthy(url, secret, jobs, 3.0)  # warm
        for crowd in (False, True) * pairs:
            async with slow_clients(url) if crowd else contextlib.nullcontext():
                await healthy(url, secret, jobs, SETTLE_SECONDS)
                seen = await healthy(url, secret, jobs, PHASE_SECONDS)
            failed += seen.count(None)
            answered = [seconds for seconds in seen if seconds is not None]
            p99[crowd].append(quantile(answered, 99))
    return Beside(p99[False], p99[True], failed)


def quantile(seconds: list[float], percent: int) -> float:
    """So many percent of them took no longer."""
    return statistics.quantiles(seconds, n=100)[percent - 1]


async def signature_times(client: Client, site: Site) -> Times:
    """Of the function, over HTTP, and of a bad comparison in the place of the good one."""
    secret = (site.folder / "webhook-secret").read_text().strip()
    good = sign(secret, BODY)
    first, last = _wrong(good, len("sha256=")), _wrong(good, len(good) - 1)
    function = welch.compare(lambda given: verify([secret], BODY, given), first, last, TRIES)
    control = welch.compare(lambda given: _naive(good, given), first, last, TRIES)
    async with gateway(client, site) as url, _posting(url) as post:
        http = await welch.compare_calls(post, first, last, HTTP_TRIES)
    return Times(function, http, control)


async def line_of(process: asyncio.subprocess.Process) -> str:
    """The first line that it prints: it is ready."""
    line = await process.stdout.readline() if process.stdout else b""
    if not line:
        raise RuntimeError("a process of the benchmark ended early")
    return line.decode()


def _wrong(good: str, at: int) -> str:
    return good[:at] + ("0" if good[at] != "0" else "1") + good[at + 1 :]


def _naive(good: str, given: str) -> bool:
    return all(a == b for a, b in zip(good, given, strict=True))


async def healthy(
    url: str,
    secret: str,
    jobs: "itertools.count[int]",
    seconds: float,
    *,
    a_second: int = A_SECOND,
    repos: int = 10,
) -> list[float | None]:
    """Seconds to each answer, from when it was due; None for one that was not 200."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    flights: list[asyncio.Task[float | None]] = []
    for number in range(int(seconds * a_second)):
        due = began + number / a_second
        await asyncio.sleep(due - loop.time())
        flights.append(asyncio.create_task(_one(url, secret, next(jobs), due, repos)))
    return await asyncio.gather(*flights)


async def _one(url: str, secret: str, job: int, due: float, repos: int) -> float | None:
    payload = {
        "action": "queued",
        "workflow_job": {"id": job, "status": "queued", "labels": ["self-hosted"]},
        "repository": {"name": f"r{job % repos}", "owner": {"login": "acme"}},
    }
    body = json.dumps(payload).encode()
    async with _posting(url) as post:
        status = await post(sign(secret, body), body)
    return asyncio.get_running_loop().time() - due if status == 200 else None


class _Post:
    """One connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def __call__(self, signature: str, body: bytes = BODY) -> int:
        """Send a delivery; its status."""
        self._writer.write(
            b"POST /webhooks/github HTTP/1.1\r\nHost: here\r\nX-GitHub-Event: workflow_job\r\n"
            + f"X-Hub-Signature-256: {signature}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        await self._reader.readexactly(length)
        return int(head.split()[1])


@asynccontextmanager
async def _posting(url: str) -> AsyncGenerator[_Post]:
    host, port = url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield _Post(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
