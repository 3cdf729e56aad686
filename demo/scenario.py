"""The demo: jobs of two organizations, a drain in the middle, a resume, an end that is checked."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from temporalio.client import Client

from api.fleet_client import FleetClient, FleetUnavailable
from demo.site import Site

REPOS = ("acme/api", "acme/web", "acme/tools", "umbrella/core", "umbrella/site")
LIMITS = {"max_runners": 6, "default": 2, "repos": {"acme/api": 3}, "orgs": {"umbrella": 3}}
RECOVERY = {"every_seconds": 30}  # the demo waits for its end
PATIENCE_SECONDS = 240.0
LOOK_SECONDS = 0.2


@dataclass
class Progress:
    """What the table shows."""

    phase: str = "starting"
    status: dict[str, Any] = field(default_factory=dict[str, Any])
    drain: dict[str, Any] = field(default_factory=dict[str, Any])
    jobs: dict[str, int] = field(default_factory=dict[str, int])
    total: int = 0
    notes: list[str] = field(default_factory=list[str])


class DemoFailed(Exception):
    """The scenario did not come to its end; the message says where."""


class Scenario:
    """Plays GitHub's users and Penstock's operator on one site."""

    def __init__(
        self,
        site: Site,
        client: Client,
        gateway: str,
        admin_key: str,
        show: Callable[[Progress], None],
        *,
        jobs: int,
        seed: int = 7,
    ) -> None:
        self._site = site
        self._fleet = FleetClient(client)
        self._gateway = gateway
        self._key = admin_key
        self._show = show
        self._jobs = jobs
        self._chance = random.Random(seed)
        self.progress = Progress()
        self.refused = 0
        self.drain_seconds = 0.0
        self.first_estimate = 0.0

    async def play(self) -> None:
        """The whole of it. Raises DemoFailed."""
        refused = max(1, self._jobs // 10)
        before = max(1, (self._jobs - refused) * 2 // 3)
        after = self._jobs - refused - before
        await self._site.point_at(self._gateway)
        await self._disturb()
        await self._send(before, "jobs arrive; some events come twice or out of order")
        await self._until(lambda: self._completed(before // 3), "the first jobs to end")
        await self._drain(refused)
        await self._resume()
        await self._send(max(0, after), "jobs arrive again")
        await self._until(self._all_over, "every job to end")
        await self._until(self._all_paid, "the refused webhooks to be paid")

    async def _disturb(self) -> None:
        """Duplicates and disorder, as GitHub has them."""
        rules = [
            {"kind": "duplicate", "match": {"action": "queued"}, "times": 3},
            {"kind": "duplicate", "match": {"action": "completed"}, "times": 2},
            {"kind": "delay", "match": {"action": "queued", "nth": 4}, "seconds": 0.8},
            {"kind": "reorder", "match": {"action": "in_progress"}, "times": 3, "seconds": 3},
        ]
        await self._site.call("POST", "faults", rules=rules)

    async def _send(self, count: int, phase: str) -> None:
        self.progress.phase = phase
        for i in range(count):
            seconds = round(self._chance.uniform(0.2, 0.8), 2)
            await self._site.jobs(REPOS[i % len(REPOS)], seconds=seconds, name=f"build {i}")
        self.progress.total += count

    async def _drain(self, refused: int) -> None:
        self.progress.phase = "draining: what is queued is finished, new webhooks get 503"
        await self._mode("draining", "the demo drains in the middle")
        began = time.monotonic()
        self.first_estimate = (await self._fleet.drain_status())["eta_seconds"]["p50"]
        self.progress.total += refused
        for i in range(refused):
            await self._site.jobs(REPOS[i % len(REPOS)], seconds=0.3, name=f"refused {i}")
        await self._site.wait("deliveries_idle")
        self.refused = await self._refusals()
        if self.refused < refused:
            raise DemoFailed(f"{self.refused} of {refused} webhooks were refused while draining")
        await self._until(self._drained, "the fleet to drain")
        self.drain_seconds = time.monotonic() - began
        self.progress.notes.append(
            f"drained in {self.drain_seconds:.1f} s; the first estimate said "
            f"{self.first_estimate:.1f} s (p50)"
        )

    async def _resume(self) -> None:
        self.progress.phase = "resumed: the recovery brings back what was refused"
        if not await self._owed():
            raise DemoFailed("GitHub's log does not list the refused webhooks as failed")
        await self._mode("normal", "the demo goes on")

    async def _mode(self, mode: str, reason: str) -> None:
        """As an operator does: through the admin interface, with a key.

        503 says that the change is not known to be in force, as while the Fleet moves from a dead
        worker to a living one; the same again is safe, and what the answer asks for.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        async with httpx.AsyncClient(timeout=20.0) as http:
            while True:
                answer = await http.put(
                    f"{self._gateway}/admin/draining",
                    json={"mode": mode, "reason": reason},
                    headers={"Authorization": f"Bearer {self._key}"},
                )
                if answer.status_code != 503 or time.monotonic() > deadline:
                    break
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
            answer.raise_for_status()

    async def _refusals(self) -> int:
        log = await self._site.call("GET", "deliveries")
        return sum(d["status_code"] == 503 for d in log["deliveries"])

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Show what happens until a condition holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            await self._look()
            if await condition():
                return
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        try:
            self.progress.status = await self._fleet.status()
            self.progress.drain = await self._fleet.drain_status()
        except FleetUnavailable as error:
            self.progress.notes = [str(error)]
        self.progress.jobs = (await self._site.call("GET", "summary"))["jobs"]
        self._show(self.progress)

    async def _completed(self, count: int) -> bool:
        return self.progress.jobs.get("completed", 0) >= count

    async def _drained(self) -> bool:
        return bool(self.progress.drain.get("drained"))

    async def _owed(self) -> int:
        """Webhooks that GitHub could not deliver yet; a question, nothing is sent for it."""
        found = await self._site.call("POST", "redeliver", dry_run=True)
        return len(found["redelivered"])

    async def _all_paid(self) -> bool:
        return await self._site.wait("deliveries_idle", timeout=5) and not await self._owed()

    async def _all_over(self) -> bool:
        idle = not self.progress.drain.get("running") and not self.progress.drain.get("waiting")
        open_jobs = sum(self.progress.jobs.get(s, 0) for s in ("queued", "in_progress"))
        return idle and not open_jobs and await self._site.wait("all_completed", timeout=5)
