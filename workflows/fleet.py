"""Fleet: divides the capacity among the repositories, and holds the mode and the limits."""

import asyncio
import contextlib
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import MaintenanceActivities
    from activities.workflows import Repos, WorkflowActivities
    from policy import allotment, explain, fleet, messages, names
    from policy.fleet import AuditEntry, CapacityChange, FleetState, ModeChange, Rebuild
    from policy.limits import InvalidLimits, Limits, LimitsChange, merge
    from policy.messages import Allot, Report
    from workflows.alarm import Alarm
    from workflows.options import HEARTBEAT, ONE_TRY, PATIENT, STOP_ALL
    from workflows.send import send

ALLOTS_AT_ONCE = 500  # Temporal allows 2,000 pending signals


@workflow.defn(name="Fleet")
class Fleet:
    """Sees each repository's demand, never a single job."""

    @workflow.init
    def __init__(self, state: FleetState) -> None:
        """`state` is fresh (mode and limits only) or carried over."""
        fleet.reopen(state)
        self._state = state
        self._inbox: list[Report] = []
        self._wishes: list[Rebuild] = []
        self._alarm = Alarm()
        self._dirty = True
        self._stop_runners = False
        self._stopping: asyncio.Task[None] | None = None
        self._shown = ""

    @workflow.run
    async def run(self, state: FleetState) -> None:
        """Hear, divide, say; for ever."""
        if not state.book.epoch:
            state.since = state.since or self._now()
            state.book.epoch = self._epoch()
            state.unmet = True
        self._show_mode()
        while True:
            self._dirty = False
            allots = state.unsaid + self._take_inbox()
            state.unsaid = []
            while self._wishes:
                allots = fleet.rebuild(state, self._wishes.pop(0), self._epoch(), self._now())
            if state.unmet:
                allots += await self._meet()
                state.unmet = False
            allots += fleet.rebalance(state, self._now())
            await self._deliver(allots)
            if self._stop_runners:
                self._stop_runners = False
                self._stopping = asyncio.create_task(self._stop_all())
            if self._may_continue_as_new():
                # From here on nothing is awaited: what comes later, the next run hears.
                state.unsaid = self._take_inbox()
                workflow.continue_as_new(fleet.close(state))
            self._alarm.set(fleet.next_wake(state, self._now()))
            await workflow.wait_condition(self._awake)

    @workflow.signal
    def report(self, report: Report) -> None:
        """A semaphore's word on its demand."""
        self._inbox.append(report)

    @workflow.signal
    def configure(self, limits: Limits) -> None:
        """The configuration file's limits, at each start of a worker."""
        self._dirty |= fleet.configure(self._state, limits, self._now())

    @workflow.signal
    def cool_down(self, org: str, until: float) -> None:
        """GitHub paused this organization: grant it nothing before then."""
        fleet.cool_down(self._state, org, until)
        self._dirty = True

    @workflow.signal
    def limit_capacity(self, change: CapacityChange) -> None:
        """Back-pressure: no more permits than this for now."""
        self._dirty |= fleet.set_effective(self._state, change)

    @workflow.signal
    def rebuild(self, wish: Rebuild | None = None) -> None:
        """An operator distrusts the book: ask every semaphore anew."""
        self._wishes.append(wish or Rebuild())
        self._dirty = True

    @workflow.signal
    def drain(self, change: ModeChange | None = None) -> None:
        """Take no new work; finish what is queued and running."""
        self._set_mode("draining", change)

    @workflow.signal
    def resume(self, change: ModeChange | None = None) -> None:
        """Take work again."""
        self._set_mode("normal", change)

    @workflow.signal
    def maintenance(self, change: ModeChange | None = None) -> None:
        """Take no new work and start none; what is queued is kept."""
        self._set_mode("maintenance", change)
        self._stop_runners |= change is not None and change.stop_running

    @workflow.query
    def status(self) -> dict[str, Any]:
        """Mode, limits and every repository's permits."""
        return fleet.status(self._state, self._now())

    @workflow.query
    def drain_status(self) -> dict[str, Any]:
        """What runs, what waits, and when it will have ended."""
        return fleet.drain_status(self._state, self._now())

    @workflow.query
    def holds(self, repo: str, position: int = 1) -> dict[str, Any]:
        """Which limit holds this repository's waiters now, and when the n-th may be served."""
        return explain.answer(self._state, repo, position, self._now())

    @workflow.query
    def carried(self) -> FleetState:
        """Mode, limits and the like; a Fleet begun after this one's end asks for them."""
        return fleet.heritage(self._state)

    @workflow.query
    def audit(self) -> list[AuditEntry]:
        """The changes that operators made, the oldest first; the last fifty are kept."""
        return self._state.audit

    @workflow.update
    def set_limits(self, change: LimitsChange) -> Limits:
        """Change limits, all or none; the answer is what holds now."""
        limits = merge(self._state.limits, change)
        fleet.set_limits(self._state, limits, self._now(), change.actor, change.reason)
        self._dirty = True
        return limits

    @set_limits.validator
    def _check_limits(self, change: LimitsChange) -> None:
        try:
            merge(self._state.limits, change)
        except InvalidLimits as error:
            raise ApplicationError(str(error), type="InvalidLimits", non_retryable=True) from None

    def _now(self) -> float:
        return workflow.now().timestamp()

    def _epoch(self) -> str:
        return messages.epoch(self._now(), workflow.info().run_id)

    def _awake(self) -> bool:
        return bool(self._inbox) or self._dirty or self._alarm.rang or self._may_continue_as_new()

    def _may_continue_as_new(self) -> bool:
        return (
            workflow.info().is_continue_as_new_suggested()
            and not self._busy_stopping()
            and not self._wishes
        )

    def _busy_stopping(self) -> bool:
        return self._stopping is not None and not self._stopping.done()

    def _set_mode(self, mode: str, change: ModeChange | None) -> None:
        fleet.set_mode(self._state, mode, change or ModeChange(), self._now())
        self._show_mode()  # at once: gateways read it to refuse from here on
        self._dirty = True

    def _show_mode(self) -> None:
        """Into the memo, where it can be read while no worker runs, and the Temporal UI."""
        state = self._state
        shown = f"{state.mode}: {state.reason}" if state.reason else state.mode
        if shown != self._shown:
            self._shown = shown
            workflow.upsert_memo(
                {"mode": state.mode, "since": state.since, "reason": state.reason}
            )
            workflow.set_current_details(shown)

    async def _meet(self) -> list[Allot]:
        """A Fleet without memory finds the semaphores that run, and asks them all."""
        found = await workflow.execute_activity_method(
            WorkflowActivities.list_semaphores,
            start_to_close_timeout=ONE_TRY,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
        )
        return [allotment.meet(self._state.book, repo) for repo in found.repos]

    def _take_inbox(self) -> list[Allot]:
        allots: list[Allot] = []
        for report in self._inbox:
            try:
                allots += allotment.receive(self._state.book, report)
            except allotment.RolledBack:
                # Also those that this book has never heard of: see `run`.
                allots = allotment.restart(self._state.book, self._epoch())
                self._state.unmet = True
        self._inbox.clear()
        return allots

    async def _deliver(self, allots: list[Allot]) -> None:
        missing: list[str] = []
        for start in range(0, len(allots), ALLOTS_AT_ONCE):
            batch = allots[start : start + ALLOTS_AT_ONCE]
            arrived = await asyncio.gather(
                *(send(names.semaphore_id(allot.repo), "allot", allot) for allot in batch)
            )
            missing += [allot.repo for allot, ok in zip(batch, arrived, strict=True) if not ok]
        if missing:
            # Terminated, or closed as idle a moment ago: revived, it says itself what it holds.
            await workflow.execute_activity_method(
                WorkflowActivities.ensure_semaphores,
                Repos(sorted(set(missing))),
                start_to_close_timeout=ONE_TRY,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=PATIENT,
            )

    async def _stop_all(self) -> None:
        """Beside the loop: whatever becomes of it, the fleet is governed on."""
        with contextlib.suppress(ActivityError):
            await workflow.execute_activity_method(
                MaintenanceActivities.stop_runners,
                start_to_close_timeout=STOP_ALL,
                heartbeat_timeout=HEARTBEAT,
                schedule_to_close_timeout=STOP_ALL,
                retry_policy=PATIENT,
            )
        self._dirty = True  # a continue-as-new that waited for this can go
