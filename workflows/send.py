"""Signals from workflow to workflow, where a closed receiver is an answer and no error."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

GONE = "ExternalWorkflowExecutionNotFound"


async def send(workflow_id: str, signal: str, message: object) -> bool:
    """Deliver a signal; False if the receiver is closed or was never there."""
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal(signal, message)
    except ApplicationError as error:
        if error.type != GONE:
            raise
        return False
    return True
