"""The things GitHub keeps; times are epoch seconds by its clock, None until they happen."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Json = dict[str, Any]


class Scope(NamedTuple):
    """Where a runner may take jobs: a repository, or (repo None) an organization. Lower case."""

    owner: str
    repo: str | None

    @classmethod
    def of(cls, owner: str, repo: str | None = None) -> "Scope":
        """GitHub compares names without regard to case."""
        return cls(owner.lower(), None if repo is None else repo.lower())

    def __str__(self) -> str:
        return self.owner if self.repo is None else f"{self.owner}/{self.repo}"


@dataclass(slots=True, kw_only=True)
class Installation:
    """The App's presence in one organization; `account_id` is the organization's."""

    id: int
    account_id: int
    org: str
    created_at: float
    repositories: set[str] | None = None  # lower-case names; None: all


@dataclass(slots=True, kw_only=True)
class Repository:
    """One repository; `rendered` keeps its JSON, which never changes."""

    id: int
    owner: str
    name: str
    default_branch: str
    installation: Installation
    created_at: float
    rendered: Json | None = None
    runs: list["Run"] = field(default_factory=list["Run"])

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def scope(self) -> Scope:
        return Scope.of(self.owner, self.name)


@dataclass(slots=True, kw_only=True)
class Run:
    """A workflow run; `jobs` holds those of all attempts."""

    id: int
    repository: Repository
    number: int
    workflow_id: int
    workflow_name: str
    head_branch: str
    environment: str  # what its jobs deploy to; empty if they do not
    head_sha: str
    event: str
    created_at: float
    updated_at: float
    attempt: int = 1
    jobs: list["Job"] = field(default_factory=list["Job"])

    def latest(self) -> list["Job"]:
        """The jobs a `filter=latest` shows: those that a later attempt has not replaced."""
        replaced = {job.replaces for job in self.jobs}
        return [job for job in self.jobs if job.id not in replaced]


@dataclass(slots=True, kw_only=True)
class Job:
    """One job; `ends_as` and `seconds` are the work its runner will do."""

    id: int
    run: Run
    attempt: int
    name: str
    labels: tuple[str, ...]
    seconds: float
    ends_as: str
    created_at: float
    status: str = "new"
    conclusion: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    times_run: int = 0
    replaces: int | None = None
    runner: "Runner | None" = None  # the one that has it now
    runner_id: int | None = None  # the one that ran it
    runner_name: str | None = None
    runner_group_id: int | None = None
    runner_group_name: str | None = None
    wants: frozenset[str] = frozenset()
    order: int = 0
    timer: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self.wants = frozenset(label.lower() for label in self.labels)

    @property
    def hosted(self) -> bool:
        """True when GitHub's own machines run it."""
        return "self-hosted" not in self.wants and any(
            label.startswith(("ubuntu-", "windows-", "macos-")) for label in self.wants
        )


@dataclass(slots=True, kw_only=True)
class Runner:
    """A self-hosted runner; `poll` is its open long poll, `job` what it was handed."""

    id: int
    name: str
    scope: Scope
    labels: tuple[str, ...]
    default_labels: tuple[str, ...]
    ephemeral: bool
    jit: bool
    secret: str
    registered_at: float
    group_id: int = 1
    connected_at: float | None = None
    removed_at: float | None = None
    removed_why: str | None = None
    online: bool = False
    job: Job | None = None
    accepted: bool = False
    poll: asyncio.Future[Json] | None = None
    inbox: list[Json] = field(default_factory=list[Json])
    timer: asyncio.TimerHandle | None = None
    has: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.has = frozenset(label.lower() for label in (*self.default_labels, *self.labels))

    @property
    def busy(self) -> bool:
        """True from being handed a job, as GitHub shows it."""
        return self.job is not None

    @property
    def status(self) -> str:
        return "online" if self.online else "offline"
