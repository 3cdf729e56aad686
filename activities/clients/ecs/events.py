"""ECS's task events from an SQS queue: the launcher hears at once that a task has stopped.

An event is a hint, looked up before it is believed: so it may be forged, doubled, late, or come
out of order. What gets lost, polling finds.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import told
from activities.ecs_task import of_event

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

logger = logging.getLogger(__name__)

WAIT_SECONDS = 20  # SQS's longest poll
BATCH = 10
PAUSE_SECONDS = 10.0  # after SQS did not answer


class TaskEvents:
    """Reads one queue, to which an EventBridge rule sends."""

    def __init__(self, client: "SQSClient", url: str, hint: Callable[[str], None]) -> None:
        """`client` must be patient for WAIT_SECONDS; `hint` takes a task's ARN."""
        self._client = client
        self._url = url
        self._hint = hint
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="ecs-events")
        self._failing = False

    async def run(self) -> None:
        """Read until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    for arn in await loop.run_in_executor(self._threads, self._receive):
                        self._hint(arn)
                    self._failing = False
                except (ClientError, BotoCoreError) as error:
                    if not self._failing:
                        logger.warning("ECS's events cannot be read: %s", told(error))
                    self._failing = True
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _receive(self) -> list[str]:
        answer = self._client.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=WAIT_SECONDS
        )
        messages = answer.get("Messages", [])
        if messages:
            self._client.delete_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message.get("ReceiptHandle", "")}
                    for number, message in enumerate(messages)
                ],
            )
        arns = (stopped(message.get("Body", "")) for message in messages)
        return [arn for arn in arns if arn]


def stopped(body: str) -> str:
    """The ARN of the task that an event says has stopped; empty for anything else."""
    try:
        task = of_event(json.loads(body))
    except ValueError:
        task = None
    if task is None:
        logger.warning("a message that is no event of ECS was dropped from the events' queue")
    return task.arn if task and task.stopped else ""
