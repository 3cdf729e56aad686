"""The tables `[ecs]` and `[[ecs.profiles]]`: where runners are tasks (docs/ecs.md)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from admin_settings import check_hash
from policy.placement import Profile


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RunTable(_Table):
    """How a task is run. What a profile leaves out is as in `[ecs]`."""

    task_definition: str = ""  # a family, family:revision or ARN
    container: str = ""  # of the task definition, the one that is the runner; default: runner
    capacity_providers: list[str] = Field(default_factory=list[str], max_length=6)
    launch_type: Literal["", "FARGATE", "EC2", "EXTERNAL"] = ""
    subnets: list[str] = Field(default_factory=list[str], max_length=16)
    security_groups: list[str] = Field(default_factory=list[str], max_length=5)
    assign_public_ip: bool | None = None
    platform_version: str = ""
    cpu: str = Field(default="", pattern=r"^(\d+( ?vCPU)?)?$")
    memory: str = Field(default="", pattern=r"^(\d+( ?GB)?)?$")

    @model_validator(mode="after")
    def _one_choice(self) -> "RunTable":
        if self.capacity_providers and self.launch_type:
            raise ValueError("give capacity_providers or launch_type, not both")
        return self


class ProfileTable(RunTable):
    """How runners of jobs with all of these labels are run."""

    labels: list[str] = Field(min_length=1)


class EcsTable(RunTable):
    """The cluster, and how runners are run unless a profile says otherwise."""

    cluster: str = ""
    group: str = Field(default="penstock", pattern=r"^[A-Za-z0-9_:/-]{1,255}$")
    tags: dict[str, str] = Field(default_factory=dict[str, str], max_length=40)
    environment: dict[str, str] = Field(default_factory=dict[str, str])
    poll_seconds: float = Field(default=10.0, ge=1.0, le=300.0)
    handover: Literal["ssm", "secretsmanager"] = "ssm"
    handover_prefix: str = Field(
        default="/penstock/runners", pattern=r"^/?[A-Za-z0-9_./-]{1,200}$"
    )
    handover_key: str = ""  # a KMS key; default: the account's own for that service
    event_queue_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    event_key_hashes: list[str] = Field(default_factory=list[str])
    profiles: list[ProfileTable] = Field(default_factory=list[ProfileTable])

    @field_validator("environment")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := sorted(key for key in value if key.startswith("PENSTOCK_")):
            raise ValueError(f"{taken[0]}: names that begin with PENSTOCK_ are Penstock's own")
        return value

    @field_validator("event_key_hashes")
    @classmethod
    def _hashes(cls, value: list[str]) -> list[str]:
        return [check_hash(entry) for entry in value]

    @property
    def every_profile(self) -> list[Profile]:
        """Those with labels in their order, then the one for all jobs."""
        return [self._profile(table) for table in (*self.profiles, self)]

    def missing(self) -> str:
        """The key that a worker cannot do without; empty if all is there."""
        if not self.cluster:
            return "ecs.cluster is missing: set it to the name or ARN of the cluster for runners"
        if not self.task_definition and not self.profiles:
            return "ecs.task_definition is missing: set it to the runners' task definition"
        for number, profile in enumerate(self.every_profile, 1):
            table = self.profiles[number - 1] if number <= len(self.profiles) else self
            where = f"ecs.profiles[{number}]" if table is not self else "ecs"
            if not profile.task_definition and table is not self:
                return f"{where}.task_definition is missing, and [ecs] has none either"
            fargate = profile.launch_type == "FARGATE" or any(
                provider.startswith("FARGATE") for provider in profile.providers
            )
            if fargate and not profile.subnets:
                return f"{where}.subnets is missing: Fargate runs no task without"
        return ""

    def _profile(self, table: RunTable) -> Profile:
        own_choice = bool(table.capacity_providers or table.launch_type)
        kind = table if own_choice else self
        public = table.assign_public_ip
        return Profile(
            labels=tuple(table.labels) if isinstance(table, ProfileTable) else (),
            task_definition=table.task_definition or self.task_definition,
            container=table.container or self.container or "runner",
            providers=tuple(kind.capacity_providers),
            launch_type=kind.launch_type,
            subnets=tuple(table.subnets or self.subnets),
            security_groups=tuple(table.security_groups or self.security_groups),
            public_ip=bool(self.assign_public_ip if public is None else public),
            cpu=table.cpu or self.cpu,
            memory=table.memory or self.memory,
            platform_version=table.platform_version or self.platform_version,
        )
