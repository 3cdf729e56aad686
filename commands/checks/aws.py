"""AWS, where the configuration uses it."""

from collections.abc import AsyncIterator

from activities.clients import dynamodb_table
from activities.clients.aws import AwsError
from commands.checks.finding import Finding
from settings import InvalidSettings, Settings
from wiring import aws_of, credentials_of, sealer_of


async def look(settings: Settings) -> AsyncIterator[Finding]:
    """One finding after another."""
    github, tokens = settings.github, settings.tokens
    of_github = github.private_key_secret or github.token_secret
    if tokens.store != "dynamodb" and not of_github:
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
    if tokens.store != "dynamodb":
        return
    try:
        sealer = await sealer_of(settings)
        yield Finding("encryption keys", "good", f"{sealer.current} seals")
    except InvalidSettings as error:
        yield Finding("encryption keys", "bad", str(error))
    what = f"table {tokens.table}"
    try:
        wrong = await dynamodb_table.wrong(aws.dynamodb(), tokens.table)
    except AwsError as error:
        said = f"{error}: it wants dynamodb:DescribeTable, BatchGetItem and PutItem"
        yield Finding(what, "bad", said)
        return
    if wrong:
        yield Finding(what, "bad", f"{wrong}: run penstock setup")
    else:
        yield Finding(what, "good", f"TTL on {dynamodb_table.TTL_ATTRIBUTE}")
