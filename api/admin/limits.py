"""GET and PATCH /admin/limits, with optimistic concurrency (RFC 9110, section 13)."""

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response

from api import readings
from api.access import Caller
from api.admin.gate import caller_of, record_of
from api.audit import Record
from api.fleet_client import FleetClient, LimitsChanged
from api.models.limits import LimitsAnswer, LimitsBody
from api.openapi import ETAG, problems
from api.problems import Problem
from policy.limits import LimitsChange, digest
from policy.thresholds import ThresholdsChange

_TAG = re.compile(r'(W/)?"([^"]*)"')
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        max_length=1000,
        description="The ETag of the limits that the change was made for; `*` for any.",
    ),
]


def etag(digest_: str) -> str:
    """The digest as a strong entity tag."""
    return f'"{digest_}"'


def add(routes: APIRouter, fleet: FleetClient, *, require_if_match: bool) -> None:
    """The routes of this file. `require_if_match`: no change without saying of which limits."""

    @routes.get(
        "/limits",
        summary="The limits in force",
        response_model=LimitsAnswer,
        response_model_exclude_unset=True,
        responses={200: {"headers": ETAG}},
    )
    async def get_limits(response: Response) -> dict[str, Any]:
        """With an ETag that names them, for If-Match of a change."""
        limits, response.headers["ETag"] = await read(fleet)
        return limits

    @routes.patch(
        "/limits",
        summary="Change limits, all or none",
        response_model=LimitsAnswer,
        response_model_exclude_unset=True,
        responses={200: {"headers": ETAG}, **problems(412, 428)},
    )
    async def patch_limits(
        body: LimitsBody,
        response: Response,
        if_match: IfMatch = "",
        caller: Caller = Depends(caller_of),
        record: Record = Depends(record_of),
    ) -> dict[str, Any]:
        """What is left out stays; null unsets. In force at once; nothing that runs is revoked.

        With If-Match the change is made only if the limits are still those of that ETag, and 412
        (with the ETag of those in force) says that they are not: nobody's change is overwritten
        unseen. Without it the change goes through, unless `gateway.admin_require_if_match` is
        set (428). Safe to repeat: what is in force already is no change.
        """
        if not if_match and require_if_match:
            record.what, record.why = f"limits {_said(body)}", body.reason
            raise Problem(428, "say If-Match: the ETag of GET /admin/limits, or *")
        limits = await change(fleet, body, caller.actor, record, if_match)
        response.headers["ETag"] = etag(digest(limits))
        return limits


async def read(fleet: FleetClient) -> tuple[dict[str, Any], str]:
    """What GET /admin/limits answers, and its ETag. Raises FleetUnavailable."""
    limits = await readings.limits(fleet)
    return limits, etag(digest(limits))


async def change(
    fleet: FleetClient, body: LimitsBody, actor: str, record: Record, if_match: str = ""
) -> dict[str, Any]:
    """What PATCH /admin/limits does, and its answer.

    Raises FleetUnavailable, LimitsRefused, LimitsChanged.
    """
    record.what, record.why = f"limits {_said(body)}", body.reason
    wish = change_of(body, actor)
    if if_match not in ("", "*"):
        wish.if_match = await _expected(fleet, if_match)
    return asdict(await fleet.set_limits(wish))


def change_of(body: LimitsBody, actor: str = "") -> LimitsChange:
    """The change as policy wants it."""
    given = body.model_dump()
    pressure = ThresholdsChange(**given.pop("pressure"))
    return LimitsChange(**given, pressure=pressure, actor=actor)


async def _expected(fleet: FleetClient, if_match: str) -> str:
    """The digest that the Fleet must still have; the Fleet compares again as it changes them."""
    # A weak tag never matches: If-Match compares strongly (RFC 9110, section 13.1.1).
    tags = [tag for weak, tag in _TAG.findall(if_match) if not weak]
    if len(tags) == 1 and tags[0]:
        return tags[0]
    held = digest(await readings.limits(fleet))
    if held not in tags:
        raise LimitsChanged("If-Match names none of the limits in force", held)
    return held


def _said(body: LimitsBody) -> str:
    """The change in a few words."""
    told = body.model_dump(exclude_unset=True, exclude={"reason"})
    return ", ".join(f"{name} {value}" for name, value in told.items()) or "nothing"
