"""What a request may be before anything looks at it: its size, its coding, its framing.

The body is read here, whole and within its cap, and only then does the application begin: nobody
behind this sees half a body, or one of unbounded size, however its length was declared.
"""

from collections import deque
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, response

WEBHOOKS = "/webhooks/"
SMALL_BYTES = 64 * 1024  # of every other route: an admin's change is a few lines
MOST_HEADERS = 100
PIECE_BYTES = 64 * 1024


class RequestCaps:
    """ASGI middleware: refuse what is too large or coded; `turned_away` hears why, in a word."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        webhook_bytes: int,
        header_bytes: int,
        turned_away: Callable[[str], None],
    ) -> None:
        self._app = app
        self._webhook_bytes = webhook_bytes
        self._header_bytes = header_bytes
        self._turned_away = turned_away

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then have the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        cap = self._webhook_bytes if path.startswith(WEBHOOKS) else SMALL_BYTES
        try:
            _check(scope, cap, self._header_bytes)
            body = await _read(receive, cap)
        except _Refused as refused:
            self._turned_away(refused.why)
            answer = response(refused.problem)
            if refused.problem.status == 415:
                answer.headers["Accept-Encoding"] = "identity"
            await answer(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _once(body, receive), send)


class _Refused(Exception):
    def __init__(self, status: int, detail: str, why: str) -> None:
        super().__init__(detail)
        self.problem = Problem(status, detail)
        self.why = why


def _check(scope: Scope, cap: int, header_bytes: int) -> None:
    """Refuse by the headers alone, before a byte of the body is read."""
    raw: list[tuple[bytes, bytes]] = scope["headers"]
    target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size = target + sum(len(name) + len(value) for name, value in raw)
    if len(raw) > MOST_HEADERS or size > header_bytes:
        raise _Refused(
            431, f"over {MOST_HEADERS} headers or {header_bytes} bytes of them", "headers"
        )
    headers = Headers(scope=scope)
    declared = headers.get("content-length", "")
    if declared and "transfer-encoding" in headers:
        # Two readers could see two bodies (RFC 9112, 6.3: request smuggling).
        raise _Refused(400, "give Content-Length or Transfer-Encoding, not both", "framing")
    coded = ",".join(headers.getlist("content-encoding")).strip().lower()
    if coded not in ("", "identity"):
        raise _Refused(415, "send the body as it is, without Content-Encoding", "coded")
    if declared.isdigit() and int(declared) > cap:
        raise _too_large(cap)


async def _read(receive: Receive, cap: int) -> deque[bytes] | None:
    """The whole body; None if the client is gone."""
    # In pieces of a size: one that grew would be copied, single bytes would cost forty each.
    pieces: deque[bytes] = deque()
    piece = bytearray()
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > cap:
            raise _too_large(cap)
        piece += part
        last = not message.get("more_body", False)
        if last or len(piece) >= PIECE_BYTES:
            pieces.append(bytes(piece))
            piece.clear()
        if last:
            return pieces


def _too_large(cap: int) -> _Refused:
    return _Refused(413, f"the body is over {cap} bytes", "body")


def _once(body: deque[bytes], receive: Receive) -> Receive:
    """The body that was read, then whatever the server says next."""

    async def again() -> Message:
        if not body:
            return await receive()
        piece = body.popleft()
        return {"type": "http.request", "body": piece, "more_body": bool(body)}

    return again
