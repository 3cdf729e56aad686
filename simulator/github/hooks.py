"""Webhooks and their deliveries: list, look, send again.

The App's by its JWT; a repository's or an organization's by an installation or a personal token.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.clock import stamp
from simulator.github.api import Call, Endpoint, Endpoints, not_found
from simulator.state.model import Json
from simulator.web import Answer, ApiError
from simulator.webhooks.delivery import Delivery
from simulator.webhooks.hooks import Hook

CURSOR = "v1_"
STATUSES = {"success": range(200, 400), "failure": range(400, 600)}
PREFIXES = (
    ("/repos/{owner}/{repo}/hooks", "repository_hooks"),
    ("/orgs/{org}/hooks", "organization_hooks"),
)


def register(routes: Endpoints) -> None:
    """Add this file's paths: the same ones for the App's webhook and for the others."""
    _add_log(routes, "/app/hook/deliveries", partial(Endpoint, callers=("app",)))
    for hooks, permission in PREFIXES:
        look = partial(Endpoint, needs=(permission, "read"))
        routes.add("GET", hooks, look(handler=list_hooks))
        routes.add("GET", f"{hooks}/{{hook}}", look(handler=get_hook))
        _add_log(routes, f"{hooks}/{{hook}}/deliveries", look)
        again = Endpoint(handler=redeliver, needs=(permission, "write"))
        routes.add("POST", f"{hooks}/{{hook}}/deliveries/{{id}}/attempts", again)
    again = Endpoint(handler=redeliver, callers=("app",))
    routes.add("POST", "/app/hook/deliveries/{id}/attempts", again)


def _add_log(routes: Endpoints, path: str, look: Callable[..., Endpoint]) -> None:
    routes.add("GET", path, look(handler=list_deliveries))
    routes.add("GET", f"{path}/{{id}}", look(handler=get_delivery))


def list_hooks(call: Call) -> Answer:
    """All webhooks of a repository or an organization; a bare list, paged."""
    made = call.back.hooks.of(call.scope())
    answer = call.page("hooks", [_view(call, hook) for hook in made])
    body: Any = answer.body
    return Answer(200, body["hooks"], answer.headers)


def get_hook(call: Call) -> Answer:
    """One of them."""
    return Answer(200, _view(call, _hook(call)))


def list_deliveries(call: Call) -> Answer:
    """Attempts, newest first, by cursor.

    `status` looks at the code alone: a timed-out attempt (code 0) is neither success nor failure.
    """
    query, hook = call.request.query, _hook(call)
    size = max(1, min(100, call.request.number("per_page", 30)))
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise ApiError(422, "Invalid status")
    page: list[Json] = []
    last = 0
    for index, one in call.back.log.newest_first(_position(query.get("cursor")), hook):
        if status is not None and one.status_code not in STATUSES[status]:
            continue
        if len(page) == size:
            more = {"next": {"cursor": f"{CURSOR}{last}"}}
            return Answer(200, page, call.link(more))
        page.append(one.view())
        last = index
    return Answer(200, page)


def get_delivery(call: Call) -> Answer:
    """One attempt with its request and response."""
    one = _delivery(call)
    detail = {
        "url": one.hook.url,
        "request": {"headers": one.request_headers, "payload": one.payload},
        "response": {"headers": one.response_headers, "payload": one.response_body},
    }
    return Answer(200, one.view() | detail)


def redeliver(call: Call) -> Answer:
    """Send an attempt's payload again: same guid, new id."""
    call.back.sender.redeliver(_delivery(call))
    return Answer(202, {})


def _view(call: Call, hook: Hook) -> Json:
    """A webhook as the API shows it."""
    path = call.request.path.removesuffix(f"/{hook.id}")
    own = f"{call.back.world.base_url}{path}/{hook.id}"
    shown: Json = {
        "type": hook.kind.capitalize(),
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": hook.config,
        "updated_at": stamp(hook.created_at),
        "created_at": stamp(hook.created_at),
        "url": own,
        "ping_url": f"{own}/pings",
        "deliveries_url": f"{own}/deliveries",
    }
    if hook.kind == "repository":
        shown |= {"test_url": f"{own}/test", "last_response": hook.last_response}
    return shown


def _hook(call: Call) -> Hook:
    if "hook" not in call.request.params:
        return call.back.hooks.app
    found = call.back.hooks.find(call.id("hook"))
    if found is None or found.scope != call.scope():
        raise not_found()
    return found


def _delivery(call: Call) -> Delivery:
    found = call.back.log.find(call.id("id"))
    if found is None or found.hook is not _hook(call):
        raise not_found()
    return found


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    number = cursor.removeprefix(CURSOR)
    if not number.isdecimal():
        raise ApiError(400, "Invalid cursor")
    return int(number)
