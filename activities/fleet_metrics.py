"""The fleet as its workflows tell it, for metrics: the Fleet, and the semaphores of who waits.

The Fleet hears of permits exactly, and of waiters only when their number moves by a quarter
(policy/semaphore.py, report_due): so the semaphores of the repositories with the most waiters are
asked as well. A reading is one query, and one for each of those; Temporal Cloud bills queries.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from policy import figures, names
from policy.figures import Figure

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
AT_ONCE = 10  # semaphores under way
ESTIMATE_SECONDS = 60.0  # so often the time to drain is asked for: it is work for the Fleet
FRESH_SECONDS = 1.0  # who asks so soon after another gets the same answer
# Temporal itself has answered, whatever it said of the workflow.
ANSWERS = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)


@dataclass(frozen=True)
class Reading:
    """The answers. Without the Fleet's, `told` is None."""

    reachable: bool = False
    told: dict[str, Any] | None = None
    exact: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def figures(self) -> list[Figure]:
        """As figures."""
        found = figures.of_temporal(reachable=self.reachable, fleet=self.told is not None)
        return found if self.told is None else [*found, *figures.of_fleet(self.told, self.exact)]


class FleetReader:
    """Asks for all who want metrics of the fleet in this process."""

    def __init__(
        self,
        client: Client,
        most: int,
        clock: Callable[[], float] = time.monotonic,
        patience: float = TIMEOUT_SECONDS,
    ) -> None:
        """`most`: how many semaphores are asked at a reading; `patience`: seconds for each."""
        self._patience = patience
        self._client = client
        self._most = most
        self._clock = clock
        self._lock = asyncio.Lock()
        self._last: tuple[float, Reading] | None = None
        self._estimate: tuple[float, dict[str, float]] | None = None
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def read(self) -> Reading:
        """What is there now. Raises nothing that Temporal does."""
        async with self._lock:
            if self._last and self._clock() - self._last[0] < FRESH_SECONDS:
                return self._last[1]
            reading = await self._ask()
            self._last = self._clock(), reading
            return reading

    async def _ask(self) -> Reading:
        fleet = self._client.get_workflow_handle(names.FLEET_ID)
        now, known = self._clock(), self._estimate
        wanted = known is None or now - known[0] >= ESTIMATE_SECONDS
        try:
            async with asyncio.timeout(self._patience):
                told: dict[str, Any] = await fleet.query(
                    "gauges", wanted, result_type=dict[str, Any]
                )
        except WorkflowQueryFailedError as error:
            # A worker of an older version took it: it will be replaced in a moment.
            logger.info("the Fleet has no answer for metrics: %s", error)
            return Reading(reachable=True)
        except (RPCError, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status in ANSWERS:
                return Reading(reachable=True)
            logger.info("the Fleet does not answer: %r", error)
            return Reading(reachable=await self._answers())
        if known is None or "drain" in told:
            known = self._estimate = now, told["drain"]
        told["drain"] = known[1]
        exact: dict[str, int] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience), asyncio.TaskGroup() as asking:
                for repo in figures.busiest(told, self._most):
                    asking.create_task(self._count(repo, exact))
        return Reading(True, told, exact)

    async def _count(self, repo: str, waiters: dict[str, int]) -> None:
        """Enter how many wait. Where no answer comes, the Fleet's word serves."""
        semaphore = self._client.get_workflow_handle(names.semaphore_id(repo))
        # Idle for long, it is closed; then the Fleet knows that nobody waits.
        with contextlib.suppress(RPCError, WorkflowQueryFailedError):
            async with self._at_once:
                # None of the waiters by name: their number is enough.
                state: dict[str, Any] = await semaphore.query(
                    "state", args=[0], result_type=dict[str, Any]
                )
            waiters[repo] = int(state["waiting"])

    async def _answers(self) -> bool:
        """Whether Temporal is there, though the Fleet's worker may not be."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._client.service_client.check_health()
        except (RPCError, TimeoutError):
            return False
