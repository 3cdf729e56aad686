"""The token store on DynamoDB: conditional writes, all or none; secrets sealed.

Table `self-runners-tokens`: partition key `id` (text); `version` (number), `value` (JSON),
`secret` (sealed), `expiresAt` (whole epoch seconds, the TTL attribute). DynamoDB deletes expired
items up to days late (AWS, "Using time to live"): every reader and every condition compares.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.sealing import Sealer
from activities.token_store import Change, Clock, Record, StoreUnavailable

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

logger = logging.getLogger(__name__)

T = TypeVar("T")
LOST = ("ConditionalCheckFailedException", "TransactionCanceledException")
# Another transaction is at the same items: as lost as a condition, and to be tried again.
BUSY = ("TransactionConflictException", "TransactionInProgressException")


class DynamoDBStore:
    """The port activities/token_store.py."""

    def __init__(self, client: "DynamoDBClient", table: str, sealer: Sealer, clock: Clock) -> None:
        """`clock` gives epoch seconds. The client is used from threads, as boto3 allows."""
        self._client = client
        self._table = table
        self._sealer = sealer
        self._clock = clock

    async def read(self, *keys: str) -> dict[str, Record]:
        """As the port says."""
        answer = await self._ask(
            lambda: self._client.batch_get_item(
                RequestItems={
                    self._table: {
                        "Keys": [{"id": {"S": key}} for key in dict.fromkeys(keys)],
                        "ConsistentRead": True,
                    }
                }
            )
        )
        if answer.get("UnprocessedKeys"):
            raise StoreUnavailable(f"DynamoDB table {self._table} answers only in part")
        found: dict[str, Record] = {}
        for item in answer.get("Responses", {}).get(self._table, []):
            record = self._record(item)
            if record.expires_at > self._clock():
                found[str(item["id"].get("S"))] = record
        return found

    async def write(self, changes: Sequence[Change]) -> bool:
        """As the port says."""
        items = [self._put(change) for change in changes]
        try:
            await self._ask(lambda: self._client.transact_write_items(TransactItems=items))
        except _Lost:
            return False
        return True

    def _put(self, change: Change) -> "TransactWriteItemTypeDef":
        now = {":now": {"N": repr(self._clock())}}
        absent = "attribute_not_exists(id) OR expiresAt <= :now"
        same = "version = :version AND expiresAt > :now"
        if change.version:
            condition, values = same, {**now, ":version": {"N": str(change.version)}}
        else:
            condition, values = absent, now
        item: dict[str, Any] = {
            "id": {"S": change.key},
            "version": {"N": str(change.next_version)},
            "value": {"S": json.dumps(change.value, sort_keys=True)},
            "expiresAt": {"N": str(math.ceil(change.expires_at))},  # TTL takes whole seconds
        }
        if change.secret:
            item["secret"] = {"S": self._sealer.seal(change.secret, change.key)}
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def _record(self, item: dict[str, Any]) -> Record:
        key, sealed = item["id"]["S"], item.get("secret", {}).get("S", "")
        secret = self._sealer.open(sealed, key) if sealed else ""
        if secret is None:
            # Minted anew: the record stays as good as empty until then.
            logger.warning("the secret under %s is sealed with a key that is not configured", key)
        return Record(
            int(item["version"]["N"]),
            json.loads(item["value"]["S"]),
            secret or "",
            float(item["expiresAt"]["N"]),
        )

    async def _ask(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in LOST + BUSY:
                reasons: list[Any] = list(error.response.get("CancellationReasons", []))
                codes = {reason.get("Code", "None") for reason in reasons}
                if codes <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                    raise _Lost from None
            raise StoreUnavailable(f"DynamoDB table {self._table}: {code}") from None
        except BotoCoreError as error:
            raise StoreUnavailable(
                f"DynamoDB table {self._table}: {type(error).__name__}"
            ) from None


class _Lost(Exception):
    """Another worker wrote first."""
