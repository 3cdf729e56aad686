"""Limits, modes and pauses over time, from the Fleet's histories.

Sources of the rules: the design, sections 3, 7, 8; the messages' shapes are the Fleet's signals
and its update as they stand in a history. Nothing here is shared with the product.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from checker.history import Event, History
from checker.jobs import chains, table

ALL = ""  # the scope of the whole fleet; else `owner`, or `owner/repo`
MODE_OF_SIGNAL = {"drain": "draining", "resume": "normal", "maintenance": "maintenance"}
Interval = tuple[float, float]
# An ended Fleet's successor may lose its first task, as a semaphore may: more is not excused.
MOST_SILENT_SECONDS = 11.0


@dataclass(frozen=True)
class Limits:
    """The limits in force; the defaults are the product's, for messages that leave one out."""

    max_runners: int = 6
    max_repo_share: float = 0.5
    default: int = 2
    repos: dict[str, int] = field(default_factory=dict[str, int])
    orgs: dict[str, int] = field(default_factory=dict[str, int])

    def cap(self, scope: str) -> int:
        """The most permits that a scope may have out."""
        if scope == ALL:
            return self.max_runners
        if "/" in scope:
            share = max(1, int(self.max_repo_share * self.max_runners))
            return min(self.repos.get(scope, self.default), share)
        return min(self.orgs.get(scope, self.max_runners), self.max_runners)


@dataclass
class FleetRecord:
    """What the Fleet was told, in order. Empty lists: there is no Fleet in the evidence."""

    limits: list[tuple[float, Limits]] = field(default_factory=list[tuple[float, Limits]])
    modes: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    pauses: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    silences: list[Interval] = field(default_factory=list[Interval])  # ended, until the next spoke

    def heard_since(self, at: float) -> float:
        """What changed from then to `at` no semaphore could hear of: the Fleet had been ended.

        Its successor speaks as soon as it has met the semaphores. `at` itself in all other times.
        """
        for begin, end in self.silences:
            if begin < at <= min(end, begin + MOST_SILENT_SECONDS):
                return begin
        return at

    def highest_cap(self, scope: str, since: float, until: float) -> int:
        """The highest limit of a scope that was in force at some time from `since` to `until`."""
        return max(limits.cap(scope) for limits in self._between(since, until))

    def lowest_cap(self, scope: str, since: float, until: float) -> int:
        """The lowest one."""
        return min(limits.cap(scope) for limits in self._between(since, until))

    def in_mode(self, *modes: str) -> list[Interval]:
        """The times in any of the modes, joined; an open end is infinity."""
        spans: list[Interval] = []
        for number, (begin, mode) in enumerate(self.modes):
            last = number + 1 == len(self.modes)
            end = float("inf") if last else self.modes[number + 1][0]
            if mode not in modes:
                continue
            if spans and spans[-1][1] == begin:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
        return spans

    def _between(self, since: float, until: float) -> list[Limits]:
        times = [at for at, _ in self.limits]
        first = max(0, bisect_right(times, since) - 1)
        return [
            limits for _, limits in self.limits[first : max(first + 1, bisect_right(times, until))]
        ]


def scopes(repo: str) -> tuple[str, str, str]:
    """The scopes whose limits bind a repository's permits."""
    return (repo, repo.partition("/")[0], ALL)


def read(histories: Sequence[History]) -> FleetRecord:
    """The Fleet's record, over all its runs."""
    record = FleetRecord()
    for runs in chains(histories, "Fleet").values():
        reader = _Reader(record)
        for run in runs:
            failed = _failed_updates(run)
            for event in run.events:
                reader.take(event, failed)
    record.limits.sort(key=lambda entry: entry[0])
    record.modes = _changes(record.modes)
    record.silences = _silences([run for run in histories if run.type == "Fleet"])
    return record


def _silences(runs: list[History]) -> list[Interval]:
    """From an operator's end of a Fleet to the next word of any Fleet to a semaphore."""
    words = sorted(
        event.time
        for run in runs
        for event in run.events
        if event.type == "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"
        and event.attributes.get("signalName") == "allot"
    )
    ends = [run.closed_at for run in runs if run.status in ("canceled", "terminated")]
    return [
        (end, next((at for at in words if at > end), float("inf")))
        for end in sorted(at for at in ends if at is not None)
    ]


def _changes(modes: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """In the order of time, and only what is another mode than the one before."""
    kept: list[tuple[float, str]] = []
    for at, mode in sorted(modes, key=lambda entry: entry[0]):
        if not kept or kept[-1][1] != mode:
            kept.append((at, mode))
    return kept


class _Reader:
    def __init__(self, record: FleetRecord) -> None:
        self._record = record
        self._configured: Limits | None = None
        self._applied_again: dict[str, dict[str, Any]] = {}  # by event id, of a run by a reset

    def take(self, event: Event, failed: set[str]) -> None:
        """The next event; updates whose accepting event is in `failed` changed nothing."""
        if event.type == "WORKFLOW_EXECUTION_STARTED":
            self._applied_again = {}
            state = table(event.arguments)
            self._set(event.time, _limits(cast(dict[str, Any], state.get("limits") or {})))
            configured = state.get("configured")
            self._configured = _limits(configured) if configured else None
            self._record.modes.append((event.time, str(state.get("mode", "normal"))))
            for org, until in cast(dict[str, float], state.get("cooling") or {}).items():
                self._record.pauses.append((org, event.time, float(until)))
        elif event.type == "WORKFLOW_EXECUTION_SIGNALED":
            self._hear(event)
        elif event.type == "WORKFLOW_EXECUTION_UPDATE_ADMITTED":
            self._applied_again[str(event.id)] = event.attributes.get("request", {})
        elif event.type == "WORKFLOW_EXECUTION_UPDATE_ACCEPTED" and str(event.id) not in failed:
            admitted = str(event.attributes.get("acceptedRequestSequencingEventId"))
            asked = event.attributes.get("acceptedRequest") or self._applied_again.get(
                admitted, {}
            )
            request = asked.get("input", {})
            if request.get("name") == "set_limits":
                change = table(cast(dict[str, Any], request.get("args") or {}).get("payloads", []))
                self._set(event.time, _merged(self._record.limits[-1][1], change))

    def _hear(self, event: Event) -> None:
        signal, arguments = str(event.attributes.get("signalName")), event.arguments
        if signal in MODE_OF_SIGNAL:
            self._record.modes.append((event.time, MODE_OF_SIGNAL[signal]))
        elif signal == "configure":
            # The file's limits count only if the file has changed: a live change outlives a start.
            limits = _limits(table(arguments))
            if limits != self._configured:
                self._configured = limits
                self._set(event.time, limits)
        elif signal == "cool_down" and len(arguments) > 1:
            self._record.pauses.append((str(arguments[0]), event.time, float(arguments[1])))

    def _set(self, at: float, limits: Limits) -> None:
        self._record.limits.append((at, limits))


def _failed_updates(run: History) -> set[str]:
    return {
        str(event.attributes.get("acceptedEventId"))
        for event in run.events
        if event.type == "WORKFLOW_EXECUTION_UPDATE_COMPLETED"
        and "failure" in event.attributes.get("outcome", {})
    }


def _limits(given: dict[str, Any]) -> Limits:
    return Limits(**{key: value for key, value in given.items() if key in _FIELDS})


_FIELDS = set(Limits.__dataclass_fields__)


def _merged(limits: Limits, change: dict[str, Any]) -> Limits:
    """A change names what it changes; null in `repos` or `orgs` unsets a limit."""
    made: dict[str, Any] = {key: getattr(limits, key) for key in _FIELDS}
    for key in ("max_runners", "max_repo_share", "default"):
        if change.get(key) is not None:
            made[key] = change[key]
    for key in ("repos", "orgs"):
        new = cast(dict[str, int | None], change.get(key) or {})
        both = {**made[key], **{name.lower(): n for name, n in new.items()}}
        made[key] = {name: n for name, n in both.items() if n is not None}
    return Limits(**made)
