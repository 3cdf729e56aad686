"""The token table itself: made by `penstock setup`, looked at by `penstock doctor`."""

import asyncio
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

TTL_ATTRIBUTE = "expiresAt"


async def make(client: "DynamoDBClient", table: str) -> bool:
    """Make the table if there is none, with its TTL; whether it was made. Raises AwsError."""
    return await asyncio.to_thread(_make, client, table)


async def wrong(client: "DynamoDBClient", table: str) -> str:
    """What is wrong with the table, in a few words; empty if nothing. Raises AwsError."""
    return await asyncio.to_thread(_wrong, client, table)


def _make(client: "DynamoDBClient", table: str) -> bool:
    try:
        if _exists(client, table):
            return False
        client.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification={"Enabled": True},
        )
        client.get_waiter("table_exists").wait(
            TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        client.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE},
        )
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"DynamoDB table {table}: {told(error)}") from None
    return True


def _wrong(client: "DynamoDBClient", table: str) -> str:
    try:
        if not _exists(client, table):
            return "it does not exist"
        found = client.describe_table(TableName=table)["Table"]
        keys = [(key["AttributeName"], key["KeyType"]) for key in found.get("KeySchema", [])]
        if keys != [("id", "HASH")]:
            return "its partition key is not `id`"
        ttl = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if ttl.get("AttributeName") != TTL_ATTRIBUTE:
            return f"its TTL is not on {TTL_ATTRIBUTE}"
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"DynamoDB table {table}: {told(error)}") from None
    return ""


def _exists(client: "DynamoDBClient", table: str) -> bool:
    try:
        client.describe_table(TableName=table)
    except ClientError as error:
        if told(error) == "ResourceNotFoundException":
            return False
        raise
    return True
