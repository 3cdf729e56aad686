"""Control of the surroundings: installations, PATs, webhook, faults, limits, clock, order."""

from typing import Any

from simulator.control.api import Control, ControlRoutes, bad
from simulator.state.model import Json, Scope
from simulator.state.queue import ORDERS
from simulator.web import Answer, ApiError, Request
from simulator.webhooks import events
from simulator.webhooks.hooks import Hook


def register(routes: ControlRoutes) -> None:
    """Add this file's paths."""
    routes.add("POST", "/_control/installations", installations)
    routes.add("POST", "/_control/pats", pats)
    routes.add("POST", "/_control/webhook", webhook)
    routes.add("POST", "/_control/hooks", add_hook)
    routes.add("POST", "/_control/hooks/{id}", change_hook)
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
    """Where the App's events go, and with which secret."""
    body, hook = request.json(), control.back.hooks.app
    _change(hook, body)
    if body.get("ping"):
        now = control.back.world.clock.now()
        ping = events.ping(hook.url, control.back.app.app_id, now)
        control.back.sender.emit("ping", ping)
    return Answer(200, {"url": hook.url})


def add_hook(control: Control, request: Request) -> Answer:
    """A webhook of a repository, or of an organization."""
    body, world = request.json(), control.back.world
    owner, repo, url = body.get("owner"), body.get("repo"), body.get("url")
    if not owner or not url:
        raise bad("owner and url are wanted")
    target = world.create_repository(str(owner), str(repo)) if repo else None
    hook = control.back.hooks.add(
        Scope.of(str(owner), str(repo) if repo else None),
        target.id if target else world.install(str(owner)).account_id,
        str(url),
        "",
    )
    _change(hook, body)
    return Answer(200, {"id": hook.id})


def change_hook(control: Control, request: Request) -> Answer:
    """Another address or secret for it, other events, or none."""
    number = request.params["id"]
    hook = control.back.hooks.find(int(number)) if number.isdecimal() else None
    if hook is None:
        raise ApiError(404, "no such hook")
    _change(hook, request.json())
    return Answer(200, {"id": hook.id})


def _change(hook: Hook, body: Json) -> None:
    hook.url = str(body.get("url", hook.url))
    hook.secret = str(body.get("secret", hook.secret))
    hook.active = bool(body.get("active", hook.active))
    wanted: list[Any] = body.get("events", hook.events)
    hook.events = [str(event) for event in wanted]


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
