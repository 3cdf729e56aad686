"""Settings → GitHub, the stores, the recovery: what worker, doctor and setup stand on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from activities.clients.aws import Aws, AwsError
from activities.clients.dead_letter_files import DeadLetterFiles
from activities.clients.dead_letter_sqs import DeadLetterSQS
from activities.clients.dynamodb_store import DynamoDBStore
from activities.clients.github import Credentials, GitHubClient, GitHubClock
from activities.clients.github.deliveries import GitHubDeliveries
from activities.clients.github.queued_jobs import GitHubWork
from activities.clients.github.registered import GitHubRunners
from activities.clients.sealing import BadKey, Sealer
from activities.dead_letters import DeadLetter, DeadLetters
from activities.deliveries import HookFinder, Where
from activities.lost_runners import LostRunnerActivities
from activities.meter import AT_ONCE, Budget, Meter, Throttled
from activities.orphans import OrphanActivities
from activities.queued_jobs import QueuedJobActivities
from activities.recovery import RecoveryActivities
from activities.recovery_schedule import ScheduleActivities
from activities.redaction import remember
from activities.redelivery import RedeliveryActivities
from activities.runners import Launcher
from activities.secret_cache import SecretCache
from activities.token_store import MemoryStore, TokenStore
from api.app import rules_of, starter_of
from api.mode import ModeWatch
from api.problems import Problem
from api.replay import Replay
from policy.token_bucket import Rate
from settings import InvalidSettings, Settings

CONCURRENT = 90  # reads of all workers for one identity; GitHub allows 100


@dataclass(frozen=True)
class GitHubSide:
    """GitHub as one process reaches it. `close` it."""

    client: GitHubClient
    cache: SecretCache
    meter: Meter
    credentials: Credentials
    clock: GitHubClock

    async def close(self) -> None:
        """Give up what is under way and close the connections."""
        await self.cache.close()
        await self.client.close()


def aws_of(settings: Settings) -> Aws:
    """Where AWS is."""
    return Aws(settings.aws.region, settings.aws.endpoint_url)


def letters_of(settings: Settings) -> DeadLetters:
    """Where dead letters are kept. Nothing is asked yet: a wrong queue shows at its first use."""
    table = settings.dead_letters
    if table.store == "sqs":
        return DeadLetterSQS(aws_of(settings).sqs(), table.queue_name, table.queue_url)
    return DeadLetterFiles(settings.state_dir / "dead-letters", table.max_letters)


async def github_of(settings: Settings, throttled: Throttled | None = None) -> GitHubSide:
    """All that calls to GitHub go through. Raises InvalidSettings."""
    github = settings.github
    credentials = await credentials_of(settings)
    for secret in (credentials.private_key, credentials.token, *settings.gateway.secrets):
        remember(secret, lasting=True)
    clock = GitHubClock(time.time)
    store = await store_of(settings, clock)
    per_repo = github.repository_budget
    budget = Budget(
        Rate(github.github_api_calls_per_minute, 60.0),
        Rate(per_repo, 3600.0) if per_repo else None,
    )
    meter = Meter(
        store,
        budget,
        clock,
        throttled,
        jit=github.mode == "jit",
        at_once=max(1, min(AT_ONCE, CONCURRENT // settings.worker.count)),
    )
    cache = SecretCache(store, clock)
    client = GitHubClient(
        github.api_url,
        credentials,
        meter=meter,
        cache=cache,
        clock=clock,
        scope=github.scope,
        runner_group=github.runner_group,
        runner_group_id=github.runner_group_id,
    )
    return GitHubSide(client, cache, meter, credentials, clock)


async def credentials_of(settings: Settings) -> Credentials:
    """The App's key or the personal token, from wherever they are. Raises InvalidSettings."""
    github = settings.github
    aws = aws_of(settings)
    try:
        key = github.key or (
            await aws.secret(github.private_key_secret) if github.private_key_secret else ""
        )
        token = github.personal_token or (
            await aws.secret(github.token_secret) if github.token_secret else ""
        )
    except (AwsError, ValueError) as error:
        raise InvalidSettings(str(error)) from None
    return Credentials("" if token else github.app_id, "" if token else key, token)


async def store_of(settings: Settings, clock: GitHubClock) -> TokenStore:
    """Where tokens and budgets are kept. Raises InvalidSettings."""
    if settings.tokens.store == "memory":
        return MemoryStore(clock)
    try:
        client = aws_of(settings).dynamodb()
    except AwsError as error:
        raise InvalidSettings(str(error)) from None
    sealer = await sealer_of(settings)
    # Read before the first call to GitHub, it is the first to tell the time.
    return DynamoDBStore(client, settings.tokens.table, sealer, clock, clock.hint)


async def sealer_of(settings: Settings) -> Sealer:
    """What seals the tokens in a shared store. Raises InvalidSettings."""
    tokens = settings.tokens
    try:
        text = tokens.keys_text
        if not text and tokens.encryption_keys_secret:
            text = await aws_of(settings).secret(tokens.encryption_keys_secret)
        keys: dict[str, str] = {}
        for line in text.splitlines():
            key_id, _, key = line.strip().partition(" ")
            if key_id:
                keys[key_id] = key.strip()
                remember(keys[key_id], lasting=True)
        return Sealer(keys)
    except (AwsError, BadKey, ValueError) as error:
        raise InvalidSettings(f"tokens.encryption_keys: {error}") from None


@dataclass(frozen=True)
class RecoverySide:
    """The activities of a recovery run, by the queue that they are on."""

    at_github: list[Callable[..., Any]]
    others: list[Callable[..., Any]]


class _Replays:
    """The gateway's replay of a letter, for those who may not know of gateways."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    async def replay(self, letter: DeadLetter) -> str:
        """Empty, and the letter may go; or why it stays."""
        try:
            await self._replay.again(letter)
        except Problem as problem:
            return problem.detail
        return ""


def recovery_of(
    client: Client,
    settings: Settings,
    side: GitHubSide,
    launcher: Launcher,
    letters: DeadLetters,
) -> RecoverySide:
    """The recovery's activities on this worker's GitHub and runners."""
    rules, starter = rules_of(settings), starter_of(client, settings)
    replays = _Replays(Replay(rules, starter, ModeWatch(client), letters))
    repositories = settings.recovery.repositories
    deliveries = GitHubDeliveries(side.client)
    where = Where(
        tuple(settings.recovery.hooks), settings.recovery.webhook_url, tuple(repositories)
    )
    orphans = OrphanActivities(
        client,
        launcher,
        side.client,
        GitHubRunners(side.client),
        time.time,
        scope=settings.github.scope,
        repositories=repositories,
    )
    work = GitHubWork(side.client)
    queued = QueuedJobActivities(client, work, starter, rules, repositories)
    finder = HookFinder(client, deliveries, where)
    asking = RecoveryActivities(client, letters, replays, time.time)
    # Each machine's launcher of processes knows its own runners alone.
    sees_all = settings.worker.count == 1 or settings.runner.launcher == "ecs"
    lost = LostRunnerActivities(client, launcher, time.time, sees_all=sees_all)
    return RecoverySide(
        [
            RedeliveryActivities(deliveries, finder).redeliver,
            queued.start_queued_jobs,
            orphans.see_off_orphans,
        ],
        [
            asking.ask_fleet,
            asking.replay_letters,
            lost.tell_of_lost_runners,
            ScheduleActivities(client).trigger_recovery,
        ],
    )
