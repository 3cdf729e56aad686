"""Control of the surroundings: installations, PATs, webhook, faults, limits, clock, order."""

from typing import Any

from simulator.control.api import Control, ControlRoutes, bad
from simulator.state.model import Json
from simulator.state.queue import ORDERS
from simulator.web import Answer, Request
from simulator.webhooks import events


def register(routes: ControlRoutes) -> None:
    """Add this file's paths."""
    routes.add("POST", "/_control/installations", installations)
    routes.add("POST", "/_control/pats", pats)
    routes.add("POST", "/_control/webhook", webhook)
    routes.add("POST", "/_control/faults", add_faults)
    routes.add("GET", "/_control/faults", list_faults)
    routes.add("DELETE", "/_control/faults", clear_faults)
    routes.add("DELETE", "/_control/faults/{id}", clear_faults)
    routes.add("POST", "/_control/limits", limits)
    routes.add("GET", "/_control/limits", limits)
    routes.add("POST", "/_control/assignment", assignment)
    routes.add("POST", "/_control/clock", clock)


def installations(control: Control, request: Request) -> Answer:
    """Install the App in an organization."""
    body = request.json()
    org = body.get("org")
    if not isinstance(org, str) or not org:
        raise bad("org is wanted")
    repositories: list[Any] | None = body.get("repositories")
    names = None if repositories is None else [str(name) for name in repositories]
    made = control.back.world.install(org, names, body.get("id"))
    return Answer(200, {"id": made.id, "org": made.org})


def pats(control: Control, request: Request) -> Answer:
    """Make a personal access token known."""
    body = request.json()
    org = body.get("org")
    installation = None if org is None else control.back.world.install(str(org))
    return Answer(
        200, {"token": control.back.tokens.register_pat(body.get("token"), installation)}
    )


def webhook(control: Control, request: Request) -> Answer:
    """Where events go, and with which secret."""
    body, sender = request.json(), control.back.sender
    sender.url = str(body.get("url", sender.url))
    sender.secret = str(body.get("secret", sender.secret))
    if body.get("ping"):
        now = control.back.world.clock.now()
        sender.emit("ping", events.ping(sender.url, control.back.app.app_id, now))
    return Answer(200, {"url": sender.url})


def add_faults(control: Control, request: Request) -> Answer:
    """Break something on purpose."""
    body = request.json()
    rules: list[Json] = body.get("rules", [body])
    try:
        return Answer(200, {"ids": [control.faults.add(rule).id for rule in rules]})
    except (ValueError, TypeError, AttributeError) as error:
        raise bad(str(error)) from None


def list_faults(control: Control, _request: Request) -> Answer:
    """The rules, and how often each has struck."""
    return Answer(200, {"rules": [rule.view() for rule in control.faults.rules]})


def clear_faults(control: Control, request: Request) -> Answer:
    """Delete one rule or all."""
    number = request.params.get("id")
    return Answer(200, {"deleted": control.faults.clear(None if number is None else int(number))})


def limits(control: Control, request: Request) -> Answer:
    """Change and show the limits."""
    found = control.back.world.limits
    try:
        found.change(request.json())
    except ValueError as error:
        raise bad(str(error)) from None
    return Answer(200, found.view())


def assignment(control: Control, request: Request) -> Answer:
    """In which order runners get queued jobs."""
    order = request.json().get("order")
    if order not in ORDERS:
        raise bad(f"order must be one of {', '.join(ORDERS)}")
    control.queue.order = str(order)
    return Answer(200, {"order": order})


def clock(control: Control, request: Request) -> Answer:
    """Move time on, or set how far GitHub's clock is from ours."""
    body, found = request.json(), control.back.world.clock
    found.offset += float(body.get("advance_seconds", 0))
    found.skew = float(body.get("skew_seconds", found.skew))
    control.changes.tell()
    return Answer(200, {"now": found.now(), "offset": found.offset, "skew": found.skew})
