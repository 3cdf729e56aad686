"""The sandbox in which workflows run: Temporal's, where a reset is heard of before the signals.

A run made by a reset is told so by a new seed of chance (workflows/life.py), in one activation
with the signals that came since. temporalio 1.35 lets a workflow act on the signals before it
hears of the seed: the Fleet divided once more by a book whose newest pages were gone. The SDK can
apply a whole activation before anything runs (PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH),
and is to by default in a later release. Here that is asked of it from a run's first seed on, and
written into the history as the SDK writes it, so that every replayer does the same
(docs/decisions/0012-resets-before-signals.md).
"""

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

SINGLE_BATCH = 2  # the flag's number in the SDK and in histories


class Sandbox(SandboxedWorkflowRunner):
    """For workers; a replayer needs none of it."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """One run in memory."""
        instance = super().create_instance(det)
        activate = instance.activate

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

        instance.activate = reset_first
        return instance
