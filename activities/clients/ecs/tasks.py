"""Tasks listed and described, by the hundred."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from activities.ecs_task import Task, parse

if TYPE_CHECKING:
    from types_boto3_ecs.client import ECSClient

BATCH = 100  # DescribeTasks takes no more


def listed(
    client: "ECSClient", cluster: str, status: Literal["RUNNING", "STOPPED"], name: str = ""
) -> list[str]:
    """The ARNs of the tasks that should run, or should not; of one runner, if it is named."""
    found: list[str] = []
    token = ""
    while True:
        more: Any = {"startedBy": name} if name else {}
        if token:
            more["nextToken"] = token
        answer = client.list_tasks(cluster=cluster, desiredStatus=status, **more)
        found += answer["taskArns"]
        token = answer.get("nextToken", "")
        if not token:
            return found


def described(client: "ECSClient", cluster: str, arns: Sequence[str]) -> Iterator[Task]:
    """What they are; one that ECS does not know (any more, or yet) is left out."""
    for batch in batches(arns):
        answer = client.describe_tasks(cluster=cluster, tasks=batch)
        yield from map(parse, answer["tasks"])


def batches(arns: Iterable[str]) -> Iterator[list[str]]:
    """No more than ECS takes at once."""
    every = list(arns)
    for start in range(0, len(every), BATCH):
        yield every[start : start + BATCH]
