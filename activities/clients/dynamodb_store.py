"""The token store on DynamoDB: conditional writes, all or none; secrets sealed.

Table `self-runners-tokens`: partition key `cacheKey` (text); `version` (number), `value` (JSON),
`secret` (sealed), `expiresAt` (whole epoch seconds, the TTL attribute). DynamoDB deletes expired
items up to days late (AWS, "Using time to live"): every reader and every condition compares.
"""

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.dynamodb_table import KEY_ATTRIBUTE
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

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        sealer: Sealer,
        clock: Clock,
        heard: Callable[[float, float], None] | None = None,
    ) -> None:
        """`clock` gives epoch seconds. The client is used from threads, as boto3 allows.

        `heard` gets the time by AWS (epoch seconds) and how many seconds the answer took.
        """
        self._client = client
        self._table = table
        self._sealer = sealer
        self._clock = clock
        self._heard = heard

    async def read(self, *keys: str) -> dict[str, Record]:
        """As the port says."""
        sent = time.monotonic()
        answer = await self._ask(
            lambda: self._client.batch_get_item(
                RequestItems={
                    self._table: {
                        "Keys": [{KEY_ATTRIBUTE: {"S": key}} for key in dict.fromkeys(keys)],
                        "ConsistentRead": True,
                    }
                }
            )
        )
        if answer.get("UnprocessedKeys"):
            raise StoreUnavailable(f"DynamoDB table {self._table} answers only in part")
        self._tell(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""), sent)
        found: dict[str, Record] = {}
        for item in answer.get("Responses", {}).get(self._table, []):
            record = self._record(item)
            if record.expires_at > self._clock():
                found[str(item[KEY_ATTRIBUTE].get("S"))] = record
        return found

    async def write(self, changes: Sequence[Change]) -> bool:
        """As the port says."""
        items = [self._put(change) for change in changes]
        try:
            await self._ask(lambda: self._client.transact_write_items(TransactItems=items))
        except _Lost:
            return False
        return True

    def _tell(self, date: str, sent: float) -> None:
        if self._heard:
            with contextlib.suppress(ValueError):
                said = parsedate_to_datetime(date).timestamp()
                self._heard(said, time.monotonic() - sent)

    def _put(self, change: Change) -> "TransactWriteItemTypeDef":
        now = {":now": {"N": repr(self._clock())}}
        absent = f"attribute_not_exists({KEY_ATTRIBUTE}) OR expiresAt <= :now"
        same = "version = :version AND expiresAt > :now"
        if change.version:
            condition, values = same, {**now, ":version": {"N": str(change.version)}}
        else:
            condition, values = absent, now
        item: dict[str, Any] = {
            KEY_ATTRIBUTE: {"S": change.key},
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
        key, sealed = item[KEY_ATTRIBUTE]["S"], item.get("secret", {}).get("S", "")
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
