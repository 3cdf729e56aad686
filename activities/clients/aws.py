"""Clients of AWS, and secrets kept there. Credentials come the way AWS's own tools find them."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_secretsmanager.client import SecretsManagerClient
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
        """DynamoDB."""
        return self._session().client(
            "dynamodb", endpoint_url=self.endpoint_url or None, config=_CONFIG
        )

    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager."""
        return self._session().client(
            "secretsmanager", endpoint_url=self.endpoint_url or None, config=_CONFIG
        )

    def sts(self) -> "STSClient":
        """The service that says who we are."""
        return self._session().client(
            "sts", endpoint_url=self.endpoint_url or None, config=_CONFIG
        )

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

    def _session(self) -> boto3.Session:
        # One each: sessions are not safe to share among threads.
        return boto3.Session(region_name=self.region or None)


def told(error: ClientError | BotoCoreError) -> str:
    """The error's code, or its kind."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "an error"))
    return f"{type(error).__name__}: {error}"
