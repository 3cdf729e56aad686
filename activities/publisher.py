"""Tells CloudWatch the figures of this process, every minute, beside its work.

Whatever AWS answers, jobs are served: a failure is logged once, and what was not told of the
counters is told with the next. A call whose answer is lost may have been counted: a count is told
at least once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from policy import cloudwatch, figures
from policy.cloudwatch import Datum, Key
from policy.figures import Distribution, Figure

logger = logging.getLogger(__name__)


class PublishFailed(Exception):
    """Metrics were not taken; the message names the cause, and the mend if there is one."""


class Sink(Protocol):
    """Where metrics go."""

    async def put(self, data: Sequence[Datum], at: float) -> None:
        """Send them, as measured at `at` (epoch seconds). Raises PublishFailed."""
        ...


@dataclass(frozen=True)
class Pace:
    """How often is told (seconds), and how many repositories one by one."""

    period: float = 60.0
    repositories: int = 50


class Publisher:
    """Asks for figures and sends them, until cancelled."""

    def __init__(
        self,
        sink: Sink,
        read: Callable[[], Awaitable[Sequence[Figure | Distribution]]],
        clock: Callable[[], float],
        pace: Pace | None = None,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._sink = sink
        self._read = read
        self._clock = clock
        self._pace = pace or Pace()
        self._sent: dict[Key, float] = {}
        self._failing = False

    async def run(self) -> None:
        """Tell again and again, on time: a minute that was skipped would look like no data."""
        loop, period = asyncio.get_running_loop(), self._pace.period
        due = loop.time()
        while True:
            await self.tell()
            due = max(due + period, loop.time())
            await asyncio.sleep(due - loop.time())

    async def tell(self) -> bool:
        """Tell once; whether all of it was taken."""
        try:
            found = figures.bounded(await self._read(), self._pace.repositories)
            for batch in cloudwatch.batches(cloudwatch.data(found, self._sent)):
                await self._sink.put(batch, self._clock())
                for datum in batch:
                    self._sent.update(datum.settles)
        except Exception as error:  # of whatever kind: nobody's job hangs on it
            if not self._failing:
                known = isinstance(error, PublishFailed)
                logger.warning(
                    "CloudWatch is not told metrics: %s; said once, tried on every %.0f s",
                    error,
                    self._pace.period,
                    exc_info=None if known else error,
                )
            self._failing = True
            return False
        if self._failing:
            logger.info("CloudWatch is told metrics again")
        self._failing = False
        return True
