"""Schemas and examples that Octokit publishes on npm, fetched once into .npm-fixtures/."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.helpers import ROOT

CACHE = ROOT / ".npm-fixtures"
SCHEMAS = "@octokit/webhooks-schemas@7.6.1"
EXAMPLES = "@octokit/webhooks-examples@7.6.1"
OPENAPI = "@octokit/openapi@23.0.2"
FETCH_SECONDS = 100

REPO, ORG = "/repos/{owner}/{repo}/actions", "/orgs/{org}/actions"
RUNNERS = (
    ("post", "/registration-token", "201"),
    ("post", "/generate-jitconfig", "201"),
    ("get", "", "200"),
    ("get", "/{runner_id}", "200"),
)
HOOKS = ("/repos/{owner}/{repo}/hooks", "/orgs/{org}/hooks")
DELIVERIES = "/{hook_id}/deliveries"
#: What the simulator answers and the description must cover: method, path, status.
OPERATIONS = (
    ("get", "/app", "200"),
    ("get", "/orgs/{org}/installation", "200"),
    ("get", "/repos/{owner}/{repo}/installation", "200"),
    ("post", "/app/installations/{installation_id}/access_tokens", "201"),
    ("get", "/rate_limit", "200"),
    ("get", "/app/hook/deliveries", "200"),
    ("get", "/app/hook/deliveries/{delivery_id}", "200"),
    *(
        ("get", f"{hooks}{path}", "200")
        for hooks in HOOKS
        for path in ("", "/{hook_id}", DELIVERIES, f"{DELIVERIES}/{{delivery_id}}")
    ),
    *((method, f"{REPO}/runners{path}", status) for method, path, status in RUNNERS),
    *((method, f"{ORG}/runners{path}", status) for method, path, status in RUNNERS),
    ("get", f"{ORG}/runner-groups", "200"),
    ("get", f"{REPO}/jobs/{{job_id}}", "200"),
    ("get", f"{REPO}/runs", "200"),
    ("get", f"{REPO}/runs/{{run_id}}", "200"),
    ("get", f"{REPO}/runs/{{run_id}}/jobs", "200"),
)


def webhook_schemas() -> dict[str, Any]:
    """The draft-07 schemas of all events."""
    return _cached("webhooks-schemas.json", SCHEMAS, "package/schema.json", lambda whole: whole)


def job_examples() -> list[dict[str, Any]]:
    """The workflow_job examples."""

    def pick(whole: Any) -> list[Any]:
        return next(one["examples"] for one in whole if one["name"] == "workflow_job")

    return _cached("workflow-job.json", EXAMPLES, "package/api.github.com/index.json", pick)


def answers() -> dict[str, Any]:
    """One JSON schema for all: `operations` by `METHOD path`, `components` they refer to."""
    name = f"openapi-{_digest(OPERATIONS)}.json"
    return _cached(name, OPENAPI, "package/generated/api.github.com.json", extract)


#: What our client asks: method, path.
ASKED = (
    ("get", "/app"),
    ("get", "/app/installations"),
    ("get", "/app/hook/config"),
    *(
        (method, f"{hook}/deliveries{path}")
        for hook in ("/app/hook", *(f"{hooks}/{{hook_id}}" for hooks in HOOKS))
        for method, path in (
            *(("get", ""), ("get", "/{delivery_id}")),
            ("post", "/{delivery_id}/attempts"),
        )
    ),
    *(("get", hooks) for hooks in HOOKS),
    ("get", "/user"),
    ("get", "/rate_limit"),
    ("get", "/repos/{owner}/{repo}/installation"),
    ("post", "/app/installations/{installation_id}/access_tokens"),
    *(
        (method, f"{base}/runners{path}")
        for base in (REPO, ORG)
        for method, path in (
            *(("post", "/registration-token"), ("post", "/generate-jitconfig")),
            *(("get", ""), ("get", "/{runner_id}"), ("delete", "/{runner_id}")),
        )
    ),
    ("get", f"{ORG}/runner-groups"),
    ("get", f"{REPO}/jobs/{{job_id}}"),
    ("get", f"{REPO}/runs"),
    ("get", f"{REPO}/runs/{{run_id}}/jobs"),
    ("get", "/orgs/{org}/installation"),
)


def questions() -> dict[str, Any]:
    """By `METHOD path`: `query` names, `body` schema, `answers` by status; and `components`."""
    name = f"openapi-asked-{_digest(ASKED)}.json"
    return _cached(name, OPENAPI, "package/generated/api.github.com.json", asked)


def asked(whole: dict[str, Any]) -> dict[str, Any]:
    """Keep what our client asks, with the bodies of requests and answers as JSON schemas."""
    operations: dict[str, Any] = {}
    wanted: list[str] = []
    for method, path in ASKED:
        operation = whole["paths"][path][method]
        parameters = [_resolve(whole, one) for one in operation.get("parameters", [])]
        body = _resolve(whole, operation.get("requestBody", {}))
        answers: dict[str, Any] = {}
        for status, response in operation["responses"].items():
            content = _resolve(whole, response).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            if (path, status) == ("/app/installations", "200"):
                # Its `account` is described as a user and an enterprise at once; elsewhere as one.
                schema = {"type": "array", "items": {"$ref": "#/components/schemas/installation"}}
            answers[status] = None if schema is None else _as_schema(schema, wanted)
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        operations[f"{method} {path}"] = {
            "query": [one["name"] for one in parameters if one["in"] == "query"],
            "body": None if schema is None else _as_schema(schema, wanted),
            "answers": answers,
        }
    return {"operations": operations, "components": {"schemas": _components(whole, wanted)}}


def extract(whole: dict[str, Any]) -> dict[str, Any]:
    """Keep the operations above, and what they refer to, as JSON schemas."""
    operations: dict[str, Any] = {}
    wanted: list[str] = []
    for method, path, status in OPERATIONS:
        response = whole["paths"][path][method]["responses"][status]
        content = _resolve(whole, response)["content"]["application/json"]
        operations[f"{method} {path}"] = _as_schema(content["schema"], wanted)
    return {"operations": operations, "components": {"schemas": _components(whole, wanted)}}


def _components(whole: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """The named schemas, and those that they refer to."""
    kept: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = None
            kept[name] = _as_schema(whole["components"]["schemas"][name], wanted)
    return kept


def _as_schema(part: Any, wanted: list[str]) -> Any:
    """OpenAPI 3.0 to JSON schema: `nullable` is the difference that matters here."""
    if isinstance(part, list):
        return [_as_schema(one, wanted) for one in part]
    if not isinstance(part, dict):
        return part
    if isinstance(part.get("$ref"), str):
        wanted.append(part["$ref"].rsplit("/", 1)[1])
    made = {
        key: _as_schema(value, wanted)
        for key, value in part.items()
        if key not in ("example", "examples", "description", "nullable")
    }
    return {"anyOf": [made, {"type": "null"}]} if part.get("nullable") is True else made


def _resolve(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = whole
    for name in part["$ref"].split("/")[1:]:
        found = found[name]
    return found


def _digest(wanted: tuple[tuple[str, ...], ...]) -> str:
    """A part of what is published is kept for as long as it is the part that is wanted."""
    return hashlib.sha256(repr((OPENAPI, wanted)).encode()).hexdigest()[:12]


def _cached(name: str, package: str, member: str, pick: Callable[[Any], Any]) -> Any:
    path = CACHE / name
    if not path.exists():
        keep(path, json.dumps(pick(_fetch(package, member))).encode())
    return json.loads(path.read_text())


def keep(path: Path, content: bytes) -> None:
    """Whole or not at all, whoever else fetches the same at this moment."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def _fetch(package: str, member: str) -> Any:
    """One JSON file of an npm package; skips the test where npm or its registry is not there."""
    return json.loads(fetched(package, member))


def fetched(package: str, member: str) -> bytes:
    """One file of an npm package; skips the test where npm or its registry is out of reach."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed: {package} cannot be fetched")
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        command = [npm, "pack", "--silent", "--pack-destination", folder, package]
        limit = FETCH_SECONDS
        try:
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=limit, cwd=folder
            )
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm pack {package} failed: {error}")
        archive = Path(folder) / Path(done.stdout.strip().splitlines()[-1]).name
        with tarfile.open(archive) as packed:
            file = packed.extractfile(member)
            assert file is not None
            return file.read()
