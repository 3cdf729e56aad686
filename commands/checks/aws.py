"""AWS, where the configuration uses it."""

from collections.abc import AsyncIterator

from activities.clients import dead_letter_queue, dynamodb_table
from activities.clients.aws import Aws, AwsError
from commands.checks import ecs as ecs_check
from commands.checks.cloudwatch import cloudwatch
from commands.checks.finding import Finding
from settings import InvalidSettings, Settings
from wiring import aws_of, credentials_of, sealer_of


async def look(settings: Settings) -> AsyncIterator[Finding]:
    """One finding after another."""
    github, tokens = settings.github, settings.tokens
    of_github = github.private_key_secret or github.token_secret
    queue = settings.dead_letters.store == "sqs"
    ecs, told = settings.runner.launcher == "ecs", settings.cloudwatch.enabled
    published = settings.concurrency.enabled
    if tokens.store != "dynamodb" and not any((of_github, queue, ecs, told, published)):
        yield Finding("AWS", "skipped", "nothing of the configuration is there")
        return
    aws = aws_of(settings)
    try:
        yield Finding("AWS", "good", await aws.caller())
    except AwsError as error:
        said = f"{error}: check AWS_PROFILE or the machine's role, and aws.region"
        yield Finding("AWS", "bad", said)
        return
    if of_github:
        try:
            await credentials_of(settings)
            yield Finding("Secrets Manager", "good", of_github)
        except InvalidSettings as error:
            said = f"{error}: it wants secretsmanager:GetSecretValue"
            yield Finding("Secrets Manager", "bad", said)
    if queue:
        yield await _queue(settings, aws)
    if ecs:
        async for finding in ecs_check.look(settings, aws):
            yield finding
    if told:
        yield await cloudwatch(settings)
    if published:
        yield await _concurrency(settings, aws)
    if tokens.store != "dynamodb":
        return
    try:
        sealer = await sealer_of(settings)
        yield Finding("encryption keys", "good", f"{sealer.current} seals")
    except InvalidSettings as error:
        yield Finding("encryption keys", "bad", str(error))
    what = f"table {tokens.table}"
    try:
        client = aws.dynamodb()
    except AwsError as error:
        yield Finding(what, "bad", str(error))
        return
    try:
        wrong = await dynamodb_table.wrong(client, tokens.table)
    except AwsError as error:
        said = f"{error}: it wants dynamodb:DescribeTable, BatchGetItem and PutItem"
        yield Finding(what, "bad", said)
        return
    if wrong:
        yield Finding(what, "bad", f"{wrong}: run penstock setup")
    else:
        yield Finding(what, "good", f"TTL on {dynamodb_table.TTL_ATTRIBUTE}")


async def _concurrency(settings: Settings, aws: Aws) -> Finding:
    """The table of what runs."""
    table = settings.concurrency.table
    what = f"table {table}"
    try:
        wrong = await dynamodb_table.wrong(aws.dynamodb(), table, dynamodb_table.CONCURRENCY)
    except AwsError as error:
        return Finding(what, "bad", f"{error}: the role wants what deploy/iam/worker.json lists")
    if wrong:
        return Finding(what, "bad", f"{wrong}: run penstock setup")
    return Finding(what, "good", f"written every {settings.concurrency.every_seconds:g} s")


async def _queue(settings: Settings, aws: Aws) -> Finding:
    """The queue of the dead letters."""
    letters, client = settings.dead_letters, aws.sqs()
    what = f"queue {letters.queue_name}"
    try:
        url = letters.queue_url or await dead_letter_queue.url_of(client, letters.queue_name)
        if not url:
            return Finding(what, "bad", "it does not exist: run penstock setup")
        wrong = await dead_letter_queue.wrong(client, url)
    except AwsError as error:
        return Finding(what, "bad", f"{error}: the role wants what docs/dead-letters.md lists")
    if wrong:
        return Finding(what, "bad", f"{wrong}: take that off, or name another queue")
    return Finding(what, "good", url)
