"""The log group in CloudWatch: made by `penstock setup`, with an end to what it keeps."""

import asyncio
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told

if TYPE_CHECKING:
    from types_boto3_logs.client import CloudWatchLogsClient


async def ensure(
    client: "CloudWatchLogsClient", name: str, days: int, *, dry_run: bool = False
) -> list[str]:
    """Make the group and set its retention; what was (or would be) changed. Raises AwsError."""
    return await asyncio.to_thread(_ensure, client, name, days, dry_run)


def _ensure(client: "CloudWatchLogsClient", name: str, days: int, dry_run: bool) -> list[str]:
    try:
        kept = _kept_days(client, name)
        if kept == days:
            return []
        changed = [] if kept is not None else [f"log group {name} made"]
        changed.append(f"log group {name} keeps {days} days")
        if not dry_run:
            if kept is None:
                _create(client, name)
            client.put_retention_policy(logGroupName=name, retentionInDays=days)
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"log group {name}: {told(error)}") from None
    return changed


def _create(client: "CloudWatchLogsClient", name: str) -> None:
    try:
        client.create_log_group(logGroupName=name)
    except ClientError as error:
        if told(error) != "ResourceAlreadyExistsException":  # another setup made it just now
            raise


def _kept_days(client: "CloudWatchLogsClient", name: str) -> int | None:
    """The retention of the group, 0 if it keeps all for ever; None if there is no such group."""
    for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name):
        for group in page["logGroups"]:
            if group.get("logGroupName") == name:
                return group.get("retentionInDays", 0)
    return None
