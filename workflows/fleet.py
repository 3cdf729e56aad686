"""Fleet: divides the capacity among the repositories, and holds the mode and the limits."""

import asyncio
import contextlib
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import MaintenanceActivities
    from activities.recovery_schedule import ScheduleActivities
    from activities.workflows import Repos, WorkflowActivities
    from policy import allotment, captions, explain, fleet, gauges, names
    from policy.explain import InLine
    from policy.fleet import AuditEntry, CapacityChange, FleetState, ModeChange, Rebuild
    from policy.launches import Launches
    from policy.limits import (
        InvalidLimits,
        Limits,
        LimitsChange,
        LimitsMoved,
        after,
        check_match,
        merge,
    )
    from policy.messages import Allot, Report
    from workflows.alarm import Alarm
    from workflows.life import Life
    from workflows.options import HEARTBEAT, ONE_TRY, PATIENT, STOP_ALL
    from workflows.patches import (
        asks_for_the_lost,
        goes_on_without,
        lowers_the_busy,
        resume_recovers,
        signals_first,
        takes_back_by_use,
    )
    from workflows.send import send
    from workflows.upgrade import go_on, new_run_due

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
        self._life = Life()
        self._dirty = True
        self._stop_runners = False
        self._stopping: asyncio.Task[None] | None = None
        self._recover = False
        self._recovering: asyncio.Task[None] | None = None
        self._shown = ""
        # Asked here: a marker that a handler wrote would stand where that handler came.
        self._signals_first = signals_first()
        self._changes: list[LimitsChange] = []
        self._settling: asyncio.Task[None] | None = None
        self._stilling: list[asyncio.Task[None]] = []

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
            if self._life.was_reset:
                # The book has lost its newest pages: ask everybody before anything is raised.
                self._life.was_reset = False
                state.unsaid += allotment.restart(state.book, self._epoch())
                state.unmet = True
            allots = state.unsaid + self._take_inbox()
            state.unsaid = []
            while self._wishes:
                allots = fleet.rebuild(state, self._wishes.pop(0), self._epoch(), self._now())
            if state.unmet:
                allots += await self._meet()
                state.unmet = False
            self._heed_time()
            late = fleet.overdue(state, self._now())
            if late and goes_on_without():
                fleet.go_on_without(state, late)
            by_use = fleet.over_by_use_alone(state, self._now()) and takes_back_by_use()
            exact = fleet.over_in_use(state, self._now()) and lowers_the_busy()
            allots += fleet.rebalance(state, self._now(), by_use=by_use, exact=exact)
            await self._deliver(allots)
            if self._stop_runners:
                self._stop_runners = False
                self._stopping = asyncio.create_task(self._stop_all())
            if self._recover:
                self._recover = False
                if resume_recovers():
                    self._recovering = asyncio.create_task(self._trigger_recovery())
            if self._may_continue_as_new():
                # From here on nothing is awaited: what comes later, the next run hears.
                state.unsaid = self._take_inbox()
                go_on(fleet.close(state))
            workflow.set_current_details(captions.fleet_now(state))
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
    def launches(self, told: Launches) -> None:
        """A worker's word on how its launches went of late."""
        fleet.hear_launches(self._state, told)
        self._dirty = True

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
    def overview(self) -> dict[str, Any]:
        """The whole fleet in a few numbers; gateways ask for it once a second."""
        return fleet.overview(self._state, self._now())

    @workflow.query
    def gauges(self, estimate: bool = True) -> dict[str, Any]:
        """What workers make their metrics of; with the time to drain, which takes work."""
        return gauges.gauges(self._state, self._now(), estimate=estimate)

    @workflow.query
    def drain_status(self) -> dict[str, Any]:
        """What runs, what waits, and when it will have ended."""
        return fleet.drain_status(self._state, self._now())

    @workflow.query
    def holds(self, repo: str, position: int = 1) -> dict[str, Any]:
        """Which limit holds this repository's waiters now, and when the n-th may be served."""
        return explain.answer(self._state, repo, position, self._now())

    @workflow.query
    def holds_each(self, asked: list[InLine]) -> list[dict[str, Any]]:
        """The same for many places in line, in the order asked, for little more work than one."""
        return explain.answers(self._state, asked, self._now())

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
        if self._signals_first:
            self._changes.append(change)
            self._settle_soon()
            return self._limits()
        limits = merge(self._state.limits, change)
        fleet.set_limits(self._state, limits, self._now(), change.actor, change.reason)
        self._dirty = True
        return limits

    @set_limits.validator
    def _check_limits(self, change: LimitsChange) -> None:
        # Compared here, where no other change can come between: the gateway alone could not.
        try:
            limits = self._limits()
            check_match(limits, change)
            merge(limits, change)
        except LimitsMoved as error:
            raise ApplicationError(
                str(error), error.digest, type="LimitsMoved", non_retryable=True
            ) from None
        except InvalidLimits as error:
            raise ApplicationError(str(error), type="InvalidLimits", non_retryable=True) from None

    def _now(self) -> float:
        return workflow.now().timestamp()

    def _epoch(self) -> str:
        return self._life.epoch(self._now())

    def _awake(self) -> bool:
        return (
            bool(self._inbox)
            or self._dirty
            or self._life.was_reset
            or self._alarm.rang
            or self._may_continue_as_new()
        )

    def _may_continue_as_new(self) -> bool:
        return (
            new_run_due()
            and all(
                task is None or task.done()
                for task in (self._stopping, self._recovering, *self._stilling)
            )
            and not self._wishes
        )

    def _set_mode(self, mode: str, change: ModeChange | None) -> None:
        changed = fleet.set_mode(self._state, mode, change or ModeChange(), self._now())
        self._recover = mode == "normal" and (changed or self._recover)
        if self._signals_first:
            self._settle_soon()
        else:
            self._show_mode()
        self._dirty = True

    def _settle_soon(self) -> None:
        """Call `_settle` once all that came with this workflow task has been heard."""
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        """Do what must not wait for the loop; of signals and updates, the signals first.

        After a reset Temporal applies them again in the order in which they came; a replay of that
        hears all signals before the first update (sdk-core, temporalio 1.35). So in both cases a
        handler only takes notes, and the limits change and commands are made here. Where nothing
        is applied again, signals come first anyway.
        """
        for change in self._changes:
            limits = after(self._state.limits, [change])
            fleet.set_limits(self._state, limits, self._now(), change.actor, change.reason)
            self._dirty = True
        self._changes.clear()
        self._show_mode()  # not only in the next turn: gateways read it to refuse from here on
        if self._state.mode == "maintenance":
            # Beside the loop, which may wait for Temporal's list or a semaphore's start: as long
            # as they are not told, semaphores grant again what comes back to them.
            self._stilling = [task for task in self._stilling if not task.done()]
            self._stilling.append(asyncio.create_task(self._still()))

    async def _still(self) -> None:
        """Take every allotment back: maintenance grants nothing."""
        await self._deliver(fleet.rebalance(self._state, self._now()))
        self._dirty = True  # a continue-as-new that waited for this can go

    def _limits(self) -> Limits:
        """What will hold with the changes that are noted."""
        return after(self._state.limits, self._changes)

    def _heed_time(self) -> None:
        """What time alone brings: a drain's deadline, a healthy minute."""
        fleet.adapt(self._state, self._now())
        fleet.time_drain(self._state, self._now())
        if fleet.meet_deadline(self._state, self._now()):
            self._stop_runners = True
        self._show_mode()

    def _show_mode(self) -> None:
        """Into the memo, where it can be read while no worker runs, and the Temporal UI."""
        state = self._state
        shown = f"{state.mode}: {state.reason}" if state.reason else state.mode
        if shown != self._shown:
            self._shown = shown
            workflow.upsert_memo(fleet.memo(state))
            workflow.set_current_details(captions.fleet_now(state))

    async def _meet(self) -> list[Allot]:
        """A Fleet without memory finds the semaphores that run, and asks them all."""
        found = await workflow.execute_activity_method(
            WorkflowActivities.list_semaphores,
            start_to_close_timeout=ONE_TRY,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary="which semaphores run",
        )
        repos = found.repos
        lost = fleet.lost(self._state, repos)
        if lost and asks_for_the_lost():
            repos = [*repos, *lost]  # their first word finds nobody, and has them begun
        return [allotment.meet(self._state.book, repo) for repo in repos]

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
                summary=captions.some_of(missing),
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
                summary="every runner",
            )
        self._dirty = True  # a continue-as-new that waited for this can go

    async def _trigger_recovery(self) -> None:
        """Resumed: what was refused meanwhile is paid now, or else by the next run of its time."""
        with contextlib.suppress(ActivityError):
            await workflow.execute_activity_method(
                ScheduleActivities.trigger_recovery,
                start_to_close_timeout=ONE_TRY,
                heartbeat_timeout=HEARTBEAT,
                schedule_to_close_timeout=ONE_TRY,
                retry_policy=PATIENT,
                summary="resumed: pay what was refused",
            )
        self._dirty = True  # as above
