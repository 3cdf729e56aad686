"""The buttons drain, resume and maintenance: a form that is confirmed, with a reason."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError

from api.admin import draining
from api.fleet_client import FleetUnavailable
from api.models.base import LONGEST_REASON
from api.models.draining import ModeBody
from api.page import guard
from api.page.guard import Form
from api.page.parts import Parts
from api.problems import Problem

VERBS = {"draining": "Drain", "normal": "Resume", "maintenance": "Maintenance"}
BODY: TypeAdapter[ModeBody] = TypeAdapter(ModeBody)


def add(routes: APIRouter, parts: Parts) -> None:
    """The routes of this file."""

    @routes.get("/page/mode")
    async def ask(request: Request, to: str = "draining") -> Response:
        session = guard.session_of(request, parts.sessions)
        if session is None:
            return guard.see("/")
        session = guard.operator_of(request, parts.sessions)
        if to not in VERBS:
            raise Problem(404, "there is no such mode")
        reading = await parts.feed.now()
        return guard.html(
            parts.render(
                "mode", session=session, to=to, verb=VERBS[to], reading=reading, form=Form({}),
                error="", most=LONGEST_REASON,
            )
        )  # fmt: skip

    @routes.post("/page/mode")
    async def change(request: Request) -> Response:
        session = guard.operator_of(request, parts.sessions)
        with guard.audited(request, session) as record:
            form = await guard.own_form(request, session)
            to = form("to")
            if to not in VERBS:
                raise Problem(404, "there is no such mode")
            status = 422
            try:
                body = body_of(form)
                await draining.change(parts.fleet, parts.mode, body, session.caller.actor, record)
            except ValueError as error:
                said = str(error)
            except FleetUnavailable as error:
                said, status = str(error), 503
            else:
                parts.feed.stale()
                return guard.see("/")
            record.status = status
            reading = await parts.feed.now()
            text = parts.render(
                "mode", session=session, to=to, verb=VERBS[to], reading=reading, form=form,
                error=said, most=LONGEST_REASON,
            )  # fmt: skip
            return guard.html(text, status)


def body_of(form: Form) -> ModeBody:
    """The change that a form asks for, as PUT /admin/draining takes it. Raises ValueError."""
    told: dict[str, Any] = {"mode": form("to"), "reason": form("reason")}
    if not told["reason"]:
        raise ValueError("say why: the reason is kept in the audit trail")
    if form("to") == "draining" and (minutes := form("minutes")):
        try:
            told["deadline_seconds"] = 60.0 * float(minutes)
        except ValueError:
            raise ValueError("the deadline is a number of minutes") from None
        told["on_deadline"] = form("on_deadline") or "leave"
    if form("to") == "maintenance":
        told["stop_running"] = form("stop_running") == "yes"
    try:
        return BODY.validate_python(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][-1]) if first["loc"] else ""
        said = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {said}" if first["type"] != "value_error" else said) from None
