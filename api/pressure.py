"""The fleet's load as this gateway sees it, and its word on a new job.

The Fleet is asked about once a second, in the background: no webhook waits for the answer. What
this gateway has accepted or is accepting is counted on top, less what it saw begin, so that a
burst between two answers meets the same bounds. The Fleet hears of a job a moment after the
gateway took it: so every answer of the last two seconds is moved on like that, and the greatest
counts.
Each gateway has levels of its own; they follow the same signals.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from policy import launches, names, pressure
from policy.launches import Span
from policy.limits import Limits
from policy.pressure import Level, NewJob, Pressure, Refusal, Signals
from policy.thresholds import Thresholds

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
HEARD_SECONDS = 2.0  # within which the Fleet knows what a gateway has accepted
STALE_SECONDS = 5.0  # older than this, a webhook does wait for the answer
APART_SECONDS = 0.1  # between two questions, however many jobs come
ASK_SECONDS = 2.0
REFRESH_AT = 10  # of the queue's threshold, the part accepted since that makes us ask anew
TEMPORAL_RETRY_SECONDS = 30.0
OPEN_JOBS = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"


@dataclass(frozen=True)
class Snapshot:
    """The Fleet's answer, or the best that is known without it (`degraded`)."""

    thresholds: Thresholds
    signals: Signals
    spans: tuple[Span, ...] = ()
    asked_at: float = -STALE_SECONDS  # monotonic
    accepted: int = 0  # by this gateway, until it was asked; and what had begun by then
    begun: int = 0
    degraded: bool = False


class PressureWatch:
    """Decides on new jobs; what frees capacity is never brought here."""

    def __init__(
        self,
        client: Client,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        changed: Callable[[str, bool], None] = lambda _trigger, _up: None,
    ) -> None:
        """`limits` are the configuration's, until the Fleet tells its own.

        `changed` hears of each trigger that goes up or down.
        """
        self._client = client
        self._clock = clock
        self._chance = chance
        self._changed = changed
        first = Snapshot(limits.pressure, Signals(max_runners=limits.max_runners))
        self._snapshots = deque([first])  # the newest last
        self._accepted = 0
        self._begun = 0
        self._entering = 0  # let in, and not durable yet
        self._levels = Pressure()
        self._asking: asyncio.Task[None] | None = None

    async def refusal(self, job: NewJob) -> Refusal | None:
        """Why a new job is refused now; None if it is to be accepted."""
        await self._keep_fresh()
        signals, thresholds, now = self.signals(), self._snapshot.thresholds, self._clock()
        self._observe(signals, now)
        return pressure.refusal(self._levels, signals, thresholds, job, now)

    @contextmanager
    def entering(self) -> Generator[None]:
        """Around the start of a new job that was not refused: it counts from now on."""
        self._entering += 1
        try:
            yield
        finally:
            self._entering -= 1

    def accepted(self) -> None:
        """A new job was accepted here."""
        self._accepted += 1

    def begun(self) -> None:
        """A job waits no longer: GitHub's event came here."""
        self._begun += 1

    def retry_after(self, cause: str, seconds: float = 0.0) -> int:
        """The header's value for a refusal: of `seconds`, or of a mode by its name."""
        signals = self.signals()
        if cause == "draining":
            seconds = pressure.until_drained(signals, signals.running + signals.waiting)
        elif cause == "maintenance":
            seconds = pressure.LONGEST_RETRY_SECONDS
        elif cause == "temporal":
            seconds = TEMPORAL_RETRY_SECONDS
        return pressure.retry_after(seconds, self._chance())

    def signals(self) -> Signals:
        """The Fleet's last word and what came here since."""
        known = self._snapshot
        moved = self._accepted - self._begun
        waiting = max(
            view.signals.waiting + moved - (view.accepted - view.begun) for view in self._snapshots
        )
        since = self._clock() - launches.WINDOW_SECONDS
        counted = launches.tally(known.spans, since)
        waiting = max(0, waiting) + self._entering
        return replace(known.signals, waiting=waiting, launches=counted)

    @property
    def _snapshot(self) -> Snapshot:
        return self._snapshots[-1]

    def _keep(self, snapshot: Snapshot) -> None:
        self._snapshots.append(snapshot)
        while self._snapshots[0].asked_at < snapshot.asked_at - HEARD_SECONDS:
            self._snapshots.popleft()

    @property
    def degraded(self) -> bool:
        """Whether the Fleet did not answer when it was last asked."""
        return self._snapshot.degraded

    async def view(self) -> dict[str, Any]:
        """Each trigger with its load, as a multiple of its threshold: for operators."""
        await self._keep_fresh()
        signals, thresholds = self.signals(), self._snapshot.thresholds
        self._observe(signals, self._clock())
        loads = pressure.loads(signals, thresholds)
        return {
            **asdict(thresholds),
            "degraded": self.degraded,
            "running": signals.running,
            "waiting": signals.waiting,
            "launches": asdict(signals.launches),
            "throttled": dict(signals.cooling),
            "triggers": {
                trigger: {
                    "up": level.up,
                    "since": level.since if level != Level() else None,
                    "load": round(min(loads[trigger], 1e6), 3),
                }
                for trigger, level in self._levels.levels.items()
            },
        }

    def _observe(self, signals: Signals, now: float) -> None:
        self._levels = pressure.observe(self._levels, signals, self._snapshot.thresholds, now)
        for trigger in self._levels.changed:
            up = self._levels.up(trigger)
            load = pressure.loads(signals, self._snapshot.thresholds)[trigger]
            logger.warning(
                "pressure: %s %s, %.2f of its threshold", trigger, "up" if up else "down", load
            )
            self._changed(trigger, up)

    async def _keep_fresh(self) -> None:
        age = time.monotonic() - self._snapshot.asked_at
        since = self._accepted + self._entering - self._snapshot.accepted
        crowd = since > self._snapshot.thresholds.max_queue_depth / REFRESH_AT
        wanted = age > FRESH_SECONDS or (crowd and age > APART_SECONDS)
        if wanted and self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        if age > STALE_SECONDS and self._asking:
            await asyncio.shield(self._asking)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled() and (error := task.exception()):
            logger.error("the fleet's load cannot be read: %r", error)

    async def _ask(self) -> None:
        now = replace(
            self._snapshot,
            asked_at=time.monotonic(),
            accepted=self._accepted,
            begun=self._begun,
            degraded=False,
        )
        try:
            async with asyncio.timeout(ASK_SECONDS):
                told: dict[str, Any] = await self._client.get_workflow_handle(
                    names.FLEET_ID
                ).query("overview", result_type=dict[str, Any])
        except (RPCError, TimeoutError, WorkflowQueryFailedError):
            self._keep(await self._without_fleet(now))
            return
        signals = Signals(
            running=int(told["running"]),
            waiting=int(told["waiting"]),
            max_runners=int(told["max_runners"]),
            completions_per_second=float(told["completions_per_second"]),
            cooling={str(org): float(until) for org, until in told["cooling"].items()},
        )
        thresholds = Thresholds(
            str(told["strategy"]),
            int(told["max_queue_depth"]),
            float(told["max_concurrency_percent"]),
            float(told["max_error_rate"]),
        )
        spans = tuple(Span(**span) for span in told["launches"])
        self._keep(replace(now, thresholds=thresholds, signals=signals, spans=spans))

    async def _without_fleet(self, asked: Snapshot) -> Snapshot:
        """No worker answers: Temporal itself counts the open jobs. Work is accepted on."""
        signals = asked.signals
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._client.count_workflows(OPEN_JOBS)
        except (RPCError, TimeoutError):
            pass  # Temporal is down: what is to be accepted fails by itself
        else:
            signals = replace(signals, waiting=max(0, found.count - signals.running))
        return replace(asked, signals=signals, asked_at=time.monotonic(), degraded=True)
