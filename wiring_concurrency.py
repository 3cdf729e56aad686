"""Settings → what a worker publishes of the fleet, as loops beside it."""

import time
from collections.abc import Coroutine
from typing import Any

from temporalio.client import Client

from activities.clients.concurrency_table import DynamoDBConcurrency
from activities.concurrency import Publisher
from activities.repeat import repeat
from settings import Settings
from wiring import aws_of


def loops_of(client: Client, settings: Settings) -> list[Coroutine[Any, Any, None]]:
    """Each to be run as a task, and cancelled at the worker's end. Nothing is asked of AWS yet."""
    of = settings.concurrency
    if not of.enabled:
        return []
    table = DynamoDBConcurrency(aws_of(settings).dynamodb, of.table)
    publisher = Publisher(client, table, time.time)
    return [repeat("the table of what runs", publisher.look, of.every_seconds)]
