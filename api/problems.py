"""Refusals as problem details (RFC 9457)."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    422: "Not valid",
    429: "Too many requests",
    503: "Not available",
}


class Problem(Exception):
    """An answer other than success; `retry_after` is in whole seconds."""

    def __init__(self, status: int, detail: str, *, retry_after: int = 0, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
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
    headers: dict[str, str] = {}
    if problem.retry_after:
        headers["Retry-After"] = str(problem.retry_after)
        body["retry_after_s"] = problem.retry_after
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        body, problem.status, headers=headers, media_type="application/problem+json"
    )


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """For FastAPI: a Problem raised anywhere."""
    if isinstance(error, Problem):
        return response(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return response(Problem(422, f"{where}: {first['msg']}" if where else first["msg"]))
    if isinstance(error, HTTPException):
        return response(Problem(error.status_code, str(error.detail)))
    return response(Problem(500, "an error of Penstock's own; the log has it"))
