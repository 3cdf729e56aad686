"""The limits editor: a form of what holds, a look at what a change would do, then the change.

The look is `policy/preview.py` on the Fleet's present demand; the change is the admin interface's
own, with If-Match of the limits that the form showed.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from api.admin import limits
from api.fleet_client import FleetUnavailable, LimitsChanged, LimitsRefused
from api.models.base import LONGEST_REASON
from api.models.limits import LimitsBody
from api.page import guard
from api.page.guard import Form
from api.page.parts import Parts
from api.page.sessions import Session
from api.page.view import View
from policy.allocation import Demand, Snapshot
from policy.limits import InvalidLimits, Limits, difference, digest, merge, org_of
from policy.messages import Waiting
from policy.preview import Preview, preview
from policy.thresholds import Thresholds

ROWS_SHOWN = 60
EFFECTS_SHOWN = 60
MOVED = "somebody changed the limits meanwhile: here is what holds now; make your change again"


def add(routes: APIRouter, parts: Parts) -> None:
    """The routes of this file."""

    @routes.get("/page/limits")
    async def show(request: Request, q: str = "", done: str = "") -> Response:
        session = guard.session_of(request, parts.sessions)
        if session is None:
            return guard.see("/")
        return await _editor(parts, session, View.of(q, "1"), done=done == "1")

    @routes.post("/page/limits")
    async def look(request: Request) -> Response:
        session = guard.operator_of(request, parts.sessions)
        form = await guard.own_form(request, session)
        view = View.of(form("q"), "1")
        status = (await parts.feed.now()).status
        if status is None:
            return await _editor(parts, session, view, form=form)
        old = limits_of(status["limits"])
        if limits.etag(digest(status["limits"])) != form("etag"):
            return await _editor(parts, session, view, error=MOVED, status=412)
        try:
            body = body_of(form, old)
            new = merge(old, limits.change_of(body))
        except (InvalidLimits, ValueError) as error:
            return await _editor(parts, session, view, form=form, error=str(error))
        if new == old:
            said = "nothing is changed: these are the limits that hold"
            return await _editor(parts, session, view, form=form, error=said)
        text = parts.render(
            "limits_preview",
            session=session,
            view=view,
            etag=form("etag"),
            change=json.dumps(body.model_dump(exclude_unset=True)),
            said=difference(old, new).split(", "),
            effect=effect_of(status, old, new),
            most=EFFECTS_SHOWN,
            longest=LONGEST_REASON,
        )
        return guard.html(text)

    @routes.post("/page/limits/apply")
    async def apply(request: Request) -> Response:
        session = guard.operator_of(request, parts.sessions)
        with guard.audited(request, session) as record:
            form = await guard.own_form(request, session)
            view = View.of(form("q"), "1")
            try:
                told = LimitsBody.model_validate_json(form("change"))
                body = told.model_copy(update={"reason": form("reason")[:LONGEST_REASON]})
                tag = form("etag")
                await limits.change(parts.fleet, body, session.caller.actor, record, tag)
            except LimitsChanged:
                record.status, said = 412, MOVED
            except (ValidationError, LimitsRefused) as error:
                record.status, said = 422, f"the change was refused: {error}"
            except FleetUnavailable as error:
                record.status, said = 503, str(error)
            else:
                return guard.see("/page/limits?done=1")
            return await _editor(parts, session, view, error=said, status=record.status)


async def _editor(
    parts: Parts,
    session: Session,
    view: View,
    *,
    form: Form | None = None,
    error: str = "",
    status: int = 0,
    done: bool = False,
) -> Response:
    parts.feed.stale()  # what holds now, not a second ago
    reading = await parts.feed.now()
    told = reading.status
    shown: dict[str, Any] = {"trouble": reading.trouble, "rows": [], "orgs": [], "found": 0}
    if told is not None:
        held = told["limits"]
        rows = rows_of(told, view)
        shown |= {
            "limits": held,
            "etag": limits.etag(digest(held)),
            "rows": rows[:ROWS_SHOWN],
            "found": len(rows),
            "orgs": orgs_of(told)[:ROWS_SHOWN],
        }
    text = parts.render(
        "limits", session=session, view=view, error=error, done=done, form=form or Form({}),
        known=told is not None, **shown,
    )  # fmt: skip
    return guard.html(text, status or (422 if error else 200))


def rows_of(status: dict[str, Any], view: View) -> list[dict[str, Any]]:
    """Repositories known or limited: those with a limit of their own first, then who waits."""
    held = status["limits"]
    known = {one["repo"]: one for one in status["repos"]}
    names = {*known, *held["repos"], *held["weights"]}
    rows = [
        {
            "repo": name,
            "own": held["repos"].get(name),
            "weight": held["weights"].get(name),
            "running": known[name]["running"] if name in known else 0,
            "waiting": known[name]["waiting"] if name in known else 0,
        }
        for name in names
        if view.shows(name)
    ]
    return sorted(
        rows,
        key=lambda r: (r["own"] is None and r["weight"] is None, -r["waiting"], r["repo"]),
    )


def orgs_of(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Organizations known or limited, those with a limit first."""
    held = status["limits"]["orgs"]
    names = {*held, *(org_of(one["repo"]) for one in status["repos"])}
    rows = [{"org": name, "own": held.get(name)} for name in names]
    return sorted(rows, key=lambda row: (row["own"] is None, row["org"]))


def limits_of(told: dict[str, Any]) -> Limits:
    """The limits that status tells, as policy has them."""
    held: dict[str, Any] = {**told, "pressure": Thresholds(**told["pressure"])}
    return Limits(**held)


def body_of(form: Form, old: Limits) -> LimitsBody:
    """What the form changes, and nothing else. Raises ValueError with the field and the mend."""
    told: dict[str, Any] = {}
    for name in ("max_runners", "default"):
        _single(told, form, name, getattr(old, name), int)
    _single(told, form, "max_repo_share", old.max_repo_share, float)
    _table(told, form, "repos", dict(old.repos), int)
    _table(told, form, "weights", dict(old.weights), float)
    _table(told, form, "orgs", dict(old.orgs), int)
    try:
        return LimitsBody.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "[key]")
        raise ValueError(f"{where}: {first['msg']}") from None


def _single(
    told: dict[str, Any], form: Form, name: str, held: float, kind: Callable[[str], float]
) -> None:
    given = form(name)
    if name in form.fields and (value := _number(name, given, kind)) != held:
        if value is None:
            raise ValueError(f"{name}: it takes a number")
        told[name] = value


def _table(
    told: dict[str, Any],
    form: Form,
    name: str,
    held: dict[str, Any],
    kind: Callable[[str], float],
) -> None:
    """Fields `repos:acme/api`; an empty one unsets. `repos+name` and `repos+value` add one."""
    changed: dict[str, float | None] = {}
    for field in form.fields:
        table, colon, key = field.partition(":")
        if table == name and colon:
            value = _number(f"{name} {key}", form(field), kind)
            if value != held.get(key):
                changed[key] = value
    if new := form(f"{name}+name").lower():
        value = _number(f"{name} {new}", form(f"{name}+value"), kind)
        if value is None:
            raise ValueError(f"{name} {new}: say its limit")
        changed[new] = value
    if changed:
        told[name] = changed


def _number(name: str, given: str, kind: Callable[[str], float]) -> float | None:
    try:
        return kind(given) if given else None
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name}: {given[:40]!r} is not {what}") from None


def effect_of(status: dict[str, Any], old: Limits, new: Limits) -> Preview:
    """What the change does to the demand that status tells."""
    now = time.time()
    demands = [
        Demand(
            one["repo"],
            one["running"],
            [
                Waiting(g["priority"], g["count"], now - g["oldest_wait_seconds"])
                for g in one["waiting_by_priority"]
            ],
        )
        for one in status["repos"]
    ]
    return preview(old, new, Snapshot(old, status["capacity"], demands, status["cooling"]), now)
