"""Penstock's tables themselves: made by `penstock setup`, looked at by `penstock doctor`."""

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

KEY_ATTRIBUTE, TTL_ATTRIBUTE = "cacheKey", "expiresAt"
# A table that was made a moment ago is not ready to be backed up.
NOT_YET = "ContinuousBackupsUnavailableException"
TRIES, TRY_SECONDS = 30, 2.0


@dataclass(frozen=True)
class Kind:
    """What a table must be like."""

    key: str  # the partition key, a text
    setting: str  # that names the table
    ttl: str = ""  # the attribute by which items expire; empty: none do
    recoverable: bool = False  # to any second of the last 35 days


# What is kept there expires within the hour: an old state of it would be worth nothing.
TOKENS = Kind(KEY_ATTRIBUTE, "tokens.table", ttl=TTL_ATTRIBUTE)
# Written anew by itself; but what ran at some second of last week can be asked of a copy.
CONCURRENCY = Kind("repository", "concurrency.table", recoverable=True)


async def ensure(
    client: "DynamoDBClient", table: str, kind: Kind, *, dry_run: bool = False
) -> list[str]:
    """Make the table such; what was (or would be) changed. Raises AwsError."""
    return await asyncio.to_thread(_ensure, client, table, kind, dry_run)


async def make(client: "DynamoDBClient", table: str) -> bool:
    """`ensure` for the tokens' table; whether anything was lacking. Raises AwsError."""
    return bool(await ensure(client, table, TOKENS))


async def wrong(client: "DynamoDBClient", table: str, kind: Kind = TOKENS) -> str:
    """What is wrong with the table, in a few words; empty if nothing. Raises AwsError."""
    return await asyncio.to_thread(_wrong, client, table, kind)


def _ensure(client: "DynamoDBClient", table: str, kind: Kind, dry_run: bool) -> list[str]:
    changed: list[str] = []
    try:
        new = not _exists(client, table)
        if new:
            changed.append(f"table {table} made")
            if not dry_run:
                _create(client, table, kind)
        elif said := _wrong_key(client, table, kind):
            raise AwsError(f"DynamoDB table {table}: {said}")
        # Also of a table whose setup was cut short.
        if kind.ttl and (new or not _has_ttl(client, table, kind)):
            changed.append(f"table {table} expires by {kind.ttl}")
            if not dry_run:
                client.update_time_to_live(
                    TableName=table,
                    TimeToLiveSpecification={"Enabled": True, "AttributeName": kind.ttl},
                )
        if kind.recoverable and (new or not _is_recoverable(client, table)):
            changed.append(f"table {table} can be recovered to a point in time")
            if not dry_run:
                _make_recoverable(client, table)
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"DynamoDB table {table}: {told(error)}") from None
    return changed


def _create(client: "DynamoDBClient", table: str, kind: Kind) -> None:
    try:
        client.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": kind.key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": kind.key, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification={"Enabled": True},
        )
    except ClientError as error:
        if told(error) != "ResourceInUseException":  # another setup makes it at this moment
            raise
    client.get_waiter("table_exists").wait(
        TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def _wrong(client: "DynamoDBClient", table: str, kind: Kind) -> str:
    try:
        if not _exists(client, table):
            return "it does not exist"
        if said := _wrong_key(client, table, kind):
            return said
        if kind.ttl and not _has_ttl(client, table, kind):
            return f"its TTL is not on {kind.ttl}"
    except (ClientError, BotoCoreError) as error:
        raise AwsError(f"DynamoDB table {table}: {told(error)}") from None
    return ""


def _wrong_key(client: "DynamoDBClient", table: str, kind: Kind) -> str:
    found = client.describe_table(TableName=table)["Table"]
    keys = [(key["AttributeName"], key["KeyType"]) for key in found.get("KeySchema", [])]
    if keys == [(kind.key, "HASH")]:
        return ""
    return f"its partition key is not {kind.key}: name another one by {kind.setting}"


def _has_ttl(client: "DynamoDBClient", table: str, kind: Kind) -> bool:
    found = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    enabled = found.get("TimeToLiveStatus", "") in ("ENABLED", "ENABLING")
    return enabled and found.get("AttributeName") == kind.ttl


def _is_recoverable(client: "DynamoDBClient", table: str) -> bool:
    answer = client.describe_continuous_backups(TableName=table)
    found = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return found.get("PointInTimeRecoveryStatus", "") == "ENABLED"


def _make_recoverable(client: "DynamoDBClient", table: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            client.update_continuous_backups(
                TableName=table,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
            return
        except ClientError as error:
            if told(error) != NOT_YET or not left:
                raise
        time.sleep(TRY_SECONDS)


def _exists(client: "DynamoDBClient", table: str) -> bool:
    try:
        client.describe_table(TableName=table)
    except ClientError as error:
        if told(error) == "ResourceNotFoundException":
            return False
        raise
    return True
