"""GET and PUT /admin/draining."""

from typing import Any

from fastapi import APIRouter, Depends

from api import readings
from api.access import Caller
from api.admin.gate import caller_of, record_of
from api.audit import Record
from api.fleet_client import FleetClient, FleetUnavailable
from api.mode import ModeWatch
from api.models.draining import DrainStatus, ModeBody
from api.problems import Problem
from policy.fleet import ModeChange


def add(routes: APIRouter, fleet: FleetClient, mode: ModeWatch) -> None:
    """The routes of this file."""

    @routes.get(
        "/draining",
        summary="Mode and time to drain",
        response_model=DrainStatus,
        response_model_exclude_unset=True,
    )
    async def get_draining() -> dict[str, Any]:
        """What runs, what waits, and when it will have ended."""
        return await readings.draining(fleet)

    @routes.put(
        "/draining",
        summary="Drain, resume, or stop for maintenance",
        response_model=DrainStatus,
        response_model_exclude_unset=True,
    )
    async def put_draining(
        body: ModeBody,
        caller: Caller = Depends(caller_of),
        record: Record = Depends(record_of),
    ) -> dict[str, Any]:
        """From every mode to every mode. Safe to repeat: the same again is no second change.

        `stop_running: true` is done each time it is said. 503: the change is not known to be in
        force; if the detail says that it was taken, it will be once a worker runs.
        """
        return await change(fleet, mode, body, caller.actor, record)


async def change(
    fleet: FleetClient, mode: ModeWatch, body: ModeBody, actor: str, record: Record
) -> dict[str, Any]:
    """What PUT /admin/draining does, and its answer. Raises FleetUnavailable, Problem."""
    record.what, record.why = f"mode {body.mode}", body.reason
    wish = ModeChange(
        reason=body.reason,
        deadline_seconds=float(body.deadline_seconds),
        stop_running=body.stop_running,
        actor=actor,
        on_deadline=body.on_deadline if body.mode == "draining" else "",
    )
    if not wish.stop_running:
        held = await _held(fleet, mode, body.mode, wish)
        if held is not None:
            record.result = "unchanged"
            return held
    await fleet.set_mode(body.mode, wish)
    try:
        answer = await fleet.drain_status()
    except FleetUnavailable as error:
        said = f"the change was taken and holds once the Fleet answers: {error}"
        raise Problem(503, said) from None
    await mode.reread()  # from now on this gateway refuses, or accepts
    return answer


async def _held(
    fleet: FleetClient, watch: ModeWatch, mode: str, change: ModeChange
) -> dict[str, Any] | None:
    """The Fleet's answer if all is as the change would have it, else None.

    The memo first: it is known though no worker runs, and a stop must not wait for one.
    """
    view = await watch.reread()
    if (view.mode, view.reason) != (mode, change.reason):
        return None
    try:
        answer = await fleet.drain_status()
    except FleetUnavailable:
        return None
    # A deadline that has passed is none that holds: the same again sets a new one.
    if change.deadline_seconds and not answer["deadline_at"]:
        return None
    ends = answer["on_deadline"] or "leave", change.on_deadline or "leave"
    held = (answer["mode"], answer["reason"], answer["deadline_seconds"], ends[0])
    return answer if held == (mode, change.reason, change.deadline_seconds, ends[1]) else None
