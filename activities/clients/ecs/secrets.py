"""How a runner's secret gets to its task: kept at AWS under the runner's name, read by the task.

The environment of a task is to be read by whoever may describe tasks; so it holds the name alone.
The task deletes the secret once it has read it, and the launcher once the task has ended.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_ssm.client import SSMClient

STANDARD_BYTES = 4096  # Parameter Store's standard tier; a JIT configuration is longer
USELESS_AFTER = timedelta(hours=2)  # tokens are good for one
MISSING = ("ParameterNotFound", "ResourceNotFoundException")


class Secrets(Protocol):
    """Where secrets are kept. All methods block; they raise botocore's errors."""

    variable: str  # of the task's environment, with the secret's name

    def name_of(self, runner: str) -> str:
        """The secret's name."""
        ...

    def put(self, runner: str, value: str) -> None:
        """Keep it, instead of what was there."""
        ...

    def delete(self, runner: str) -> None:
        """Nothing happens if it is not there."""
        ...

    def sweep(self) -> int:
        """Delete what nobody can use any more; how many."""
        ...


class ParameterSecrets:
    """In AWS Systems Manager's Parameter Store, encrypted (SecureString)."""

    variable = "PENSTOCK_RUNNER_SECRET_PARAMETER"

    def __init__(self, client: "SSMClient", prefix: str, key: str = "") -> None:
        """`prefix` is a path, `/penstock/runners`; `key` a KMS key, else the account's own."""
        self._client = client
        self._prefix = prefix.rstrip("/")
        self._key = key

    def name_of(self, runner: str) -> str:
        """As the port says."""
        return f"{self._prefix}/{runner}"

    def put(self, runner: str, value: str) -> None:
        """As the port says."""
        more: Any = {"KeyId": self._key} if self._key else {}
        large = len(value.encode()) > STANDARD_BYTES
        self._client.put_parameter(
            Name=self.name_of(runner),
            Value=value,
            Type="SecureString",
            Tier="Advanced" if large else "Standard",
            Overwrite=True,
            **more,
        )

    def delete(self, runner: str) -> None:
        """As the port says."""
        try:
            self._client.delete_parameter(Name=self.name_of(runner))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in MISSING:
                raise

    def sweep(self) -> int:
        """As the port says."""
        pages = self._client.get_paginator("get_parameters_by_path").paginate(Path=self._prefix)
        gone = 0
        for page in pages:
            for found in page["Parameters"]:
                if _useless(found.get("LastModifiedDate")):
                    self.delete(found.get("Name", "").rpartition("/")[2])
                    gone += 1
        return gone


class ManagedSecrets:
    """In AWS Secrets Manager: for more launches a second than Parameter Store writes."""

    variable = "PENSTOCK_RUNNER_SECRET_ID"

    def __init__(self, client: "SecretsManagerClient", prefix: str, key: str = "") -> None:
        """As of ParameterSecrets; names have no slash in front here."""
        self._client = client
        self._prefix = prefix.strip("/")
        self._key = key

    def name_of(self, runner: str) -> str:
        """As the port says."""
        return f"{self._prefix}/{runner}"

    def put(self, runner: str, value: str) -> None:
        """As the port says."""
        name = self.name_of(runner)
        more: Any = {"KmsKeyId": self._key} if self._key else {}
        try:
            self._client.create_secret(Name=name, SecretString=value, **more)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceExistsException":
                raise
            self._client.put_secret_value(SecretId=name, SecretString=value)

    def delete(self, runner: str) -> None:
        """As the port says; without the days for second thoughts."""
        try:
            self._client.delete_secret(
                SecretId=self.name_of(runner), ForceDeleteWithoutRecovery=True
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in MISSING:
                raise

    def sweep(self) -> int:
        """As the port says."""
        pages = self._client.get_paginator("list_secrets").paginate(
            Filters=[{"Key": "name", "Values": [f"{self._prefix}/"]}]
        )
        gone = 0
        for page in pages:
            for found in page["SecretList"]:
                if _useless(found.get("LastChangedDate") or found.get("CreatedDate")):
                    self.delete(found.get("Name", "").rpartition("/")[2])
                    gone += 1
        return gone


def _useless(changed: datetime | None) -> bool:
    return changed is not None and changed < datetime.now(UTC) - USELESS_AFTER
