"""The gateway beside the floor: durable starts a second by webhooks, and by bare client calls.

The gateway is a process of its own, as in production; so is the sender (gateway_load.py).
No worker runs: neither side's workflows take the machine away from the calls. Two floors, at the
same concurrency, with the same arguments and options as the gateway's own calls:

1. `start_workflow` of a job alone;
2. the same and, after it, a signal-with-start of the repository's semaphore: what a gateway makes
   durable for each job that it answers 200.

The gateway answers only when both are durable, so that the second floor makes the same promise;
the first is what is promised to be kept up with. Jobs come in two orders: a matrix of MATRIX jobs
after the other, as a push makes GitHub send them, and the repositories in turn, which leaves the
gateway least to put together.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from benchmarks.gateway_load import Seen, Spec
from demo.site import APP_ID, SIMULATOR, Site
from embedded import ports, temporal_server
from policy import names
from policy.messages import Acquire
from policy.semaphore_state import SemaphoreState
from workflows.job_messages import JobInput

ROOT = Path(__file__).resolve().parents[1]
JOBS = 240
REPOS = 10
MATRIX = 24
CONCURRENT = 40
ROUNDS = 8
RATE, SECONDS, SLICES = 50.0, 40.0, 4


@dataclass(frozen=True)
class Rate:
    """Starts a second; and the machine's seconds that each took: caller, gateway, server."""

    starts: float
    cost: float


@dataclass(frozen=True)
class Round:
    """One round: by webhooks, in both orders, and by both floors."""

    in_turn: Rate
    by_matrix: Rate
    bare: Rate
    both: Rate


class Gate:
    """A gateway process, and what is sent to it."""

    def __init__(self, site: Site, pid: int, url: str, template: dict[str, Any]) -> None:
        self.site, self.pid, self.url, self.template = site, pid, url, template
        self._jobs = itertools.count(7_000_000_000, 1_000_000)
        self._names = itertools.count()

    def next_job(self) -> int:
        """The first of a million numbers that nobody has used."""
        return next(self._jobs)

    def repos(self, number: int) -> list[str]:
        """Repositories that nobody has used."""
        batch = next(self._names)
        return [f"acme/r{batch}-{n}" for n in range(number)]

    async def load(
        self, number: int, *, connections: int = 0, rate: float = 0.0, block: int = 1
    ) -> Seen:
        """Send so many deliveries from a process of its own; all must be accepted."""
        spec = Spec(
            url=f"{self.url}/webhooks/github",
            secret=(self.site.folder / "webhook-secret").read_text(encoding="utf-8"),
            template=self.template,
            repos=self.repos(REPOS),
            first_job=self.next_job(),
            number=number,
            block=block,
            connections=connections,
            rate=rate,
        )
        path = self.site.folder / "load.json"
        path.write_text(json.dumps(asdict(spec)), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.gateway_load", str(path)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        seen = Seen(**json.loads(output))
        if seen.statuses != {"200": number}:
            raise RuntimeError(f"the gateway did not take all: {seen.statuses}")
        return seen


@asynccontextmanager
async def gate(client: Client, site: Site) -> AsyncGenerator[Gate]:
    """A gateway as a process inside the block.

    Nothing drains the queue here: its threshold of back-pressure is out of the way.
    """
    port = ports.free("127.0.0.1", 0)
    config = site.folder / "gateway.toml"
    config.write_text(
        f'state_dir = "{site.folder / "gateway"}"\n'
        f'[gateway]\nport = {port}\nwebhook_secret_file = "{site.folder / "webhook-secret"}"\n'
        f'[github]\napi_url = "{site.url}"\nurl = "{site.url}"\napp_id = "{APP_ID}"\n'
        f'private_key_file = "{site.folder / "app.pem"}"\n'
        f'[runner]\ncommand = ["{SIMULATOR / "runner"}"]\n'
        "[pressure]\nmax_queue_depth = 1000000\n",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "gateway", "--config", str(config)),
        *("--log-level", "WARNING"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TEMPORAL_ADDRESS": client.service_client.config.target_host},
    )
    try:
        line = (await process.stdout.readline()).decode() if process.stdout else ""
        if not line.startswith("gateway "):
            raise RuntimeError(f"the gateway does not start: {line}")
        yield Gate(site, process.pid, line.split()[1], await _payload(site))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _payload(site: Site) -> dict[str, Any]:
    """A whole workflow_job event, as the simulator (and GitHub) sends it: some 9 kB."""
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        arrived.set_result(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        await site.point_at(f"http://{host}:{port}")
        await site.jobs("acme/template", labels=["self-hosted", "linux"])
        payload = json.loads(await arrived)
    await site.call("POST", "webhook", url="")
    return payload


async def floor(client: Client, gate_: Gate, number: int, *, signal: bool) -> Seen:
    """So many bare client calls, with or without the signal to the semaphore."""
    repos, first = gate_.repos(REPOS), gate_.next_job()
    left = iter(range(number))

    async def work() -> None:
        for n in left:
            await _start(client, repos[n % REPOS], str(first + n))
            if signal:
                await _acquire(client, repos[n % REPOS], str(first + n))

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(CONCURRENT)))
    return Seen(time.perf_counter() - began, time.process_time() - used)


async def _start(client: Client, repo: str, job: str) -> None:
    keys = (SearchAttributeKey.for_keyword(key) for key in names.SEARCH_ATTRIBUTES)
    values = ("acme", repo, "normal")
    await client.start_workflow(
        names.RUNNER_JOB,
        JobInput(repo, job, ["self-hosted", "linux"], "normal", time.time()),
        id=names.runner_job_id(repo, job),
        task_queue=names.TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(key, value) for key, value in zip(keys, values, strict=True)]
        ),
        priority=Priority(priority_key=3),
        static_summary=f"a job of {repo}",
        static_details="priority normal: no rule fits\n\nhttps://github.com/acme/api/actions/runs/1",
    )


async def _acquire(client: Client, repo: str, job: str) -> None:
    await client.start_workflow(
        names.REPO_SEMAPHORE,
        SemaphoreState(repo),
        id=names.semaphore_id(repo),
        task_queue=names.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="acquire",
        start_signal_args=[Acquire(names.runner_job_id(repo, job), "normal", time.time())],
    )


async def starts(client: Client, site: Site, rounds: int = ROUNDS) -> list[Round]:
    """Gateway and both floors, one after the other, round by round on one server."""
    found: list[Round] = []
    server = temporal_server.read(site.folder)
    async with gate(client, site) as its:
        await its.load(CONCURRENT, connections=CONCURRENT)  # nothing is cold
        await floor(client, its, CONCURRENT, signal=True)
        pids = [its.pid, server.pid if server else 0]

        async def rate(work: Awaitable[Seen]) -> Rate:
            before = _cpu_seconds(pids)
            seen = await work
            used = _cpu_seconds(pids) - before + seen.cpu
            return Rate(JOBS / seen.seconds, used / JOBS)

        for number in range(rounds):
            calls: dict[str, Callable[[], Awaitable[Seen]]] = {
                "bare": lambda: floor(client, its, JOBS, signal=False),
                "by_matrix": lambda: its.load(JOBS, connections=CONCURRENT, block=MATRIX),
                "both": lambda: floor(client, its, JOBS, signal=True),
                "in_turn": lambda: its.load(JOBS, connections=CONCURRENT),
            }
            order = list(calls) if number % 2 else list(reversed(calls))  # a drift favours nobody
            found.append(Round(**{name: await rate(calls[name]()) for name in order}))
    return found


def _cpu_seconds(pids: list[int]) -> float:
    """What these processes have used of the processors."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:13])  # proc(5): utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")


async def steady(
    client: Client, site: Site, seconds: float = SECONDS
) -> tuple[list[float], list[float]]:
    """Seconds to each answer at a steady rate: by webhooks, and by bare start and signal.

    Each is sent when it is due, whatever became of those before. Slices of both in turn: on a
    machine that is busy with other things the second says how much of the first is the machine.
    """
    webhooks: list[float] = []
    bare: list[float] = []
    number = int(RATE * seconds / SLICES)
    async with gate(client, site) as its:
        await its.load(REPOS, connections=1)
        for _ in range(SLICES):
            webhooks += (await its.load(number, rate=RATE)).latencies
            bare += await _steady_floor(client, its, number)
    return webhooks, bare


async def _steady_floor(client: Client, gate_: Gate, number: int) -> list[float]:
    repos, first = gate_.repos(REPOS), gate_.next_job()
    found: list[float] = []

    async def one(n: int, due: float) -> None:
        await _start(client, repos[n % REPOS], str(first + n))
        await _acquire(client, repos[n % REPOS], str(first + n))
        found.append(time.perf_counter() - due)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for n in range(number):
            due = began + n / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(n, due))
    return found
