"""A task of Amazon ECS in Penstock's words, as answers and events alike describe it."""

from dataclasses import dataclass
from typing import Any

from activities.runners import RunnerReference

DETAIL_TYPE = "ECS Task State Change"  # of EventBridge's events
WORKFLOW_VARIABLE = "PENSTOCK_WORKFLOW_ID"  # in answers and events alike, which tags are not
REASON_LENGTH = 300


@dataclass(frozen=True)
class Task:
    """One task; `name` and `workflow_id` are those of ours."""

    arn: str
    group: str
    name: str  # the runner's
    workflow_id: str
    status: str
    why: str = ""  # it stopped, in ECS's words; empty if its runner just ended

    @property
    def stopped(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status == "STOPPED"

    @property
    def reference(self) -> RunnerReference:
        """As the port names it."""
        return RunnerReference(
            self.name, self.arn, self.workflow_id, alive=not self.stopped, why=self.why
        )


def parse(task: Any) -> Task:
    """A task of an answer or an event."""
    return Task(
        str(task.get("taskArn", "")),
        str(task.get("group", "")),
        str(task.get("startedBy", "")),
        _told_to(task),
        str(task.get("lastStatus", "")),
        why(task),
    )


def _told_to(task: Any) -> str:
    """What its container was told: the environment of the overrides."""
    for container in task.get("overrides", {}).get("containerOverrides", ()):
        for variable in container.get("environment", ()):
            if variable.get("name") == WORKFLOW_VARIABLE:
                return str(variable.get("value", ""))
    return ""


def why(task: Any) -> str:
    """Why it stopped, unless its runner simply ended with exit code 0."""
    if task.get("lastStatus") != "STOPPED":
        return ""
    code = str(task.get("stopCode", ""))
    said = [
        f"{c.get('name')}: {c['reason']}" for c in task.get("containers", ()) if c.get("reason")
    ]
    exits = [c["exitCode"] for c in task.get("containers", ()) if c.get("exitCode")]
    if code in ("", "EssentialContainerExited") and not said and not exits:
        return ""
    ended = [f"exit code {number}" for number in exits]
    parts = [code, str(task.get("stoppedReason", "")), *said, *ended]
    return "; ".join(part for part in parts if part)[:REASON_LENGTH]


def of_event(event: Any) -> Task | None:
    """The task of an event as EventBridge sends it; None if it is no such event."""
    try:
        if event["detail-type"] == DETAIL_TYPE and event["detail"]["taskArn"]:
            return parse(event["detail"])
    except (KeyError, TypeError, AttributeError):
        pass
    return None
