"""L11 after the fact: every history of a run replays on the code that is here."""

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from checker.evidence import Violation
from checker.history import History
from worker import WORKFLOWS


async def check(histories: list[History]) -> list[Violation]:
    """The histories that do not replay. In the sandbox, stricter than a worker's."""
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        debug_mode=True,  # no workflow is called a deadlock because the machine is busy
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(
                "policy", "activities", "temporalio"
            )
        ),
    )
    broken: list[Violation] = []
    for one in histories:
        told = WorkflowHistory.from_json(one.workflow_id, one.raw)
        answer = await replayer.replay_workflow(told, raise_on_replay_failure=False)
        if answer.replay_failure is not None:
            why = f"run {one.run_id} does not replay: {answer.replay_failure}"
            broken.append(Violation("L11", one.workflow_id, one.started_at, why))
    return broken
