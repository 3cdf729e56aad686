"""A replay that is stricter than Temporal's, which lets signals of one turn change places.

Temporal compares kinds of commands, and an activity's name; it takes a signal for any other
signal, and gives each the other's answer. So what is sent is noted here and compared with the
history: names and receivers, in order.
"""

import json
from collections.abc import Iterable
from typing import Any

from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    Interceptor,
    SignalExternalWorkflowInput,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle, NondeterminismError

from checker.history import History
from tests.support import replayer
from worker import WORKFLOWS

Sent = tuple[str, str]  # a signal's name and receiver; an activity's name


async def replay_exactly(recorded: History, workflows: Iterable[type] = WORKFLOWS) -> None:
    """Raises NondeterminismError where the code would do something else than it did."""
    notes = _Notes()
    history = WorkflowHistory.from_json(recorded.workflow_id, json.dumps(recorded.raw))
    await replayer(workflows, interceptors=[notes]).replay_workflow(history)
    was = sent(recorded)
    # A history that ends in the middle of the work does not have what would come next.
    if notes.sent[: len(was)] != was:
        at = next((n for n, one in enumerate(was) if notes.sent[n : n + 1] != [one]), len(was))
        raise NondeterminismError(f"send {at} was {was[at]}, is {notes.sent[at : at + 1]}")


def sent(recorded: History) -> list[Sent]:
    """Signals and activities of a history, in order."""
    found: list[Sent] = []
    for event in recorded.events:
        if event.type == "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
            receiver = event.attributes["workflowExecution"]["workflowId"]
            found.append((str(event.attributes["signalName"]), str(receiver)))
        elif event.type == "ACTIVITY_TASK_SCHEDULED":
            found.append((str(event.attributes["activityType"]["name"]), ""))
    return found


class _Notes(Interceptor):
    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[WorkflowInboundInterceptor]:
        input.unsafe_extern_functions["note"] = lambda *what: self.sent.append(what)
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    async def signal_external_workflow(
        self,
        input: SignalExternalWorkflowInput,  # noqa: A002
    ) -> None:
        workflow.extern_functions()["note"](input.signal, input.workflow_id)
        await super().signal_external_workflow(input)

    def start_activity(
        self,
        input: StartActivityInput,  # noqa: A002
    ) -> ActivityHandle[Any]:
        workflow.extern_functions()["note"](input.activity, "")
        return super().start_activity(input)
