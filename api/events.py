"""Reads `workflow_job` payloads: tolerant of what is missing, strict on what is used."""

import json
import re
from datetime import datetime
from typing import Any, cast

from policy.admission import JobEvent

ACTIONS = ("queued", "in_progress", "completed", "waiting")
# GitHub's own rules for names; nothing else may enter a workflow id or a path.
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}")
LARGEST_ID = 2**63 - 1
LONGEST_TEXT = 300


class NotJson(ValueError):
    """The body is no JSON object."""


class Unusable(ValueError):
    """An event that Penstock can do nothing with; the message says why."""


def parse(body: bytes) -> dict[str, Any]:
    """The payload. Raises NotJson; RecursionError of a bottomless document included."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJson("the body is not JSON") from None
    if not isinstance(payload, dict):
        raise NotJson("the body is no JSON object")
    return cast(dict[str, Any], payload)


def job_event(payload: dict[str, Any]) -> JobEvent:
    """The event, or Unusable with the reason."""
    action = payload.get("action")
    if action not in ACTIONS:
        raise Unusable("unknown action")
    job, repository = _table(payload, "workflow_job"), _table(payload, "repository")
    owner_name = _table(repository, "owner").get("login")
    name = repository.get("name")
    if not (isinstance(owner_name, str) and OWNER.fullmatch(owner_name)):
        raise Unusable("repository.owner.login is missing or no owner's name")
    if not (isinstance(name, str) and REPOSITORY.fullmatch(name)) or name in (".", ".."):
        raise Unusable("repository.name is missing or no repository's name")
    job_id = job.get("id")
    if isinstance(job_id, bool) or not isinstance(job_id, int) or not 0 < job_id <= LARGEST_ID:
        raise Unusable("workflow_job.id is missing or no job's number")
    labels = job.get("labels")
    if labels is None:
        labels = []
    if not isinstance(labels, list) or not all(
        isinstance(label, str) for label in cast(list[object], labels)
    ):
        raise Unusable("workflow_job.labels is no list of names")
    return JobEvent(
        action=str(action),
        owner=owner_name,
        repo=f"{owner_name}/{name}".lower(),
        job_id=str(job_id),
        labels=[label[:LONGEST_TEXT] for label in cast(list[str], labels)[:100]],
        status=_text(job, "status"),
        conclusion=_text(job, "conclusion"),
        runner_name=_text(job, "runner_name"),
        queued_at=_time(job.get("created_at")),
        name=_text(job, "name"),
        url=_text(job, "html_url"),
        branch=_text(job, "head_branch"),
        default_branch=_text(repository, "default_branch"),
        workflow=_text(job, "workflow_name"),
        environment=_environment(payload.get("deployment")),
        priority=_text(payload, "priority") or _text(job, "priority"),
    )


def _table(of: dict[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    if not isinstance(value, dict):
        raise Unusable(f"{key} is missing")
    return cast(dict[str, Any], value)


def _text(of: dict[str, Any], key: str) -> str:
    value = of.get(key)
    if not isinstance(value, str):
        return ""
    # A lone half of a surrogate pair is legal in JSON and cannot be written again.
    return value[:LONGEST_TEXT].encode("utf-8", "replace").decode()


def _environment(deployment: object) -> str:
    """The environment deployed to; GitHub's own mark of production counts as its name."""
    if not isinstance(deployment, dict):
        return ""
    of = cast(dict[str, Any], deployment)
    return "production" if of.get("production_environment") is True else _text(of, "environment")


def _time(value: object) -> float:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
