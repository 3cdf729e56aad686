"""Workflow histories as plain data, from Temporal's own JSON export.

The format is `WorkflowHistory.to_json()` of the Python SDK, which is the protobuf JSON of
`temporal.api.history.v1.History`: 64-bit numbers are strings, payloads are base64 under
`{"metadata": {"encoding": …}, "data": …}`. Payloads are decoded where they stand.
"""

import base64
import binascii
import gzip
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

CLOSING = {
    "WORKFLOW_EXECUTION_COMPLETED": "completed",
    "WORKFLOW_EXECUTION_FAILED": "failed",
    "WORKFLOW_EXECUTION_TIMED_OUT": "timed_out",
    "WORKFLOW_EXECUTION_CANCELED": "canceled",
    "WORKFLOW_EXECUTION_TERMINATED": "terminated",
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": "continued_as_new",
}


class NotAHistory(ValueError):
    """A file or value that is no exported history; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `time` is epoch seconds; payloads in `attributes` are decoded."""

    id: int
    type: str  # without EVENT_TYPE_
    time: float
    attributes: dict[str, Any]

    @property
    def arguments(self) -> list[Any]:
        """The decoded input of a start, a signal or an activity."""
        return payloads(self.attributes.get("input"))

    @property
    def result(self) -> Any:
        """The decoded result of an activity or a workflow; None if there is none."""
        return next(iter(payloads(self.attributes.get("result"))), None)


@dataclass(frozen=True)
class History:
    """One run of one workflow; `raw` is the export it was made from, for saving."""

    workflow_id: str
    run_id: str
    type: str  # the workflow type's name
    events: list[Event]
    raw: dict[str, Any] = field(repr=False, default_factory=dict[str, Any])

    @property
    def status(self) -> str:
        """`running`, or how it closed (a value of CLOSING)."""
        return CLOSING.get(self.events[-1].type, "running")

    @property
    def closed(self) -> bool:
        """Whether this run has ended."""
        return self.events[-1].type in CLOSING

    @property
    def started_at(self) -> float:
        """Epoch seconds."""
        return self.events[0].time

    @property
    def closed_at(self) -> float | None:
        """Epoch seconds; None while it runs."""
        return self.events[-1].time if self.closed else None

    @property
    def first_run_id(self) -> str:
        """The first run of the chain that continue-as-new, retries and resets make."""
        return str(self.events[0].attributes.get("firstExecutionRunId") or self.run_id)


def of(exported: dict[str, Any], *, workflow_id: str = "", run_id: str = "") -> History:
    """A History from its export; ids are read from its first event. Raises NotAHistory."""
    found = exported.get("events")
    if not isinstance(found, list) or not found:
        raise NotAHistory("there are no events")
    try:
        events = [_event(one) for one in cast(list[dict[str, Any]], found)]
    except (KeyError, TypeError, ValueError) as error:
        raise NotAHistory(f"an event cannot be read: {error!r}") from None
    first = events[0].attributes
    workflow_id = workflow_id or str(first.get("workflowId", ""))
    if events[0].type != "WORKFLOW_EXECUTION_STARTED" or not workflow_id:
        raise NotAHistory("it does not begin with the start of a workflow")
    run_id = run_id or str(first.get("originalExecutionRunId", ""))
    return History(workflow_id, run_id, str(first["workflowType"]["name"]), events, exported)


def load_folder(folder: Path) -> list[History]:
    """All histories (`*.json`, `*.json.gz`) of a folder. Raises NotAHistory, OSError."""
    histories: list[History] = []
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.json.gz")]):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        try:
            histories.append(of(json.loads(content)))
        except ValueError as error:
            raise NotAHistory(f"{path}: {error}") from None
    return histories


def save_folder(histories: Iterable[History], folder: Path) -> None:
    """Write each history as FOLDER/{workflow id}~{run id}.json.gz, fit for Temporal's Replayer."""
    folder.mkdir(parents=True, exist_ok=True)
    for history in histories:
        name = re.sub(r"[^A-Za-z0-9._~-]+", "-", f"{history.workflow_id}~{history.run_id}")
        content = json.dumps(history.raw, separators=(",", ":")).encode()
        path = folder / f"{name}.json.gz"
        # No time stamp inside: the same history makes the same file.
        path.write_bytes(gzip.compress(content, mtime=0))


def payloads(value: Any) -> list[Any]:
    """The values of a decoded `{"payloads": […]}`; empty if it is something else."""
    if not isinstance(value, dict):
        return []
    found = cast(dict[str, Any], value).get("payloads")
    return cast(list[Any], found) if isinstance(found, list) else []


def _event(raw: dict[str, Any]) -> Event:
    attributes: dict[str, Any] = {}
    for key, value in raw.items():
        if key.endswith("EventAttributes"):
            attributes = _decoded(value)
    if "userMetadata" in raw:  # summaries: seen by people, so laws on secrets hold there too
        attributes = {**attributes, "userMetadata": _decoded(raw["userMetadata"])}
    return Event(
        int(raw["eventId"]),
        str(raw["eventType"]).removeprefix("EVENT_TYPE_"),
        datetime.fromisoformat(str(raw["eventTime"])).timestamp(),
        attributes,
    )


def _decoded(value: Any) -> Any:
    """The value with every payload in it replaced by what it holds."""
    if isinstance(value, dict):
        table = cast(dict[str, Any], value)
        metadata = table.get("metadata")
        if isinstance(metadata, dict) and "encoding" in metadata:
            return _content(cast(dict[str, str], metadata)["encoding"], table.get("data", ""))
        return {key: _decoded(part) for key, part in table.items()}
    if isinstance(value, list):
        return [_decoded(part) for part in cast(list[Any], value)]
    return value


def _content(encoding: str, data: str) -> Any:
    try:
        content, kind = base64.b64decode(data), base64.b64decode(encoding)
        if kind.startswith(b"json/"):
            return json.loads(content)
    except (binascii.Error, ValueError):
        return data
    return content.decode(errors="replace") if content else None
