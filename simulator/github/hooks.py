"""The App's webhook deliveries: list, look, send again. App JWT only."""

from simulator.github.api import Call, Endpoint, Endpoints, not_found
from simulator.state.model import Json
from simulator.web import Answer, ApiError
from simulator.webhooks.delivery import Delivery

CURSOR = "v1_"
STATUSES = {"success": range(200, 400), "failure": range(400, 600)}


def register(routes: Endpoints) -> None:
    """Add this file's paths."""
    app, path = ("app",), "/app/hook/deliveries"
    routes.add("GET", path, Endpoint(handler=list_deliveries, callers=app))
    routes.add("GET", f"{path}/{{id}}", Endpoint(handler=get_delivery, callers=app))
    routes.add("POST", f"{path}/{{id}}/attempts", Endpoint(handler=redeliver, callers=app))


def list_deliveries(call: Call) -> Answer:
    """Attempts, newest first, by cursor.

    `status` looks at the code alone: a timed-out attempt (code 0) is neither success nor failure.
    """
    query = call.request.query
    size = max(1, min(100, call.request.number("per_page", 30)))
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise ApiError(422, "Invalid status")
    page: list[Json] = []
    last = 0
    for index, one in call.back.log.newest_first(_position(query.get("cursor"))):
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
        "url": call.back.sender.url,
        "request": {"headers": one.request_headers, "payload": one.payload},
        "response": {"headers": one.response_headers, "payload": one.response_body},
    }
    return Answer(200, one.view() | detail)


def redeliver(call: Call) -> Answer:
    """Send an attempt's payload again: same guid, new id."""
    call.back.sender.redeliver(_delivery(call))
    return Answer(202, {})


def _delivery(call: Call) -> Delivery:
    found = call.back.log.find(call.id("id"))
    if found is None:
        raise not_found()
    return found


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    number = cursor.removeprefix(CURSOR)
    if not number.isdecimal():
        raise ApiError(400, "Invalid cursor")
    return int(number)
