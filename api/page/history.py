"""The last hour, in this gateway's memory: a sample each fifteen seconds, 240 of them."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from temporalio.service import RPCError

from api.admin.ended import Ended
from api.metrics import GatewayMetrics, totals
from api.page.feed import Read
from api.problems import Problem

logger = logging.getLogger(__name__)

HOUR = 3600.0
SAMPLE_SECONDS = 15.0
KEPT = int(HOUR / SAMPLE_SECONDS)
ENDED_AT_MOST = 20  # of a sample's jobs: a part of them, on a fleet that ends more


@dataclass(frozen=True)
class Sample:
    """One moment. What is not known then is None; the counts are since the sample before."""

    at: float
    running: int | None = None
    waiting: int | None = None
    capacity: int | None = None
    wait_p50: float | None = None
    wait_p95: float | None = None
    taken: int = 0
    refused: int = 0
    launched: int | None = None  # in the last five minutes
    failed: int | None = None
    calls: int | None = None  # to GitHub, by what its limits have left


@dataclass(frozen=True)
class Allowance:
    """What GitHub has left of one limit until its reset, epoch seconds."""

    limit: int
    remaining: int
    reset: float


class History:
    """Samples, the oldest first, within memory that does not grow."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.number = 0

    def add(self, sample: Sample) -> None:
        """The newest."""
        self.samples.append(sample)
        self.number += 1


class Sampler:
    """Adds to a history for as long as it runs."""

    def __init__(
        self, history: History, read: Read, ended: Ended, metrics: GatewayMetrics
    ) -> None:
        self._history = history
        self._read = read
        self._ended = ended
        self._metrics = metrics
        self._webhooks = totals(metrics.webhooks)
        self._seen_until = time.time()
        self._allowances: dict[tuple[str, str], Allowance] | None = None

    async def run(self) -> None:
        """For ever; a sample that fails is missing."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            try:
                await self.sample()
            except Exception:
                logger.exception("the page's history lacks a sample")

    async def sample(self) -> None:
        """Add one now."""
        reading = await self._read()
        counted = totals(self._metrics.webhooks)
        taken, refused = answered(self._webhooks, counted)
        self._webhooks = counted
        told = reading.status
        if told is None:
            self._history.add(Sample(reading.at, taken=taken, refused=refused))
            return
        launches = told["pressure"]["launches"]
        allowances = allowances_of(told)
        calls = None if self._allowances is None else spent(self._allowances, allowances)
        self._allowances = allowances
        waits = await self._waits()
        self._history.add(
            Sample(
                at=reading.at,
                running=told["running"],
                waiting=told["waiting"],
                capacity=told["capacity"],
                wait_p50=quantile(waits, 0.5),
                wait_p95=quantile(waits, 0.95),
                taken=taken,
                refused=refused,
                launched=launches["ok"],
                failed=launches["failed"],
                calls=calls,
            )
        )

    async def _waits(self) -> list[float]:
        """Of the jobs that ended since the former sample, at most twenty."""
        try:
            ended = await self._ended.read(ENDED_AT_MOST)
        except (Problem, RPCError):
            return []
        new = [job for job in ended if job["ended_at"] > self._seen_until and "waited" in job]
        self._seen_until = max([self._seen_until, *(job["ended_at"] for job in new)])
        return [float(job["waited"]) for job in new]


def answered(before: Mapping[str, float], now: Mapping[str, float]) -> tuple[int, int]:
    """Webhooks taken and refused between two readings of the counter."""
    grown = {outcome: now[outcome] - before.get(outcome, 0.0) for outcome in now}
    refused = sum(n for outcome, n in grown.items() if outcome.startswith("refused"))
    return round(sum(grown.values()) - refused), round(refused)


def allowances_of(told: dict[str, Any]) -> dict[tuple[str, str], Allowance]:
    """What GitHub's limits have left, by identity and resource, from `status`."""
    return {
        (one["identity"], one["resource"]): Allowance(
            int(one["limit"]), int(one["remaining"]), float(one["reset_at"])
        )
        for one in told.get("github", [])
    }


def spent(
    before: Mapping[tuple[str, str], Allowance], now: Mapping[tuple[str, str], Allowance]
) -> int:
    """Calls that counted between two readings; of an hour that began anew, those since then."""
    total = 0
    for key, one in now.items():
        former = before.get(key)
        if former is not None:  # else nobody knows what was there before
            left = former.remaining if former.reset == one.reset else one.limit
            total += max(0, left - one.remaining)
    return total


def quantile(values: list[float], part: float) -> float | None:
    """By nearest rank; None of nothing.

    >>> quantile([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    return sorted(values)[max(0, ceil(part * len(values)) - 1)] if values else None
