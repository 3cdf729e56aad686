"""The sandbox in which workflows run: Temporal's, with two of temporalio 1.35's faults kept out.

Resets: a run made by a reset is told so by a new seed of chance (workflows/life.py), in one
activation with the signals that came since. The SDK lets a workflow act on the signals before it
hears of the seed: the Fleet divided once more by a book whose newest pages were gone. It can
apply a whole activation before anything runs (PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH),
and is to by default in a later release. Here that is asked of it from a run's first seed on, and
written into the history as the SDK writes it, so that every replayer does the same
(docs/decisions/0012-resets-before-signals.md).

Queries: one that waited for a worker brings the history as far as it goes when the worker comes.
Where that ends in events for which no workflow task has begun, the SDK has the workflow act on
them at once, at the time of the task before, and the task that begins then writes down what was
decided: a replay decides at that task's own time, and on all events that came before it. Here
what the workflow decides is dropped, the query is answered by what it knows then, and the run is
put out of memory, so that its next task begins with the history
(docs/decisions/0013-queries-before-tasks.md).
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import Worker, WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

logger = logging.getLogger(__name__)

SINGLE_BATCH = 2  # the flag's number in the SDK and in histories


class Activate(Protocol):
    """What tells a run of a workflow what came, and takes what it decides."""

    def __call__(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """One activation."""
        ...


class Sandbox(SandboxedWorkflowRunner):
    """For workers, each of which it must `serve`; a replayer needs none of it."""

    _worker: Worker | None = None

    def serve(self, worker: Worker) -> None:
        """Which worker holds the runs in its memory."""
        self._worker = worker

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """One run in memory."""
        instance = super().create_instance(det)
        instance.activate = self._by_tasks_only(_reset_first(instance.activate))
        return instance

    def _by_tasks_only(self, activate: Activate) -> Activate:
        heard: _Place | None = None

        def by_tasks_only(act: WorkflowActivation) -> WorkflowActivationCompletion:
            nonlocal heard
            place = _Place.of(act)
            if heard and not act.is_replaying and place.is_of_no_task_since(heard):
                self._put_out(act.run_id)
                logger.info("a query of run %s came before a workflow task", act.run_id)
                return _undecided(activate(act))
            if not all(job.HasField("query_workflow") for job in act.jobs):
                heard = place
            return activate(act)

        return by_tasks_only

    def _put_out(self, run_id: str) -> None:
        # The core does so once the query is answered, and keeps the run's next task until then.
        if self._worker is None:
            raise RuntimeError("the sandbox serves no worker: call Sandbox.serve(worker)")
        # The SDK offers nothing public.
        bridge = self._worker._bridge_worker  # pyright: ignore[reportPrivateUsage]
        bridge.request_workflow_eviction(run_id)


@dataclass(frozen=True)
class _Place:
    """How far a run has heard its history: events; and the start of the newest workflow task."""

    events: int
    began_at: int  # ns since the epoch
    began_with: int  # bytes of history; each task that starts tells more

    @staticmethod
    def of(act: WorkflowActivation) -> "_Place":
        at = act.timestamp.ToNanoseconds()
        return _Place(act.history_length, at, act.history_size_bytes)

    def is_of_no_task_since(self, heard: "_Place") -> bool:
        """Whether there are new events and no new start.

        The time alone would not do: that of a server whose clock was set back stands still.
        """
        start, last = (self.began_at, self.began_with), (heard.began_at, heard.began_with)
        return self.events > heard.events and start == last and self.began_with > 0


def _undecided(completion: WorkflowActivationCompletion) -> WorkflowActivationCompletion:
    """The same without its commands; a failure stays one."""
    if completion.HasField("successful"):
        completion.successful.Clear()
        completion.successful.SetInParent()
    return completion


def _reset_first(activate: Activate) -> Activate:
    def reset_first(act: WorkflowActivation) -> WorkflowActivationCompletion:
        if act.is_replaying or SINGLE_BATCH in act.available_internal_flags:
            return activate(act)
        if not any(job.HasField("update_random_seed") for job in act.jobs):
            return activate(act)
        act.available_internal_flags.append(SINGLE_BATCH)
        completion = activate(act)
        if completion.HasField("successful"):
            completion.successful.used_internal_flags.append(SINGLE_BATCH)
        return completion

    return reset_first
