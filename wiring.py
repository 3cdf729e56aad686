"""Settings → GitHub and the token store: what worker, doctor and setup have in common."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import start_http_server

from activities.clients.aws import Aws, AwsError
from activities.clients.dynamodb_store import DynamoDBStore
from activities.clients.github import Credentials, GitHubClient
from activities.clients.sealing import BadKey, Sealer
from activities.meter import Budget, Meter, Throttled
from activities.metrics import GitHubMetrics
from activities.redaction import remember
from activities.secret_cache import SecretCache
from activities.token_store import MemoryStore, TokenStore
from policy.token_bucket import Rate
from settings import InvalidSettings, Settings


@dataclass(frozen=True)
class GitHubSide:
    """GitHub as one process reaches it. `close` it."""

    client: GitHubClient
    cache: SecretCache
    meter: Meter
    credentials: Credentials

    async def close(self) -> None:
        """Give up what is under way and close the connections."""
        await self.cache.close()
        await self.client.close()


def aws_of(settings: Settings) -> Aws:
    """Where AWS is."""
    return Aws(settings.aws.region, settings.aws.endpoint_url)


async def github_of(settings: Settings, throttled: Throttled | None = None) -> GitHubSide:
    """All that calls to GitHub go through. Raises InvalidSettings."""
    github = settings.github
    credentials = await credentials_of(settings)
    for secret in (credentials.private_key, credentials.token, *settings.gateway.secrets):
        remember(secret)
    store = await store_of(settings)
    per_repo = github.repository_budget
    budget = Budget(
        Rate(github.github_api_calls_per_minute, 60.0),
        Rate(per_repo, 3600.0) if per_repo else None,
    )
    meter = Meter(store, budget, time.time, throttled, jit=github.mode == "jit")
    cache = SecretCache(store, time.time)
    client = GitHubClient(
        github.api_url,
        credentials,
        meter=meter,
        cache=cache,
        clock=time.time,
        scope=github.scope,
        runner_group=github.runner_group,
        runner_group_id=github.runner_group_id,
    )
    return GitHubSide(client, cache, meter, credentials)


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


async def store_of(settings: Settings) -> TokenStore:
    """Where tokens and budgets are kept. Raises InvalidSettings."""
    if settings.tokens.store == "memory":
        return MemoryStore(time.time)
    client = aws_of(settings).dynamodb()
    return DynamoDBStore(client, settings.tokens.table, await sealer_of(settings), time.time)


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
        return Sealer(keys)
    except (AwsError, BadKey, ValueError) as error:
        raise InvalidSettings(f"tokens.encryption_keys: {error}") from None


@asynccontextmanager
async def metrics_of(settings: Settings, meter: Meter) -> AsyncGenerator[None]:
    """`/metrics` of this worker inside the block, if a port is configured."""
    if not settings.worker.metrics_port:
        yield
        return
    address = settings.worker.metrics_host, settings.worker.metrics_port
    try:
        server, thread = start_http_server(
            address[1], addr=address[0], registry=GitHubMetrics.registry(meter)
        )
    except OSError as error:
        raise InvalidSettings(f"worker.metrics_port {address[1]}: {error.strerror}") from None
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
