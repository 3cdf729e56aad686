"""A semaphore or Fleet that is cancelled while its signals are on their way.

The recorded history is that of a semaphore whose worker was away: when it came back, one workflow
task brought the request to cancel and the ends of the signals. To cancel a signal that has ended
already is more than the SDK bears (temporalio 1.35: "Invalid transition in state machine"): each
further task failed, and with it the repository, and the Fleet that waited for its report.
"""

import gzip
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from policy import names
from worker import PASSED_THROUGH, WORKFLOWS

HISTORY = Path(__file__).with_name("recorded") / "semaphore-cancelled-while-it-sends.json.gz"


async def test_a_semaphore_cancelled_while_it_sends_goes_on_to_its_end():
    """The task that nobody could finish is finished. (Its end was written by hand.)"""
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
        ),
    )
    text = gzip.decompress(HISTORY.read_bytes()).decode()
    told = WorkflowHistory.from_json(names.semaphore_id("solo/one"), text)
    await replayer.replay_workflow(told)
