"""The queue of the dead letters itself: found, made by setup, looked at by the doctor."""

import asyncio
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

RETENTION_SECONDS = 14 * 24 * 3600  # the longest that SQS keeps a message
SMALLEST_MESSAGE = 256 * 1024  # the limit of queues made before SQS took 1 MiB
# AWS answers with the one in its older protocol, with the other in its JSON protocol.
MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


async def url_of(client: "SQSClient", name: str) -> str:
    """The queue's address; empty if there is none of this name. Raises AwsError."""
    return await asyncio.to_thread(_url_of, client, name)


async def make(client: "SQSClient", name: str, *, dry_run: bool = False) -> bool:
    """Make the queue if there is none; whether it was made (or would be). Raises AwsError."""
    return await asyncio.to_thread(_make, client, name, dry_run)


async def wrong(client: "SQSClient", url: str) -> str:
    """What is wrong with the queue, in a few words; empty if nothing. Raises AwsError."""
    return await asyncio.to_thread(_wrong, client, url)


def _url_of(client: "SQSClient", name: str) -> str:
    try:
        return client.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if told(error) in MISSING:
            return ""
        raise AwsError(f"SQS queue {name}: {told(error)}") from None
    except BotoCoreError as error:
        raise AwsError(f"SQS queue {name}: {told(error)}") from None


def _make(client: "SQSClient", name: str, dry_run: bool) -> bool:
    if _url_of(client, name):
        return False
    if dry_run:
        return True
    try:
        client.create_queue(
            QueueName=name,
            Attributes={
                "MessageRetentionPeriod": str(RETENTION_SECONDS),
                "MaximumMessageSize": str(1024 * 1024),
                "SqsManagedSseEnabled": "true",
            },
        )
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"SQS queue {name}: {told(error)}") from None
    return True


def _wrong(client: "SQSClient", url: str) -> str:
    try:
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"SQS queue {url}: {told(error)}") from None
    attributes = found.get("Attributes", {})
    if attributes.get("RedrivePolicy"):
        return "it has a redrive policy, which takes letters away once they were listed often"
    if int(attributes.get("DelaySeconds", 0)) > 0:
        return "it delays its messages: a letter is not seen when it was written"
    return ""
