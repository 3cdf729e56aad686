"""Requests, answers and routes, as little as needed: this must not be the bottleneck."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from simulator.state.model import Json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

H = TypeVar("H")

DOCS = "https://docs.github.com/rest"


@dataclass(slots=True)
class Request:
    """One request, its body read; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    params: dict[str, str] = field(default_factory=dict[str, str])

    def json(self) -> Json:
        """The body as an object, {} when empty; ApiError 400 as GitHub words it."""
        if not self.body.strip():
            return {}
        try:
            value: object = json.loads(self.body)
        except ValueError:
            raise ApiError(400, "Problems parsing JSON") from None
        if not isinstance(value, dict):
            raise ApiError(400, "Body should be a JSON object")
        return {str(key): item for key, item in value.items()}  # type: ignore[misc]

    def bearer(self) -> str:
        """The credential of the Authorization header, or ''."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() in ("bearer", "token") else ""

    def number(self, name: str, default: int) -> int:
        """A query parameter that is a number; the default when it is none."""
        value = self.query.get(name, "")
        return int(value) if value.isdecimal() else default


@dataclass(slots=True)
class Answer:
    """A status and a JSON body (None: empty)."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


class ApiError(Exception):
    """An answer that is not a success; `message` and `documentation_url` as GitHub shapes them."""

    def __init__(
        self, status: int, message: str, docs: str = DOCS, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.docs = docs
        self.headers = headers or {}

    def answer(self) -> Answer:
        body = {
            "message": self.message,
            "documentation_url": self.docs,
            "status": str(self.status),
        }
        return Answer(self.status, body, self.headers)


class Routes(Generic[H]):
    """Paths with {names} in them; `H` is what a path leads to."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[str, int], list[tuple[str, list[str], H]]] = {}

    def add(self, method: str, template: str, handler: H) -> None:
        """Register a path; earlier ones win."""
        parts = template.strip("/").split("/")
        self._by_size.setdefault((method, len(parts)), []).append((template, parts, handler))

    def match(self, method: str, path: str) -> tuple[str, H, dict[str, str]] | None:
        """The template, what it leads to, and the names' values."""
        given = path.strip("/").split("/")
        for template, parts, handler in self._by_size.get((method, len(given)), ()):
            params: dict[str, str] = {}
            for part, value in zip(parts, given, strict=True):
                if part[0] == "{":
                    params[part[1:-1]] = value
                elif part != value:
                    break
            else:
                return template, handler, params
        return None


async def read(scope: Scope, receive: Receive) -> Request:
    """Take a request from ASGI."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
        body=body,
    )


async def write(send: Send, answer: Answer) -> None:
    """Give an answer to ASGI."""
    body = b"" if answer.body is None else json.dumps(answer.body, separators=(",", ":")).encode()
    headers = [
        (name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()
    ]
    if answer.body is not None:
        headers.append((b"content-type", b"application/json; charset=utf-8"))
    if answer.status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
