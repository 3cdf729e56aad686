"""The Temporal Schedule that runs the recovery: made, kept as configured, triggered."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from policy import captions, names
from policy.fleet import GATEWAYS_HEAR_SECONDS
from policy.recovery import Timetable

logger = logging.getLogger(__name__)

# A run that was missed is missed: the next one does its work.
CATCH_UP = timedelta(seconds=30)
NOTE = "pays refused and lost webhooks; now: penstock recover"


@dataclass(frozen=True)
class RecoveryInput:
    """How much one run may spend at GitHub on looking and tidying: a read costs 1, a write 5."""

    points: int = 60


async def ensure_schedule(client: Client, wanted: Timetable, *, dry_run: bool = False) -> str:
    """Make, change or delete the schedule; what was done, empty if it was as it should be.

    An operator who paused it finds it paused still. With `dry_run` it is only said.
    """
    handle = client.get_schedule_handle(names.RECOVERY_SCHEDULE)
    if dry_run:
        return await _lacking(client, handle, wanted)
    if not wanted.enabled:
        try:
            await handle.delete()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return ""
            raise
        return "deleted"
    try:
        await client.create_schedule(
            names.RECOVERY_SCHEDULE, _schedule(wanted, ScheduleState(NOTE))
        )
    except ScheduleAlreadyRunningError:
        if await _as_wanted(client, await handle.describe(), wanted):
            return ""
        await handle.update(lambda now: _changed(now, wanted))
        return "changed"
    return "made"


async def _lacking(client: Client, handle: ScheduleHandle, wanted: Timetable) -> str:
    """What `ensure_schedule` would do."""
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return "made" if wanted.enabled else ""
        raise
    if not wanted.enabled:
        return "deleted"
    return "" if await _as_wanted(client, found, wanted) else "changed"


async def trigger(client: Client) -> None:
    """Run it now, or right after the run that is under way. Raises RPCError."""
    handle = client.get_schedule_handle(names.RECOVERY_SCHEDULE)
    await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)


class ScheduleActivities:
    """For the Fleet, which cannot reach a schedule by itself."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name="trigger_recovery")
    async def trigger_recovery(self) -> None:
        """Pay what was refused, as soon as every gateway has heard that the mode is normal."""
        await asyncio.sleep(GATEWAYS_HEAR_SECONDS)
        try:
            await trigger(self._client)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            logger.info("there is no recovery to trigger: recovery.enabled is false")


def _schedule(wanted: Timetable, state: ScheduleState) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            names.RECOVERY,
            RecoveryInput(wanted.points),
            id=names.RECOVERY_ID,
            task_queue=names.TASK_QUEUE,
            static_summary=captions.RECOVERY.summary,
            static_details=captions.RECOVERY.details,
        ),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=timedelta(seconds=wanted.every_seconds))]
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=state,
    )


async def _as_wanted(client: Client, found: ScheduleDescription, wanted: Timetable) -> bool:
    """Whether the server's schedule differs in nothing that we set."""
    is_, should = found.schedule, _schedule(wanted, found.schedule.state)
    action = is_.action
    if not isinstance(action, ScheduleActionStartWorkflow) or len(action.args) != 1:
        return False
    (order,) = await client.data_converter.decode(list(action.args), [RecoveryInput])
    return (
        action.workflow == names.RECOVERY
        and action.id == names.RECOVERY_ID
        and action.task_queue == names.TASK_QUEUE
        and order == RecoveryInput(wanted.points)
        and [one.every for one in is_.spec.intervals]
        == [one.every for one in should.spec.intervals]
        and is_.policy == should.policy
    )


def _changed(now: ScheduleUpdateInput, wanted: Timetable) -> ScheduleUpdate:
    state = now.description.schedule.state
    return ScheduleUpdate(_schedule(wanted, state))
