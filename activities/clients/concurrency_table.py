"""The table of what runs, on DynamoDB: a row a repository, each written on one certain version.

Table `self-runners-concurrency`: partition key `repository` (text, `owner/repo` in lower case);
`runningCount`, `waiting`, `limit`, `version` (numbers), `organization`, `epoch` (text),
`lastUpdated` (text, UTC as in ISO 8601).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import AwsError, told
from activities.concurrency import TableUnavailable
from policy.concurrency import Row

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

T = TypeVar("T")
THREADS = 4  # of its own: should AWS hang, nobody else waits for a thread
KEY = "repository"


class DynamoDBConcurrency:
    """The port activities/concurrency.py."""

    def __init__(self, client: Callable[[], "DynamoDBClient"], table: str) -> None:
        """`client` is made at the first use, so that AWS cannot keep a worker from starting."""
        self._make = client
        self._made: DynamoDBClient | None = None
        self._table = table
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="concurrency-table")

    async def rows(self) -> dict[str, Row]:
        """As the port says."""
        items = await self._do(self._scan)
        return {row.repo: row for row in map(_row, items)}

    async def write(self, row: Row, replaced: int) -> bool:
        """As the port says."""
        return await self._do(lambda: self._put(row, replaced))

    @property
    def _client(self) -> "DynamoDBClient":
        if self._made is None:
            self._made = self._make()
        return self._made

    def _scan(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            answer = self._client.scan(TableName=self._table, ConsistentRead=True, **start)
            found += answer["Items"]
            last = answer.get("LastEvaluatedKey")
            if not last:
                return found
            start = {"ExclusiveStartKey": last}

    def _put(self, row: Row, replaced: int) -> bool:
        same = {":version": {"N": str(replaced)}}
        how: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(version)"}
        if replaced:
            how = {
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": same,
            }
        try:
            self._client.put_item(TableName=self._table, Item=_item(row), **how)
        except ClientError as error:
            if told(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    async def _do(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except AwsError as error:
            raise TableUnavailable(f"DynamoDB table {self._table}: {error}") from None
        except (ClientError, BotoCoreError) as error:
            said = told(error)
            mend = MENDS.get(said, "")
            raise TableUnavailable(f"DynamoDB table {self._table}: {said}{mend}") from None


MENDS = {
    "ResourceNotFoundException": ": run penstock setup",
    "AccessDeniedException": ": the role wants what deploy/iam/worker.json lists",
}


def _item(row: Row) -> dict[str, Any]:
    written = datetime.fromtimestamp(row.written_at, UTC).isoformat(timespec="milliseconds")
    return {
        KEY: {"S": row.repo},
        "organization": {"S": row.repo.partition("/")[0]},
        "runningCount": {"N": str(row.running)},
        "waiting": {"N": str(row.waiting)},
        "limit": {"N": str(row.limit)},
        "epoch": {"S": row.epoch},
        "version": {"N": str(row.version)},
        "lastUpdated": {"S": written.replace("+00:00", "Z")},
    }


def _row(item: dict[str, Any]) -> Row:
    """What is there of a row; one that somebody else wrote may lack anything but its key."""

    def number(name: str) -> int:
        try:
            return int(item[name]["N"])
        except (KeyError, ValueError):
            return -1 if name != "version" else 0  # no count that is true: it is written anew

    try:
        written = datetime.fromisoformat(item["lastUpdated"]["S"]).timestamp()
    except (KeyError, ValueError):
        written = 0.0
    return Row(
        item[KEY]["S"],
        number("runningCount"),
        number("waiting"),
        number("limit"),
        item.get("epoch", {}).get("S", ""),
        number("version"),
        written,
    )
