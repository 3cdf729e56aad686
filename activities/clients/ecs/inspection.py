"""What the doctor asks of ECS: is there what the configuration names. Nothing is started."""

import asyncio
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told

if TYPE_CHECKING:
    from types_boto3_ecs.client import ECSClient


async def cluster(client: "ECSClient", name: str) -> str:
    """What is wrong with the cluster; empty if nothing is. Raises AwsError."""
    try:
        answer = await asyncio.to_thread(client.describe_clusters, clusters=[name])
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"ECS: {told(error)}") from None
    for found in answer["clusters"]:
        status = found.get("status", "")
        return "" if status == "ACTIVE" else f"it is {status.lower() or 'without a status'}"
    return "there is no such cluster"


async def task_definition(client: "ECSClient", name: str, container: str) -> str:
    """What is wrong with a task definition; empty if nothing is. Raises AwsError."""
    ask = client.describe_task_definition
    try:
        found = (await asyncio.to_thread(ask, taskDefinition=name))["taskDefinition"]
    except ClientError as error:
        if told(error) == "ClientException":
            return "there is no such task definition: register it, or set ecs.task_definition"
        raise AwsError(f"ECS: {told(error)}") from None
    except BotoCoreError as error:
        raise AwsError(f"ECS: {told(error)}") from None
    if found.get("status") != "ACTIVE":
        return f"it is {found.get('status', '').lower()}: register it anew"
    names = [one.get("name", "") for one in found.get("containerDefinitions", [])]
    if container not in names:
        return f"it has no container {container!r}, but {names}: set ecs.container"
    return ""
