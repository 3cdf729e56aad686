"""Signals from workflow to workflow, where a receiver that cannot hear is an answer, no error."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError


async def send(workflow_id: str, signal: str, message: object) -> bool:
    """Deliver a signal; False if the receiver is closed, was never there, or takes no more.

    An ApplicationError must not leave a workflow's main function: that would fail the workflow.
    """
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal(signal, message)
    except ApplicationError:
        return False
    return True


async def nudge(workflow_id: str) -> bool:
    """Tell a job to look at the clock; False if it cannot hear."""
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal("nudge")
    except ApplicationError:
        return False
    return True
