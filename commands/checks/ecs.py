"""ECS, where runners are tasks: the cluster, the task definitions, the way of the secrets."""

from collections.abc import AsyncIterator

from activities.clients.aws import Aws, AwsError
from activities.clients.ecs import inspection
from commands.checks.finding import Finding
from settings import Settings


async def look(settings: Settings, aws: Aws) -> AsyncIterator[Finding]:
    """One finding after another; nothing is started."""
    table = settings.ecs
    if missing := table.missing():
        yield Finding("ECS", "bad", missing)
        return
    what = f"cluster {table.cluster}"
    try:
        client = aws.ecs()
        wrong = await inspection.cluster(client, table.cluster)
    except AwsError as error:
        yield Finding(what, "bad", f"{error}: it wants ecs:DescribeClusters, or check aws.region")
        return
    yield Finding(what, "bad", f"{wrong}: set ecs.cluster") if wrong else Finding(what, "good", "")
    seen: set[tuple[str, str]] = set()
    for profile in table.every_profile:
        key = profile.task_definition, profile.container
        if not profile.task_definition or key in seen:
            continue
        seen.add(key)
        what = f"task definition {profile.task_definition}"
        try:
            wrong = await inspection.task_definition(client, *key)
        except AwsError as error:
            yield Finding(what, "bad", f"{error}: it wants ecs:DescribeTaskDefinition")
            continue
        if wrong:
            yield Finding(what, "bad", wrong)
        else:
            yield Finding(what, "good", f"container {profile.container}")
