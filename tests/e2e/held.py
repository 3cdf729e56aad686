"""What lies at AWS after a run, each text named `place: which`; no values of secrets.

Those are where secrets belong, and only their names are to be read by whoever may list them.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from activities.clients.aws import Aws
from tests.activities.ecs_front import Front


async def in_tables(aws: Aws, *tables: str) -> dict[str, list[Any]]:
    """The items of tables of DynamoDB."""
    client = aws.dynamodb()
    return {
        name: (await asyncio.to_thread(client.scan, TableName=name))["Items"] for name in tables
    }


async def in_cloudwatch(aws: Aws) -> dict[str, str]:
    """Names and dimensions of all metrics, the alarms, the dashboards."""

    def read() -> dict[str, str]:
        client = aws.cloudwatch()
        metrics = [page["Metrics"] for page in client.get_paginator("list_metrics").paginate()]
        alarms = list(client.get_paginator("describe_alarms").paginate())
        boards = client.list_dashboards()["DashboardEntries"]
        bodies = [client.get_dashboard(DashboardName=one["DashboardName"]) for one in boards]
        found = {"metrics": metrics, "alarms": alarms, "dashboards": [boards, bodies]}
        return {f"cloudwatch {what}: all": _text(said) for what, said in found.items()}

    return await asyncio.to_thread(read)


async def in_queue(aws: Aws, name: str) -> dict[str, str]:
    """An SQS queue and its messages, with all that belongs to them; they are let go of again."""

    def read() -> dict[str, str]:
        client = aws.sqs()
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        every = {"MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]}
        letters: list[Any] = []
        while found := client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60, **every
        ).get("Messages"):
            letters += found
        for letter in letters:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"], VisibilityTimeout=0
            )
        queue = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return {"sqs queue: itself": _text(queue), "sqs letters: all": _text(letters)}

    return await asyncio.to_thread(read)


def at_ecs(ecs: Front) -> dict[str, str]:
    """All that ECS and Parameter Store were told, and what their tasks are for everybody."""
    return {
        "ecs calls: all": _text(ecs.calls),
        "ecs tasks: all": _text([task.body for task in ecs.tasks.values()]),
        "ecs tags: all": _text([order.get("tags") for order in ecs.orders()]),
        "ecs overrides: all": _text([order.get("overrides") for order in ecs.orders()]),
        "ssm names: all": _text(ecs.labels),
    }


def texts(items: dict[str, list[Any]]) -> dict[str, str]:
    """Of tables."""
    return {f"dynamodb {table}: all": _text(found) for table, found in items.items()}


def _text(said: Sequence[Any] | dict[str, Any]) -> str:
    return json.dumps(said, default=str)
