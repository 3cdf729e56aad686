"""The Temporal server: reachable, prepared, with a Fleet and workers."""

import time
from collections.abc import AsyncIterator

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from api.fleet_client import FleetClient, FleetUnavailable
from commands.checks.finding import Finding
from policy import names
from settings import Settings

LATELY_SECONDS = 90.0  # a worker polls at least once a minute


async def paused(client: Client) -> dict[str, float]:
    """The organizations that GitHub keeps waiting, and until when (epoch seconds)."""
    try:
        cooling: dict[str, float] = (await FleetClient(client).status())["cooling"]
    except FleetUnavailable:
        return {}  # it is looked at below
    return {org: until for org, until in cooling.items() if until > time.time()}


async def look(client: Client, settings: Settings) -> AsyncIterator[Finding]:
    """One finding after another."""
    where = f"{client.service_client.config.target_host}, namespace {client.namespace}"
    try:
        missing = await _missing_attributes(client)
    except RPCError as error:
        yield Finding("Temporal", "bad", f"{where}: {error.message}")
        return
    yield Finding("Temporal", "good", where)
    if missing:
        said = f"{', '.join(missing)} missing: run penstock setup"
        yield Finding("search attributes", "bad", said)
    else:
        yield Finding("search attributes", "good", ", ".join(names.SEARCH_ATTRIBUTES))
    yield await _fleet(client)
    yield await _workers(client, settings)


async def _missing_attributes(client: Client) -> list[str]:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [name for name in names.SEARCH_ATTRIBUTES if name not in known.custom_attributes]


async def _fleet(client: Client) -> Finding:
    try:
        described = await client.get_workflow_handle(names.FLEET_ID).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return Finding("Fleet", "warning", "it has never run: start a worker")
        return Finding("Fleet", "bad", error.message)
    if described.status != WorkflowExecutionStatus.RUNNING:
        return Finding("Fleet", "bad", "it does not run: a worker starts it within seconds")
    return Finding("Fleet", "good", "it runs")


async def _workers(client: Client, settings: Settings) -> Finding:
    """Pollers of both queues; the embedded gateway is none."""
    lately: dict[str, set[str]] = {}
    for queue in (names.TASK_QUEUE, names.GITHUB_TASK_QUEUE):
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            )
        )
        lately[queue] = {
            poller.identity
            for poller in answer.pollers
            if time.time() - poller.last_access_time.seconds < LATELY_SECONDS
        }
    idle = [queue for queue, pollers in lately.items() if not pollers]
    if idle:
        said = f"nobody polls the queue {' and '.join(idle)}: start penstock worker"
        return Finding("workers", "bad", said)
    number = len(lately[names.GITHUB_TASK_QUEUE])
    if number > 1 and settings.tokens.store == "memory":
        said = (
            f"{number} polled lately, each with budgets of its own in memory: unless one was just"
            " restarted, set tokens.store = 'dynamodb' and worker.count"
        )
        return Finding("workers", "warning", said)
    return Finding("workers", "good", f"{number} poll")
