"""Clients of AWS, and secrets kept there. Credentials come the way AWS's own tools find them."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_ecs.client import ECSClient
    from types_boto3_logs.client import CloudWatchLogsClient
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_sqs.client import SQSClient
    from types_boto3_ssm.client import SSMClient
    from types_boto3_sts.client import STSClient

# Retries are Temporal's; two tries bridge a connection that AWS has closed.
_CONFIG = Config(
    retries={"total_max_attempts": 2, "mode": "standard"},
    connect_timeout=3,
    read_timeout=5,
    max_pool_connections=20,
)


class AwsError(Exception):
    """AWS did not do what was asked; the message names the service and the error."""


@dataclass(frozen=True)
class Aws:
    """Where AWS is. Empty: the region and endpoints of the environment."""

    region: str = ""
    endpoint_url: str = ""

    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB. Raises AwsError."""
        return self._client("dynamodb", "DynamoDB")

    def cloudwatch(self) -> "CloudWatchClient":
        """CloudWatch. Raises AwsError."""
        return self._client("cloudwatch", "CloudWatch")

    def logs(self) -> "CloudWatchLogsClient":
        """CloudWatch Logs. Raises AwsError."""
        return self._client("logs", "CloudWatch Logs")

    def ecs(self) -> "ECSClient":
        """Elastic Container Service. Raises AwsError."""
        return self._client("ecs", "ECS")

    def ssm(self) -> "SSMClient":
        """Systems Manager, for its Parameter Store. Raises AwsError."""
        return self._client("ssm", "SSM")

    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager. Raises AwsError."""
        return self._client("secretsmanager", "Secrets Manager")

    def sqs(self) -> "SQSClient":
        """SQS. Raises AwsError."""
        return self._client("sqs", "SQS")

    def patient_sqs(self) -> "SQSClient":
        """SQS for polls of up to 20 s. Raises AwsError."""
        return self._client("sqs", "SQS", _CONFIG.merge(Config(read_timeout=25)))

    def sts(self) -> "STSClient":
        """The service that says who we are. Raises AwsError."""
        return self._client("sts", "STS")

    async def secret(self, name: str) -> str:
        """A secret's text from Secrets Manager, by name or ARN. Raises AwsError."""
        try:
            client = self.secretsmanager()
            answer = await asyncio.to_thread(client.get_secret_value, SecretId=name)
        except (ClientError, BotoCoreError) as error:
            raise AwsError(f"Secrets Manager, {name}: {told(error)}") from None
        text = answer.get("SecretString", "")
        if not text:
            raise AwsError(f"Secrets Manager, {name}: it holds no text")
        return text.strip()

    async def caller(self) -> str:
        """The ARN of who we are. Raises AwsError."""
        try:
            client = self.sts()
            return (await asyncio.to_thread(client.get_caller_identity)).get("Arn", "")
        except (ClientError, BotoCoreError) as error:
            raise AwsError(f"STS: {told(error)}") from None

    def _client(self, service: str, called: str, config: Config = _CONFIG) -> Any:
        """A client, whose type the callers know. Raises AwsError."""
        with _told_of(called):
            session: Any = self._session()
            return session.client(service, endpoint_url=self.endpoint_url or None, config=config)

    def _session(self) -> boto3.Session:
        # One each: sessions are not safe to share among threads.
        return boto3.Session(region_name=self.region or None)


@contextmanager
def _told_of(service: str) -> Generator[None]:
    """A client that cannot even be made: no region, no such profile, a broken file."""
    try:
        yield
    except BotoCoreError as error:
        mend = "set aws.region and AWS's own variables (AWS_PROFILE, AWS_CONFIG_FILE)"
        raise AwsError(f"{service}, {told(error).rstrip('.')}: {mend}") from None


def told(error: ClientError | BotoCoreError) -> str:
    """The error's code, or its kind."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "an error"))
    return f"{type(error).__name__}: {error}"
