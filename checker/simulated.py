"""The simulator's own log, typed: what GitHub would say happened.

The records are made from the answers of `/_control/jobs`, `/_control/runners?all=1`,
`/_control/deliveries`, `/_control/calls` and `/_control/summary` (simulator/README.md), which the
caller hands in. Times are epoch seconds by the simulator's clock, None until they happen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class SimulatedJob:
    """A job at GitHub; owner and repo in lower case, labels too."""

    id: str
    owner: str
    repo: str
    labels: list[str]
    status: str
    conclusion: str
    runner_name: str
    queued_at: float | None
    started_at: float | None
    completed_at: float | None


@dataclass(frozen=True, slots=True)
class SimulatedRunner:
    """A runner that registered; `removed_at` None while GitHub lists it."""

    id: str
    name: str
    scope: str  # owner/repo, or owner, lower case
    status: str  # online, offline
    busy: bool
    registered_at: float
    removed_at: float | None
    removed_why: str


@dataclass(frozen=True, slots=True)
class SimulatedDelivery:
    """One attempt to deliver a webhook; `delivered_at` is when the attempt ended."""

    guid: str
    event: str
    action: str
    job_id: str
    status: str
    status_code: int
    duration: float
    delivered_at: float
    redelivery: bool
    fault: str

    @property
    def ok(self) -> bool:
        """Whether GitHub counts it as delivered: answered 2xx in time."""
        return self.status == "OK"


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """One call of GitHub's API; `fault` names the injected fault that made the answer."""

    time: float
    method: str
    path: str
    route: str
    status: int
    caller: str
    resource: str
    remaining: int | None
    fault: str


@dataclass(frozen=True)
class SimulatorLog:
    """All that the simulator shows.

    `early`: the calls before a retry time that it had named, each by the seconds since it did.
    """

    jobs: list[SimulatedJob] = field(default_factory=list[SimulatedJob])
    runners: list[SimulatedRunner] = field(default_factory=list[SimulatedRunner])
    deliveries: list[SimulatedDelivery] = field(default_factory=list[SimulatedDelivery])
    calls: list[SimulatedCall] = field(default_factory=list[SimulatedCall])
    early: list[float] = field(default_factory=list[float])


def read(
    *,
    jobs: Mapping[str, Any] | None = None,
    runners: Mapping[str, Any] | None = None,
    deliveries: Mapping[str, Any] | None = None,
    calls: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
) -> SimulatorLog:
    """A log from the control interface's answers, whole as they came; any may be missing.

    Raises KeyError, TypeError or ValueError if an answer is not the simulator's.
    """
    return SimulatorLog(
        [_job(one) for one in (jobs or {}).get("jobs", [])],
        [_runner(one) for one in (runners or {}).get("runners", [])],
        [_delivery(one) for one in (deliveries or {}).get("deliveries", [])],
        [_call(one) for one in (calls or {}).get("calls", [])],
        [float(one) for one in (summary or {}).get("calls", {}).get("early", [])],
    )


def _job(raw: dict[str, Any]) -> SimulatedJob:
    return SimulatedJob(
        id=str(raw["id"]),
        owner=str(raw["owner"]).lower(),
        repo=f"{raw['owner']}/{raw['repo']}".lower(),
        labels=[str(label).lower() for label in cast(list[Any], raw["labels"])],
        status=str(raw["status"]),
        conclusion=_text(raw, "conclusion"),
        runner_name=_text(raw, "runner_name"),
        queued_at=_time(raw, "queued_at"),
        started_at=_time(raw, "started_at"),
        completed_at=_time(raw, "completed_at"),
    )


def _runner(raw: dict[str, Any]) -> SimulatedRunner:
    return SimulatedRunner(
        id=str(raw["id"]),
        name=str(raw["name"]),
        scope=str(raw["scope"]).lower(),
        status=str(raw["status"]),
        busy=bool(raw["busy"]),
        registered_at=float(raw["registered_at"]),
        removed_at=_time(raw, "removed_at"),
        removed_why=_text(raw, "removed_why"),
    )


def _delivery(raw: dict[str, Any]) -> SimulatedDelivery:
    return SimulatedDelivery(
        guid=str(raw["guid"]),
        event=str(raw["event"]),
        action=_text(raw, "action"),
        job_id=_text(raw, "job_id"),
        status=str(raw["status"]),
        status_code=int(raw["status_code"] or 0),
        duration=float(raw["duration"] or 0.0),
        delivered_at=float(raw["delivered_at"]),
        redelivery=bool(raw["redelivery"]),
        fault=_text(raw, "fault"),
    )


def _call(raw: dict[str, Any]) -> SimulatedCall:
    remaining = raw.get("remaining")
    return SimulatedCall(
        time=float(raw["time"]),
        method=str(raw["method"]),
        path=str(raw["path"]),
        route=_text(raw, "route"),
        status=int(raw["status"]),
        caller=_text(raw, "caller"),
        resource=_text(raw, "resource"),
        remaining=None if remaining is None else int(remaining),
        fault=_text(raw, "fault"),
    )


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    return "" if value is None else str(value)


def _time(raw: dict[str, Any], key: str) -> float | None:
    value = raw.get(key)
    return None if value is None else float(value)
