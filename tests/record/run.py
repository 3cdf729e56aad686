"""One run of a workflow, as a path asks about it: what it heard, sent, did, and how it ended."""

from collections import Counter
from functools import cached_property
from typing import Any

from checker.history import Event, History, payloads


class Run:
    """Answers are made when they are first asked for: many paths look at one run."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.type = history.type
        self.status = history.status

    @cached_property
    def events(self) -> Counter[str]:
        """How often each type of event occurs, without EVENT_TYPE_."""
        return Counter(event.type for event in self.history.events)

    def of(self, kind: str) -> list[Event]:
        """The events of a type."""
        return [event for event in self.history.events if event.type == kind]

    @cached_property
    def begun_with(self) -> Any:
        """The argument that the run was started with."""
        return next(iter(self.history.events[0].arguments), {})

    @cached_property
    def ended_with(self) -> Any:
        """Its result, or the state that it handed on to the next run; {} if there is neither."""
        last = self.history.events[-1]
        return last.result or next(iter(last.arguments if self.went_on else []), {})

    @property
    def carried(self) -> bool:
        """Whether it begins with what a former run handed on."""
        return bool(self.history.events[0].attributes.get("continuedExecutionRunId"))

    @property
    def went_on(self) -> bool:
        """Whether it ended by continue-as-new."""
        return self.status == "continued_as_new"

    @cached_property
    def heard(self) -> list[tuple[str, Any]]:
        """Signals with their first argument (None if there is none), in order."""
        return [
            (str(event.attributes["signalName"]), next(iter(event.arguments), None))
            for event in self.of("WORKFLOW_EXECUTION_SIGNALED")
        ]

    def told(self, signal: str) -> list[Any]:
        """The first arguments of all signals of this name."""
        return [argument for name, argument in self.heard if name == signal]

    @cached_property
    def sent(self) -> list[tuple[str, str, Any]]:
        """Signals to other workflows: name, workflow id, argument; delivered or not."""
        return [
            (
                str(event.attributes["signalName"]),
                str(event.attributes["workflowExecution"]["workflowId"]),
                next(iter(event.arguments), None),
            )
            for event in self.of("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED")
        ]

    @cached_property
    def unheard(self) -> list[str]:
        """Names of the signals that could not be delivered."""
        initiated = {event.id: event for event in self.history.events}
        return [
            str(initiated[int(event.attributes["initiatedEventId"])].attributes["signalName"])
            for event in self.of("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED")
        ]

    @cached_property
    def scheduled(self) -> dict[int, str]:
        """Activities by the event that scheduled them."""
        return {
            event.id: str(event.attributes["activityType"]["name"])
            for event in self.of("ACTIVITY_TASK_SCHEDULED")
        }

    @cached_property
    def did(self) -> Counter[str]:
        """How often each activity was scheduled."""
        return Counter(self.scheduled.values())

    def results(self, activity: str) -> list[Any]:
        """What an activity answered, each time that it did."""
        return [
            event.result
            for event in self.of("ACTIVITY_TASK_COMPLETED")
            if self.scheduled[int(event.attributes["scheduledEventId"])] == activity
        ]

    def failures(self, activity: str) -> list[str]:
        """The types of the errors with which an activity failed for good."""
        return [
            _cause(event.attributes.get("failure") or {})
            for event in self.of("ACTIVITY_TASK_FAILED")
            if self.scheduled[int(event.attributes["scheduledEventId"])] == activity
        ]

    def tried_again(self, activity: str) -> bool:
        """Whether a later try of an activity was the one that went to its end."""
        return any(
            int(event.attributes.get("attempt", 1)) > 1
            for event in self.of("ACTIVITY_TASK_STARTED")
            if self.scheduled[int(event.attributes["scheduledEventId"])] == activity
        )

    @cached_property
    def task_failures(self) -> Counter[str]:
        """Failed workflow tasks by their cause."""
        causes = (str(event.attributes["cause"]) for event in self.of("WORKFLOW_TASK_FAILED"))
        return Counter(cause.removeprefix("WORKFLOW_TASK_FAILED_CAUSE_") for cause in causes)

    @cached_property
    def updates(self) -> Counter[str]:
        """Updates that were accepted, by name."""
        requests = (
            event.attributes["acceptedRequest"]
            for event in self.of("WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
        )
        return Counter(str(request["input"]["name"]) for request in requests)

    @cached_property
    def patches(self) -> set[str]:
        """The patches whose newer way it took (workflows/patches.py)."""
        return {
            str(payload["id"])
            for event in self.of("MARKER_RECORDED")
            if event.attributes["markerName"] == "core_patch"
            for payload in payloads(event.attributes["details"]["patch-data"])
        }

    @cached_property
    def versions(self) -> set[str]:
        """Build ids of the worker versions that served it; empty for workers without one."""
        tasks = self.of("WORKFLOW_TASK_COMPLETED")
        found = [event.attributes.get("deploymentVersion") or {} for event in tasks]
        return {str(one["buildId"]) for one in found if one.get("buildId")}


def _cause(failure: dict[str, Any]) -> str:
    info = failure.get("applicationFailureInfo") or {}
    return str(
        info.get("type") or _cause(failure["cause"]) if failure.get("cause") or info else ""
    )
