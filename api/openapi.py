"""The description of the whole interface: what every route may answer, and who may ask.

FastAPI describes each route's own; here is what many have in common. Every error is a problem
document, 429 and 503 say when to come back, and /admin and the webhook say how callers prove
who they are.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.models.problem import ProblemDetails
from api.problems import MEDIA_TYPE
from policy.iam import SCHEME

WHY = {
    400: "This is not HTTP as it should be, or not JSON",
    401: "No key, or one that is not known here",
    403: "The scope is too small, or nobody at all is let in",
    404: "There is no such thing",
    408: "The request did not arrive in time",
    409: "It cannot be done with this one",
    412: "The limits are no longer those of If-Match; the ETag of those in force comes along",
    413: "The body is too large",
    415: "The body is coded",
    422: "Something is not valid; the detail names it, and what it takes",
    428: "If-Match is wanted here (gateway.admin_require_if_match)",
    429: "Too many failed attempts from this address",
    431: "The headers are too large",
    503: "Draining, in maintenance, or a part does not answer",
}
ETAG = {"ETag": {"description": "Names these limits, for If-Match.", "schema": {"type": "string"}}}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
CHALLENGE = {
    "WWW-Authenticate": {
        "description": "How to prove who you are.",
        "required": True,
        "schema": {"type": "string"},
    }
}
HEADERS = {401: CHALLENGE, 412: ETAG, 429: RETRY_AFTER, 503: RETRY_AFTER}
EVERYWHERE = (400, 408, 413, 415, 431)  # docs/gateway.md
ADMIN_KEY: dict[str, Any] = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of `penstock admin-key create`. Scope `read` may GET, `operate` all.",
}
AWS_IDENTITY: dict[str, Any] = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": f"`{SCHEME} …`, a signed request of `penstock admin-key iam`.",
}
SIGNATURE: dict[str, Any] = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Hub-Signature-256",
    "description": "`sha256=` and the HMAC-SHA256 of the raw body, in hexadecimal.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's own errors, for its `responses`."""
    return {status: _problem(status) for status in statuses}


def describe(app: FastAPI, *, iam: bool) -> None:
    """Have the application describe itself so; worked out once. `iam`: AWS identities too."""

    def described() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _described(app, iam=iam)
        return app.openapi_schema

    app.openapi = described


def _described(app: FastAPI, *, iam: bool) -> dict[str, Any]:
    told = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    components = told.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = ProblemDetails.model_json_schema()
    schemes = {"AdminKey": ADMIN_KEY, "GitHubSignature": SIGNATURE}
    if iam:
        schemes["AwsIdentity"] = AWS_IDENTITY
    components["securitySchemes"] = schemes
    for path, operations in told["paths"].items():
        for operation in operations.values():
            operation["responses"].update({str(status): _problem(status) for status in EVERYWHERE})
            if path.startswith("/admin/"):
                _admin(operation, iam=iam)
            elif path.startswith("/webhooks/"):
                _webhook(operation)
            elif path == "/readyz":
                operation["responses"]["503"] = {"description": "Not ready; the status says why"}
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return told


def _admin(operation: dict[str, Any], *, iam: bool) -> None:
    """What every route behind the gate may answer (api/admin/gate.py)."""
    operation["security"] = [{"AdminKey": []}] + [{"AwsIdentity": []}] * iam
    common = [401, 403, 429, 503]
    if "requestBody" in operation or operation.get("parameters"):
        common.append(422)
    operation["responses"].update({str(status): _problem(status) for status in common})


def _webhook(operation: dict[str, Any]) -> None:
    """A payload of GitHub's is no matter of form: what Penstock cannot use is ignored, 200."""
    operation["security"] = [{"GitHubSignature": []}]
    operation["requestBody"] = {
        "required": True,
        "description": "The payload of the event, as GitHub signed it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    why = {401: "The signature is missing or wrong", 429: "Over a limit; come back later"}
    for status in (401, 429, 503):
        operation["responses"][str(status)] = _problem(status, why.get(status, ""))


def _problem(status: int, why: str = "") -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": why or WHY[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in HEADERS:
        described["headers"] = HEADERS[status]
    return described
