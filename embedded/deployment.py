"""Versions of Penstock's workers at Temporal: which there are, and which takes new work."""

import asyncio
import time
from dataclasses import dataclass

from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from policy import names
from policy.launches import Launches
from policy.messages import Acquires

LOOK_SECONDS = 0.5
LONGEST_PAUSE = 8.0
STATUS = "WORKER_DEPLOYMENT_VERSION_STATUS_"
# What a worker of Penstock serves: one that serves less is not up yet.
QUEUES = frozenset(
    {
        (names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        (names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
        (names.GITHUB_TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    }
)


class NotPromoted(Exception):
    """The version was not made current; the message says why and what to do."""


@dataclass(frozen=True)
class Version:
    """One build; `status` is inactive, current, ramping, draining (its jobs run on) or drained."""

    build_id: str
    status: str
    open_workflows: int  # pinned to it


async def versions(client: Client, deployment: str) -> list[Version]:
    """Those that Temporal knows, the oldest first; none if no worker had a version yet."""
    try:
        answer = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return []
        raise
    summaries = sorted(
        answer.worker_deployment_info.version_summaries,
        key=lambda one: (one.create_time.seconds, one.create_time.nanos),
    )
    return [
        Version(
            one.deployment_version.build_id,
            WorkerDeploymentVersionStatus.Name(one.status).removeprefix(STATUS).lower(),
            await _open(client, deployment, one.deployment_version.build_id),
        )
        for one in summaries
    ]


async def standing(client: Client, deployment: str, build: str) -> str:
    """What a worker's build is good for now, in one line for whoever started it."""
    try:
        found = {one.build_id: one.status for one in await versions(client, deployment)}
    except RPCError as error:
        return f"build {build} of {deployment}: {error.message}"
    if found.get(build) == "current":
        return f"build {build} of {deployment} is current: new jobs begin on it"
    others = "another one is" if "current" in found.values() else "and no other one is"
    return f"build {build} of {deployment} is not current, {others}: penstock promote {build}"


async def promote(client: Client, deployment: str, build: str, patience: float) -> int:
    """Make a build the current one: new jobs begin on it, and Fleet and semaphores move to it.

    Waits up to `patience` seconds for its workers, and as long for the move; the answer is how
    many have not moved yet. Raises NotPromoted.
    """
    deadline = time.monotonic() + patience
    while not await _serves(client, deployment, build):
        if time.monotonic() >= deadline:
            raise NotPromoted(
                f"no worker of {deployment} {build} serves: start one with worker.deployment_name"
                f" = '{deployment}' and worker.build_id = '{build}'"
            )
        await asyncio.sleep(LOOK_SECONDS)
    try:
        await client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=client.namespace,
                deployment_name=deployment,
                build_id=build,
                identity=client.identity,
            )
        )
    except RPCError as error:
        if error.status == RPCStatusCode.FAILED_PRECONDITION:
            raise NotPromoted(f"Temporal refuses {deployment} {build}: {error}") from None
        raise
    return await _move(client, deployment, build, time.monotonic() + patience)


async def _move(client: Client, deployment: str, build: str, deadline: float) -> int:
    """Have Fleet and semaphores look around, by messages that say nothing, until they have moved.

    One that has nothing to do would hear of the new version with its next message, perhaps an
    hour from now, and would keep the former version's workers waiting. Not all of Temporal knows
    of the promotion at once, nor do its lists show a move at once: so it is said again.
    """
    kinds = f"WorkflowType IN ('{names.FLEET}', '{names.REPO_SEMAPHORE}')"
    running = f"{kinds} AND ExecutionStatus='Running'"
    there = f"{running} AND TemporalWorkerDeploymentVersion='{deployment}:{build}'"
    pause = LOOK_SECONDS
    while True:
        every = {one.id async for one in client.list_workflows(running)}
        left = every - {one.id async for one in client.list_workflows(there)}
        if not left or time.monotonic() >= deadline:
            return len(left)
        for workflow_id in sorted(left):
            if workflow_id == names.FLEET_ID:
                await _say(client, workflow_id, "launches", Launches("promotion"))
            else:
                await _say(client, workflow_id, "acquire_many", Acquires())
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _say(client: Client, workflow_id: str, signal: str, message: object) -> None:
    try:
        await client.get_workflow_handle(workflow_id).signal(signal, message)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:  # it has ended: it will begin where it should
            raise


async def _serves(client: Client, deployment: str, build: str) -> bool:
    try:
        answer = await client.workflow_service.describe_worker_deployment_version(
            DescribeWorkerDeploymentVersionRequest(
                namespace=client.namespace,
                deployment_version=WorkerDeploymentVersion(
                    deployment_name=deployment, build_id=build
                ),
            )
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return {(queue.name, queue.type) for queue in answer.version_task_queues} >= QUEUES


async def _open(client: Client, deployment: str, build: str) -> int:
    version = f"TemporalWorkerDeploymentVersion='{deployment}:{build}'"
    found = await client.count_workflows(f"{version} AND ExecutionStatus='Running'")
    return found.count
