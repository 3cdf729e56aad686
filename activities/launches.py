"""How this worker's launches go, told to the Fleet: it slows down while they fail."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping

from temporalio.client import Client
from temporalio.service import RPCError

from policy import figures, launches, names
from policy.gate import Budget
from policy.launches import MIN_SAMPLES, Allowance, Launches, Span

logger = logging.getLogger(__name__)

# Each word is a signal, which costs an action: at once when something fails, else once for so many
# launches as a rate needs (they only make the rate right). The first one is told too: it brings
# GitHub's limits along.
APART_SECONDS = 10.0


class LaunchLog:
    """Counts launches; `report` tells the Fleet beside the workers."""

    def __init__(
        self,
        worker: str,
        clock: Callable[[], float],
        budgets: Callable[[], Mapping[tuple[str, str], Budget]] = dict,
    ) -> None:
        """`worker` is this process's name, of its own; `budgets`: GitHub's limits as it knows."""
        self._worker = worker
        self._budgets = budgets
        self._first = True
        self._clock = clock
        self._spans: list[Span] = []
        self._untold = 0
        self._due = asyncio.Event()
        self.results: Counter[str] = Counter()  # since the worker began
        self.seconds: Counter[float] = Counter()  # of those that went well (policy/figures.py)

    def count(self, *, ok: bool, ordered_at: float | None = None) -> None:
        """One launch has ended, well or not; `ordered_at`: when it was asked for."""
        self.results["ok" if ok else "failed"] += 1
        if ordered_at is not None:
            self.seconds[figures.rounded(self._clock() - ordered_at)] += 1
        self._spans = launches.count(self._spans, self._clock(), ok=ok)
        self._untold += 1
        if not ok or self._untold >= MIN_SAMPLES or self._first:
            self._first = False
            self._due.set()

    async def report(self, client: Client, apart: float = APART_SECONDS) -> None:
        """Tell the Fleet whenever there is something to tell, until cancelled."""
        fleet = client.get_workflow_handle(names.FLEET_ID)
        while True:
            await self._due.wait()
            self._due.clear()
            self._untold = 0
            now = self._clock()
            told = Launches(self._worker, launches.recent(self._spans, now), self._allowances(now))
            try:
                await fleet.signal("launches", told)
            except RPCError as error:
                logger.warning("the Fleet cannot be told how launches go: %s", error)
                self._due.set()
            await asyncio.sleep(apart)

    def _allowances(self, now: float) -> list[Allowance]:
        return [
            Allowance(identity, resource, one.limit, one.remaining, one.reset, now)
            for (identity, resource), one in sorted(self._budgets().items())
        ]
