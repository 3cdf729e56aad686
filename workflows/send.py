"""Signals from workflow to workflow, where a receiver that cannot hear is an answer, no error.

A request to cancel the workflow does not cancel a signal that is on its way (`shield`). One whose
end has come with the same workflow task cannot be cancelled any more: temporalio 1.35 would fail
that task ("Invalid transition in state machine"), and each one after it, for ever.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError


async def send(workflow_id: str, signal: str, message: object) -> bool:
    """Deliver a signal; False if the receiver is closed, was never there, or takes no more.

    An ApplicationError must not leave a workflow's main function: that would fail the workflow.
    """
    try:
        receiver = workflow.get_external_workflow_handle(workflow_id)
        await asyncio.shield(receiver.signal(signal, message))
    except ApplicationError:
        return False
    return True


async def nudge(workflow_id: str) -> bool:
    """Tell a job to look at the clock; False if it cannot hear."""
    try:
        await asyncio.shield(workflow.get_external_workflow_handle(workflow_id).signal("nudge"))
    except ApplicationError:
        return False
    return True
