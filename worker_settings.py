"""The part of the configuration that says which version of Penstock a worker is (settings.py)."""

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion

if TYPE_CHECKING:
    from temporalio.worker import WorkerDeploymentConfig

# Temporal joins both with a dot, and refuses names with one or with a colon.
NAME = r"^([A-Za-z0-9][A-Za-z0-9_-]{0,99})?$"
BUILD = r"^([A-Za-z0-9][A-Za-z0-9._+-]{0,99})?$"
Self = TypeVar("Self", bound="VersionedTable")


class VersionedTable(BaseModel):
    """Keys of `[worker]` for an upgrade without a stop (docs/operations.md); off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deployment_name: str = Field(default="", pattern=NAME)  # empty: workers have no version
    build_id: str = Field(default="", pattern=BUILD)  # another one for each build

    @model_validator(mode="after")
    def _check_version(self: Self) -> Self:
        if bool(self.deployment_name) != bool(self.build_id):
            missing = "build_id" if self.deployment_name else "deployment_name"
            raise ValueError(
                f"{missing} is missing: a worker has both deployment_name and build_id, or neither"
            )
        return self

    @property
    def version(self) -> tuple[str, str]:
        """Deployment and build; both empty for workers without a version."""
        return self.deployment_name, self.build_id

    @property
    def deployment(self) -> "WorkerDeploymentConfig | None":
        """As Temporal's workers want it; None for workers without a version.

        Every workflow stays with the version it began on (pinned): a job to its end, a run of the
        recovery too. Fleet and semaphores go on as a new run on the current version
        (workflows/upgrade.py), so that no code ever replays the history of another version.
        """
        if not self.deployment_name:
            return None
        # Loading it takes a command that runs no worker a tenth longer.
        from temporalio.worker import WorkerDeploymentConfig  # noqa: PLC0415

        return WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(self.deployment_name, self.build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
