"""Settings → what runs runners: processes of this machine, or tasks of ECS."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from activities.clients import actions_runner
from activities.clients.aws import AwsError
from activities.clients.ecs import EcsLauncher, Fleet, ManagedSecrets, ParameterSecrets, TaskEvents
from activities.clients.process_launcher import ProcessLauncher
from activities.runner_environment import RunnerHome
from activities.runners import Launcher
from settings import InvalidSettings, Settings
from wiring import aws_of


@asynccontextmanager
async def launcher_of(settings: Settings) -> AsyncGenerator[Launcher]:
    """The launcher inside the block; what it runs outlives it. Raises InvalidSettings."""
    home = home_of(settings)
    if settings.runner.launcher == "process":
        made = ProcessLauncher(
            settings.state_dir.resolve() / "runners",
            command_of(settings),
            home=home,
            environment=settings.runner.environment,
        )
        try:
            yield made
        finally:
            await made.close()
        return
    try:
        launcher, events = _on_ecs(settings, home)
    except AwsError as error:
        raise InvalidSettings(str(error)) from None
    hearing = asyncio.create_task(events.run()) if events else None
    try:
        yield launcher
    finally:
        if hearing:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        await launcher.close()


def command_of(settings: Settings) -> list[str]:
    """What runs one runner: the configured command, or GitHub's own runner."""
    if settings.runner.folder is None:
        return settings.runner.command
    folder = str(settings.runner.folder.resolve())
    return [sys.executable, "-I", "-S", actions_runner.__file__, folder]


def home_of(settings: Settings) -> RunnerHome:
    """The GitHub that runners belong to."""
    github = settings.github
    return RunnerHome(github.url, github.api_url, github.scope, github.runner_group)


def _on_ecs(settings: Settings, home: RunnerHome) -> tuple[EcsLauncher, TaskEvents | None]:
    aws, table = aws_of(settings), settings.ecs
    secrets = (
        ParameterSecrets(aws.ssm(), table.handover_prefix, table.handover_key)
        if table.handover == "ssm"
        else ManagedSecrets(aws.secretsmanager(), table.handover_prefix, table.handover_key)
    )
    fleet = Fleet(
        table.cluster,
        table.every_profile,
        table.group,
        table.tags,
        table.environment,
        table.poll_seconds,
        alone=settings.worker.count == 1,
    )
    launcher = EcsLauncher(aws.ecs(), secrets, fleet, home)
    if not table.event_queue_url:
        return launcher, None
    return launcher, TaskEvents(aws.patient_sqs(), table.event_queue_url, launcher.hint)
