"""The gate before /admin: who asks is known before anything of the request is understood.

An ASGI middleware, for FastAPI parses a body before it asks a dependency. Every route behind it
asks for its caller (`caller`), so that none is open if the gate should ever miss a path.
"""

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access, Caller, address_of
from api.audit import Record
from api.problems import Problem, response
from policy.access import READING

CALLER, RECORD = "admin_caller", "admin_record"


class AdminGate:
    """Lets known callers through to what their scope is enough for, and writes the audit line."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not f"{scope['path']}/".startswith("/admin/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        method = request.method
        record = Record(address_of(request), f"{method} {request.url.path}", status=500)
        request.scope.setdefault("state", {})[RECORD] = record

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        try:
            try:
                await self._let_in(request, record)
            except Problem as problem:
                await response(problem)(scope, receive, noted)
                return
            await self._app(scope, receive, noted)
        finally:
            if method not in READING or record.status in (401, 403):
                record.write()

    async def _let_in(self, request: Request, record: Record) -> None:
        caller = await self._access.identify(request)
        record.actor, record.key, record.scope = caller.actor, caller.name, caller.scope
        self._access.check(caller, request.method)
        request.scope["state"][CALLER] = caller


def caller_of(request: Request) -> Caller:
    """A dependency: whom the gate let in. Raises Problem 401 if it never saw the request."""
    found = request.scope.get("state", {}).get(CALLER)
    if not isinstance(found, Caller):
        raise Problem(401, "give an admin key: Authorization: Bearer KEY")
    return found


def record_of(request: Request) -> Record:
    """A dependency: the audit line to be, for the route to say what it does and why."""
    record: Record = request.scope["state"][RECORD]
    return record
