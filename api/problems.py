"""Refusals as problem details (RFC 9457)."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    412: "Precondition failed",
    413: "Body too large",
    415: "Not understood",
    422: "Not valid",
    428: "Precondition required",
    429: "Too many requests",
    431: "Headers too large",
    500: "Internal error",
    503: "Not available",
}
NOT_JSON = "the body is not JSON"
RETRY_AFTER_SECONDS = 5  # where nothing better is known


class Problem(Exception):
    """An answer other than success; `retry_after` is in whole seconds.

    429 and 503 always say when to come back.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: int = 0,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after or (RETRY_AFTER_SECONDS if status in (429, 503) else 0)
        self.headers = headers or {}
        self.more = more


def response(problem: Problem) -> JSONResponse:
    """The answer to send."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    headers = dict(problem.headers)
    if problem.retry_after:
        headers["Retry-After"] = str(problem.retry_after)
        body["retry_after_s"] = problem.retry_after
    if problem.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: a Problem raised anywhere, and what FastAPI itself refuses."""
    if isinstance(error, Problem):
        return response(error)
    if isinstance(error, RequestValidationError):
        return response(Problem(422, _told(error.errors()[0])))
    if isinstance(error, HTTPException):
        return response(_of_http(request, error))
    return response(Problem(500, "an error of Penstock's own; the log has it"))


def _told(error: dict[str, Any]) -> str:
    """The first thing that is not valid: where, and what it takes."""
    if error["type"] == "json_invalid":
        return NOT_JSON
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return said  # our own words: they name what they are about
    place = error["loc"][1:] if error["loc"][:1] == ("body",) else error["loc"]
    where = ".".join(str(part) for part in place)
    return f"{where}: {said}" if where else said


def _of_http(request: Request, error: HTTPException) -> Problem:
    if error.status_code == 400:  # FastAPI's word for a body that is not even text
        return Problem(422, NOT_JSON)
    if error.status_code == 404:
        return Problem(404, "there is no such path; /docs lists those that there are")
    if error.status_code == 405:
        methods = allowed(request.app, request.scope["path"])
        if not methods:  # a path that is not described
            return Problem(405, str(error.detail), headers=dict(error.headers or {}))
        said = f"{request.method} is not for this path; it takes {', '.join(methods)}"
        return Problem(405, said, headers={"Allow": ", ".join(methods)})
    return Problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))


def allowed(app: FastAPI, path: str) -> list[str]:
    """The methods that a path takes. FastAPI itself names those of one route of several alone."""
    methods: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]+\}", template))
        if re.fullmatch(pattern, path):
            methods.update(method.upper() for method in operations)
    return sorted(methods)
