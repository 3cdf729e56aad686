"""A sender of signed webhooks, as a process of its own: `python -m benchmarks.gateway_load SPEC`.

SPEC is a JSON file with the fields of `Spec`. With `connections` the loop is closed: each one
sends its next delivery when its last one is answered. With `rate` it is open: deliveries a second,
sent when they are due, whoever waits. Prints one JSON object: seconds in all, the statuses, and
each delivery's seconds from the moment it was due to its answer.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

IDLE_SECONDS = 2.0  # the gateway closes connections that are idle for 5 s
END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class Spec:
    """What to send."""

    url: str
    secret: str
    template: dict[str, Any]
    repos: list[str]  # owner/repo, in turn
    first_job: int
    number: int
    block: int = 1  # so many jobs of one repository, then of the next: a matrix comes at once
    connections: int = 0
    rate: float = 0.0


@dataclass
class Seen:
    """What came back."""

    seconds: float = 0.0
    cpu: float = 0.0  # the sender's own, in that time
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    latencies: list[float] = field(default_factory=list[float])


class Line(asyncio.Protocol):
    """One kept connection; one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)
        self._answer: asyncio.Future[int] = self._loop.create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        # uvloop's is one in all but its class
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; who waits for an answer gets none."""
        if not self._answer.done():
            self._answer.set_exception(ConnectionError("the gateway hung up"))

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of one."""
        self._buffer += data
        head, found, body = self._buffer.partition(END_OF_HEAD)
        if not found:
            return
        lower = head.lower()
        at = lower.index(b"content-length:") + len(b"content-length:")
        if len(body) < int(lower[at:].partition(b"\r\n")[0]):
            return
        self._buffer = b""
        self._answer.set_result(int(head[9:12]))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    async def post(self, request: bytes) -> int:
        """The answer's status."""
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return await self._answer


def requests(spec: Spec) -> list[bytes]:
    """All that will be sent, signed beforehand: the sender's own work is not measured."""
    parts = urlsplit(spec.url)
    made: list[bytes] = []
    for number in range(spec.number):
        payload = json.loads(json.dumps(spec.template))
        owner, _, name = spec.repos[number // spec.block % len(spec.repos)].partition("/")
        payload["workflow_job"]["id"] = spec.first_job + number
        payload["repository"].update(name=name, full_name=f"{owner}/{name}")
        payload["repository"]["owner"]["login"] = owner
        body = json.dumps(payload).encode()
        signature = hmac.new(spec.secret.encode(), body, hashlib.sha256).hexdigest()
        lines = (
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "User-Agent: GitHub-Hookshot/benchmark",
            "Accept: */*",
            "Content-Type: application/json",
            "X-GitHub-Event: workflow_job",
            f"X-GitHub-Delivery: 00000000-0000-4000-8000-{number:012d}",
            f"X-Hub-Signature-256: sha256={signature}",
            f"Content-Length: {len(body)}",
        )
        made.append("\r\n".join((*lines, "", "")).encode() + body)
    return made


async def send(spec: Spec) -> Seen:
    """Send all of it."""
    made = requests(spec)
    parts = urlsplit(spec.url)
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    seen = Seen()

    async def line() -> Line:
        _, opened = await loop.create_connection(Line, parts.hostname or "", parts.port or 80)
        return opened

    async def post(on: Line, request: bytes, due: float) -> None:
        statuses[await on.post(request)] += 1
        seen.latencies.append(time.perf_counter() - due)

    if spec.connections:
        lines = [await line() for _ in range(spec.connections)]
        left = iter(made)

        async def work(on: Line) -> None:
            for request in left:
                await post(on, request, time.perf_counter())

        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(work, lines))
    else:
        idle: list[tuple[float, Line]] = []

        async def arrive(request: bytes, due: float) -> None:
            while idle:
                since, on = idle.pop()
                if time.perf_counter() - since < IDLE_SECONDS:
                    break
                on.close()
            else:
                on = await line()
            await post(on, request, due)
            idle.append((time.perf_counter(), on))

        began, used = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for number, request in enumerate(made):
                due = began + number / spec.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(arrive(request, due))
    seen.seconds, seen.cpu = time.perf_counter() - began, time.process_time() - used
    seen.statuses = {str(status): number for status, number in sorted(statuses.items())}
    return seen


def main() -> None:
    """Read, send, print."""
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(vars(uvloop.run(send(spec)))))


if __name__ == "__main__":
    main()
