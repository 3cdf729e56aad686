"""POST /events/ecs: ECS's task events, sent by an API destination of EventBridge.

A stopped task's job is told at once that its runner is gone. Events may come doubled, late or in
any order: only the last state of a task is acted on, and a job hears of a runner's end once. What
does not come, the workers find by polling.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.ecs_task import DETAIL_TYPE, WORKFLOW_VARIABLE, Task, of_event
from api.access import Access
from api.openapi import problems
from policy import names
from policy.access import AdminKey
from workflows.job_messages import RunnerGone

PATH = "/events/ecs"
EXAMPLE = {
    "detail-type": DETAIL_TYPE,
    "detail": {
        "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/runners/0f1e2d3c",
        "group": "penstock",
        "startedBy": "penstock-7001-1",
        "lastStatus": "STOPPED",
        "version": 5,
        "overrides": {
            "containerOverrides": [
                {"environment": [{"name": WORKFLOW_VARIABLE, "value": "runner-job/acme/api/7001"}]}
            ]
        },
    },
}


def router(
    client: Client, hashes: Sequence[str], group: str, failures_per_minute: int
) -> APIRouter:
    """The route, for callers with one of these keys; `group` marks the tasks that are ours."""
    known = [AdminKey(entry[:8], entry) for entry in dict.fromkeys(hashes)]
    access = Access(known, failures_per_minute=failures_per_minute)
    routes = APIRouter()

    @routes.post(
        PATH,
        summary="A task event of ECS, from EventBridge",
        responses=problems(401, 422, 429, 503),
    )
    async def receive(
        request: Request, event: Annotated[dict[str, Any], Body(examples=[EXAMPLE])]
    ) -> dict[str, str]:
        await access.identify(request)
        task, ignored = _ended(event, group)
        if task is None:
            return {"status": "ignored", "reason": ignored}
        handle = client.get_workflow_handle(task.workflow_id)
        try:
            await handle.signal("runner_gone", RunnerGone(task.name, task.why))
        except RPCError as error:
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                raise
            return {"status": "ignored", "reason": "its job has ended"}
        return {"status": "accepted", "workflow_id": task.workflow_id}

    return routes


def _ended(event: dict[str, Any], group: str) -> tuple[Task | None, str]:
    """The task of ours that has ended; else None, and why the event is ignored."""
    task = of_event(event)
    if task is None:
        return None, "no task event"
    if task.group != group:
        return None, "a task of another group"
    if not task.stopped:
        return None, "the task has not stopped"
    job = names.job_of_runner(task.name)
    if not job or names.runner_job_id(names.repo_of(task.workflow_id), job) != task.workflow_id:
        return None, "the task was launched for no job of ours"
    return task, ""
