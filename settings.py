"""All of Penstock's configuration: one file, each key overridable by the environment.

`penstock.toml` (or `--config`, `PENSTOCK_CONFIG`) is read once; `PENSTOCK_LIMITS__MAX_RUNNERS=12`
overrides `max_runners` of the table `[limits]`. Temporal's own connection is not here: it follows
the Temporal command line (`TEMPORAL_ADDRESS`, profiles, TLS, API key).
"""

import os
import re
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from admin_settings import AdminKeyTable, IamTable, check_hash
from aws_settings import ConcurrencyTable, LogsTable
from cloudwatch_settings import CloudWatchTable
from ecs_settings import EcsTable
from policy.access import AdminKey
from policy.limits import InvalidLimits, Limits, validate
from policy.priority_rules import DEFAULT_RULES, Priorities, Rule
from policy.recovery import Timetable
from policy.thresholds import Thresholds
from worker_settings import VersionedTable

DEFAULT_FILE = Path("penstock.toml")


class InvalidSettings(Exception):
    """The configuration cannot be used; the message is one line that names the key."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _secret(value: SecretStr | None, file: Path | None, key: str) -> str:
    """A secret given by value or by file, never both."""
    if value is not None and file is not None:
        raise ValueError(f"give {key} or {key}_file, not both")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8-sig").strip()  # some editors begin with a mark
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{key}_file {str(file)!r} cannot be read: {error}") from None
    return value.get_secret_value() if value is not None else ""


class LimitsTable(_Table):
    """How many runners may run at once. Live changes (`penstock limits`) outlive a restart."""

    max_runners: int = 6
    max_repo_share: float = 0.5
    default: int = 2
    repos: dict[str, int] = Field(default_factory=dict[str, int])
    orgs: dict[str, int] = Field(default_factory=dict[str, int])
    weights: dict[str, float] = Field(default_factory=dict[str, float])

    @model_validator(mode="after")
    def _check(self) -> "LimitsTable":
        try:
            validate(self.limits)
        except InvalidLimits as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def limits(self) -> Limits:
        """As policy wants them."""
        return Limits(
            self.max_runners,
            self.max_repo_share,
            self.default,
            {repo.lower(): n for repo, n in self.repos.items()},
            {org.lower(): n for org, n in self.orgs.items()},
            {repo.lower(): weight for repo, weight in self.weights.items()},
        )


class PressureTable(_Table):
    """When the fleet counts as overloaded (docs/back-pressure.md); live like the limits."""

    strategy: Literal["queue", "reject"] = "queue"
    max_queue_depth: int = 100
    max_concurrency_percent: float = 80.0
    max_error_rate: float = 0.05

    @model_validator(mode="after")
    def _check(self) -> "PressureTable":
        try:
            validate(Limits(pressure=self.thresholds))
        except InvalidLimits as error:
            raise ValueError(str(error).removeprefix("pressure.")) from None
        return self

    @property
    def thresholds(self) -> Thresholds:
        """As policy wants them."""
        return Thresholds(**self.model_dump())


class GatewayTable(_Table):
    """Where the gateway listens, and what it lets in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    webhook_secret: SecretStr | None = None
    webhook_secret_file: Path | None = None
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, le=25 * 1024 * 1024)
    labels: list[str] = Field(default=["self-hosted", "linux", "x64"], min_length=1)
    owners: list[str] = Field(default=["*"], min_length=1)
    admin_keys: list[AdminKeyTable] = Field(default_factory=list[AdminKeyTable])
    admin_key_hashes: list[str] = Field(default_factory=list[str])  # of keys without a name
    admin_failures_per_minute: int = Field(default=10, ge=1, le=10_000)  # of one address
    admin_require_if_match: bool = False  # changes of limits must say of which limits
    iam: IamTable | None = None
    # Of Temporal's web UI, for links on the operations page (docs/page.md); empty: none.
    temporal_ui_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    temporal_timeout_seconds: float = Field(default=8.0, gt=0, le=9)  # GitHub gives up after 10 s
    # Who may connect, how much and how slowly: docs/gateway.md.
    max_header_bytes: int = Field(default=16 * 1024, ge=4096, le=64 * 1024)
    max_connections: int = Field(default=2000, ge=1, le=100_000)
    max_buffered_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    header_timeout_seconds: float = Field(default=10.0, gt=0)
    body_timeout_seconds: float = Field(default=20.0, gt=0)
    send_timeout_seconds: float = Field(default=30.0, gt=0)
    keep_alive_seconds: int = Field(default=5, ge=1)
    shutdown_lead_seconds: float = Field(default=0.0, ge=0)
    trusted_proxies: list[str] = Field(default_factory=list[str])

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for entry in value:
            ip_network(entry)  # its message names the entry
        return value

    @model_validator(mode="after")
    def _room_for_a_body(self) -> "GatewayTable":
        if self.max_buffered_bytes < self.max_body_bytes:
            raise ValueError("max_buffered_bytes must not be less than max_body_bytes")
        return self

    @field_validator("admin_key_hashes")
    @classmethod
    def _hashes(cls, value: list[str]) -> list[str]:
        return [check_hash(entry) for entry in value]

    @model_validator(mode="after")
    def _check_keys(self) -> "GatewayTable":
        for what in ("name", "hash"):
            said = [getattr(key, what) for key in self.all_admin_keys]
            twice = sorted({entry for entry in said if said.count(entry) > 1})
            if twice:
                raise ValueError(f"admin_keys: the {what} {twice[0][:64]!r} is there twice")
        return self

    @property
    def all_admin_keys(self) -> list[AdminKey]:
        """Every key: those with a name, then those known by the first digits of their hash."""
        bare = [AdminKey(entry[:8], entry) for entry in dict.fromkeys(self.admin_key_hashes)]
        return [table.key for table in self.admin_keys] + bare

    @property
    def secrets(self) -> list[str]:
        """The webhook's secrets, one a line: any of them is good, so that one can be replaced."""
        text = _secret(self.webhook_secret, self.webhook_secret_file, "gateway.webhook_secret")
        return [line.strip() for line in text.splitlines() if line.strip()]

    @property
    def secret(self) -> str:
        """The first of them; empty if none is configured."""
        return next(iter(self.secrets), "")


class GitHubTable(_Table):
    """How GitHub is reached, and how often."""

    api_url: str = Field(default="https://api.github.com", pattern=r"^https?://[^\s/]+")
    url: str = Field(default="https://github.com", pattern=r"^https?://[^\s/]+")
    app_id: str = ""
    private_key: SecretStr | None = None
    private_key_file: Path | None = None
    private_key_secret: str = ""  # a name or ARN in AWS Secrets Manager, as those below
    token: SecretStr | None = None
    token_file: Path | None = None
    token_secret: str = ""
    scope: Literal["repository", "organization"] = "repository"
    mode: Literal["registration", "jit"] = "registration"
    runner_group: str = ""  # a name; scope organization only
    runner_group_id: int = Field(default=1, ge=1)
    github_api_calls_per_minute: int = Field(default=10, ge=3, le=900)
    # Default: 5 in mode registration, where one serves all runners of 45 minutes; none in jit.
    tokens_per_repository_per_hour: int | None = Field(default=None, ge=1, le=10_000)

    @field_validator("api_url", "url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check(self) -> "GitHubTable":
        for key, given in (
            ("runner_group", bool(self.runner_group)),
            ("runner_group_id", self.runner_group_id != 1),
        ):
            if given and self.scope == "repository":
                raise ValueError(
                    f"{key}: repositories have none; set github.scope = 'organization'"
                )
        if self.runner_group_id != 1 and self.mode == "registration":
            raise ValueError(
                "runner_group_id: in mode 'registration' a runner is told its group by name; set"
                " github.runner_group"
            )
        return self

    @property
    def is_given(self) -> bool:
        """Whether any credentials are configured."""
        return bool(self.app_id or self.token or self.token_file or self.token_secret)

    @property
    def repository_budget(self) -> int | None:
        """Registration tokens, or JIT configurations, that a repository may have in an hour."""
        if self.tokens_per_repository_per_hour is None:
            return 5 if self.mode == "registration" else None
        return self.tokens_per_repository_per_hour

    @property
    def key(self) -> str:
        """The App's private key, PEM. An environment of one line may write its ends as `\\n`."""
        text = _secret(self.private_key, self.private_key_file, "github.private_key")
        return text if "\n" in text else text.replace("\\n", "\n")

    @property
    def personal_token(self) -> str:
        """The personal access token."""
        return _secret(self.token, self.token_file, "github.token")


class TokensTable(_Table):
    """Where tokens, budgets and GitHub's pauses are kept, for all workers."""

    store: Literal["memory", "dynamodb"] = "memory"
    table: str = Field(default="self-runners-tokens", pattern=r"^[a-zA-Z0-9_.-]{3,255}$")
    # id → 32 bytes in base64. The first seals, all open: a new key goes in front.
    encryption_keys: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    encryption_keys_file: Path | None = None  # lines of `id key`
    encryption_keys_secret: str = ""

    @property
    def keys_text(self) -> str:
        """The keys as lines of `id key`; empty if they are kept in Secrets Manager, or nowhere."""
        given = "\n".join(
            f"{i} {key.get_secret_value()}" for i, key in self.encryption_keys.items()
        )
        secret = SecretStr(given) if given else None
        return _secret(secret, self.encryption_keys_file, "tokens.encryption_keys")


class DeadLettersTable(_Table):
    """Where refused events and failed jobs are kept (docs/dead-letters.md)."""

    store: Literal["files", "sqs"] = "files"
    max_letters: int = Field(default=10_000, ge=1, le=100_000)  # files: beyond it none is taken
    queue_name: str = Field(default="penstock-dead-letters", pattern=r"^[A-Za-z0-9_-]{1,80}$")
    queue_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")  # instead of its name

    @field_validator("queue_url")
    @classmethod
    def _standard(cls, value: str) -> str:
        if value.endswith(".fifo"):
            raise ValueError("name a standard queue: a FIFO queue would hold letters back")
        return value


class AwsTable(_Table):
    """Where AWS is; empty values are those of the environment."""

    region: str = ""
    endpoint_url: str = Field(default="", pattern=r"^(https?://[^\s/]+/?)?$")


class WorkerTable(VersionedTable):
    """The worker processes."""

    count: int = Field(default=1, ge=1, le=1000)  # how many run, in all
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)  # 0: none


PROGRAMS = ("config.sh", "run.sh")  # of actions/runner
NO_RUNNER = (
    "runner.command is missing: set it to the command that runs one runner, or runner.folder to an"
    " unpacked actions/runner"
)


class RunnerTable(_Table):
    """How a runner is started, and how long Penstock is patient with it (seconds)."""

    launcher: Literal["process", "ecs"] = "process"
    command: list[str] = Field(default_factory=list[str])
    folder: Path | None = None  # an unpacked actions/runner, instead of a command
    environment: dict[str, str] = Field(default_factory=dict[str, str])
    start_timeout_seconds: float = Field(default=600.0, gt=0)
    finish_timeout_seconds: float = Field(default=300.0, gt=0)
    report_timeout_seconds: float = Field(default=600.0, gt=0)
    reacquire_seconds: float = Field(default=3600.0, gt=0)
    queue_timeout_seconds: float = Field(default=24 * 3600.0, gt=0)
    relaunch_seconds: float = Field(default=5.0, gt=0)
    max_launches: int = Field(default=3, ge=1, le=100)
    unavailable_seconds: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> "RunnerTable":
        if self.command and self.folder:
            raise ValueError("give runner.command or runner.folder, not both")
        return self

    @property
    def missing(self) -> str:
        """What a worker cannot do without; empty if all is there."""
        if self.folder is None:
            return "" if self.command else NO_RUNNER
        lacking = [name for name in PROGRAMS if not (self.folder / name).is_file()]
        if not lacking:
            return ""
        return (
            f"runner.folder: there is no {lacking[0]} in {str(self.folder)!r}: unpack a release of"
            " actions/runner there"
        )


PLACE = r"^[A-Za-z0-9][A-Za-z0-9_-]*(/(?!\.{1,2}$)[A-Za-z0-9_.-]+)?$"


class RecoveryTable(_Table):
    """What pays refused and lost webhooks (docs/recovery.md)."""

    enabled: bool = True
    every_seconds: int = Field(default=120, ge=10, le=86_400)
    points_per_run: int = Field(default=60, ge=15, le=600)  # a read costs 1, a write 5
    hooks: list[str] = Field(default_factory=list[str])  # owner/repo, or owner
    webhook_url: str = Field(default="", pattern=r"^(https?://[^\s/]+\S*)?$")
    repositories: list[str] = Field(default_factory=list[str])  # owner/repo

    @field_validator("hooks", "repositories")
    @classmethod
    def _places(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for place in value:
            wanted = "owner/repo" if info.field_name == "repositories" else "owner/repo or owner"
            if not re.fullmatch(PLACE, place) or (wanted == "owner/repo" and "/" not in place):
                raise ValueError(f"{place!r} is not {wanted}")
        return value

    @property
    def timetable(self) -> Timetable:
        """As the schedule wants it."""
        return Timetable(self.enabled, self.every_seconds, self.points_per_run)


class RuleTable(_Table):
    """One rule of `[[priorities.rules]]`: all its conditions must hold (docs/priorities.md)."""

    priority: Literal["critical", "high", "normal", "low"]
    repo: str = ""
    branch: str = ""
    workflow: str = ""
    environment: str = ""
    labels: list[str] = Field(default_factory=list[str])

    @property
    def rule(self) -> Rule:
        """As policy wants it."""
        return Rule(
            self.priority,
            self.repo,
            self.branch,
            self.workflow,
            self.environment,
            tuple(self.labels),
        )


class PrioritiesTable(_Table):
    """Which jobs go first: the payload's word, then these rules in order, then the defaults."""

    rules: list[RuleTable] = Field(default_factory=list[RuleTable])
    defaults: bool = True
    trust_payload: bool = True

    @model_validator(mode="after")
    def _check(self) -> "PrioritiesTable":
        for number, rule in enumerate(self.rules, 1):
            if rule.rule == Rule(rule.priority) and number < len(self.rules):
                raise ValueError(
                    f"rule {number} has no condition, so that those after it never apply:"
                    " give it one, or put it last"
                )
        return self

    @property
    def priorities(self) -> Priorities:
        """As policy wants them."""
        own = tuple(table.rule for table in self.rules)
        return Priorities(own + (DEFAULT_RULES if self.defaults else ()), self.trust_payload)


class Settings(BaseSettings):
    """The whole configuration, read once."""

    model_config = SettingsConfigDict(
        env_prefix="PENSTOCK_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    state_dir: Path = Path(".penstock")
    limits: LimitsTable = LimitsTable()
    pressure: PressureTable = PressureTable()
    gateway: GatewayTable = GatewayTable()
    github: GitHubTable = GitHubTable()
    runner: RunnerTable = RunnerTable()
    priorities: PrioritiesTable = PrioritiesTable()
    tokens: TokensTable = TokensTable()
    dead_letters: DeadLettersTable = DeadLettersTable()
    aws: AwsTable = AwsTable()
    ecs: EcsTable = EcsTable()
    concurrency: ConcurrencyTable = ConcurrencyTable()
    logs: LogsTable = LogsTable()
    worker: WorkerTable = WorkerTable()
    recovery: RecoveryTable = RecoveryTable()
    cloudwatch: CloudWatchTable = CloudWatchTable()

    @property
    def fleet_limits(self) -> Limits:
        """All that the Fleet is told at the start of a worker: limits and thresholds."""
        return replace(self.limits.limits, pressure=self.pressure.thresholds)

    @model_validator(mode="after")
    def _check_workers(self) -> "Settings":
        if self.worker.count > 1 and self.tokens.store == "memory":
            raise ValueError(
                f"worker.count is {self.worker.count}, but tokens.store = 'memory' serves one"
                " (budgets and pauses would hold for each alone): set tokens.store = 'dynamodb'"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        path = _file.get("path")
        if path is None:
            return (init_settings, env_settings)
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path))

    def check_secrets(self) -> None:
        """Raise InvalidSettings if what a gateway or worker cannot do without is missing."""
        try:
            if not self.gateway.secret:
                raise InvalidSettings(
                    "gateway.webhook_secret is missing: set it, or gateway.webhook_secret_file, "
                    "to the secret of the webhook at GitHub"
                )
            self._check_github()
            if self.tokens.store == "dynamodb" and not (
                self.tokens.keys_text or self.tokens.encryption_keys_secret
            ):
                raise InvalidSettings(
                    "tokens.encryption_keys_file is missing: tokens.store = 'dynamodb' keeps"
                    " tokens sealed; make a key by penstock token-key create"
                )
            if self.runner.launcher == "ecs":
                if missing := self.ecs.missing():
                    raise InvalidSettings(missing)
            elif missing := self.runner.missing:
                raise InvalidSettings(missing)
        except ValueError as error:
            raise InvalidSettings(str(error)) from None

    def _check_github(self) -> None:
        github = self.github
        person = bool(github.personal_token) + bool(github.token_secret)
        key = bool(github.key) + bool(github.private_key_secret)
        if max(person, key) > 1:
            raise InvalidSettings(
                "github: give each secret once: by value, by file, or by its name at AWS"
            )
        if bool(person) == bool(github.app_id and key):
            raise InvalidSettings("github: give either app_id and private_key_file, or token_file")


_file: dict[str, Path | None] = {"path": None}


def file_in_use() -> Path | None:
    """The file that the last `load` read; None if there is none."""
    return _file["path"]


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the configuration. Raises InvalidSettings with one line that names the key."""
    named = config or (Path(found) if (found := os.environ.get("PENSTOCK_CONFIG")) else None)
    if named is not None and not named.is_file():
        raise InvalidSettings(f"the configuration file {str(named)!r} does not exist")
    path = named or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    _file["path"] = path
    for name in os.environ:
        table = name.removeprefix("PENSTOCK_").partition("__")[0].lower()
        # Only names with a table: Kubernetes makes PENSTOCK_PORT and the like for a service.
        ours = name.startswith("PENSTOCK_") and "__" in name
        if ours and table not in Settings.model_fields:
            raise InvalidSettings(f"{name}: there is no such key (environment)")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "configuration"
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "there is no such key"
        where = f" ({path})" if path else ""
        raise InvalidSettings(f"{key}: {message}{where}") from None
    except SettingsError as error:
        raise InvalidSettings(f"{_variable_of(error)} is not the JSON it should be") from None
    except ValueError as error:  # broken TOML
        raise InvalidSettings(f"{path}: {error}") from None


def _variable_of(error: SettingsError) -> str:
    """The environment variable that could not be read: the library names its table at most."""
    text: object = getattr(error.__cause__, "doc", None)
    names = (name for name, value in os.environ.items() if value == text)
    return next((name for name in names if name.upper().startswith("PENSTOCK_")), str(error))
