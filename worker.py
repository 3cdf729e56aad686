"""The worker: settings → clients → activities → Temporal workers. The map of what runs.

queue penstock         RunnerJob, RepoSemaphore, Fleet; launch, retire, reap, workflows
queue penstock-github  acquire_runner_token, look_up_job
beside them            the watch: runners that end are reported to their jobs
                       the guardian: Fleet and semaphores run, and know what they must
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.clients.dead_letter_files import DeadLetterFiles
from activities.clients.process_launcher import ProcessLauncher
from activities.dead_letters import DeadLetterActivities
from activities.guardian import Guardian
from activities.heartbeat import Heartbeats
from activities.jobs import JobActivities
from activities.maintenance import MaintenanceActivities
from activities.reaper import ReaperActivities
from activities.runners import Launcher, RunnerActivities, RunnerReference
from activities.tokens import TokenActivities, Tokens
from activities.workflows import WorkflowActivities, start_fleet
from policy import names
from settings import Settings
from wiring import github_of, metrics_of
from workflows.fleet import Fleet
from workflows.repo_semaphore import RepoSemaphore
from workflows.runner_job import RunnerGone, RunnerJob

logger = logging.getLogger(__name__)

WORKFLOWS = (RunnerJob, RepoSemaphore, Fleet)
# Loading these anew for each run costs 20 ms, most of what a job costs here. import-linter and
# the lint rules keep them free of clocks and I/O; the replay tests run them in the full sandbox.
PASSED_THROUGH = ("policy", "activities", "temporalio", "workflows")
GRACE = timedelta(seconds=20)
WATCH_PAUSE_SECONDS = 1.0


@asynccontextmanager
async def running(client: Client, settings: Settings) -> AsyncGenerator[None]:
    """Run the workers inside the block; leaving it finishes what is under way."""
    side = await github_of(settings, lambda org, until: _cool_down(client, org, until))
    github, tokens = (
        side.client,
        Tokens(side.client, side.cache, jit=settings.github.mode == "jit"),
    )
    launcher = ProcessLauncher(
        settings.state_dir.resolve() / "runners",
        settings.runner.command,
        github_url=settings.github.url,
        api_url=settings.github.api_url,
        scope=settings.github.scope,
        group=settings.github.runner_group,
        environment=settings.runner.environment,
    )
    limits = settings.limits.limits
    runners = RunnerActivities(launcher, tokens, github, time.time, labels=settings.gateway.labels)
    of_workflows = WorkflowActivities(client, limits)
    github_queue = _worker(
        client,
        names.GITHUB_TASK_QUEUE,
        activities=[
            TokenActivities(tokens, time.time).acquire_runner_token,
            JobActivities(github, time.time).look_up_job,
        ],
    )
    main_queue = _worker(
        client,
        names.TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
        ),
        max_cached_workflows=2_000,
        activities=[
            runners.launch_runner,
            runners.retire_runner,
            of_workflows.tell_semaphore,
            of_workflows.ensure_semaphores,
            of_workflows.ensure_fleet,
            of_workflows.list_semaphores,
            of_workflows.collect_claims,
            ReaperActivities(client, launcher, github, time.time).reap,
            MaintenanceActivities(launcher).stop_runners,
            DeadLetterActivities(
                DeadLetterFiles(settings.state_dir / "dead-letters")
            ).record_dead_letter,
        ],
    )
    try:
        async with metrics_of(settings, side.meter), github_queue, main_queue:
            await start_fleet(client, limits)
            beside = [
                asyncio.create_task(_watch(client, launcher)),
                asyncio.create_task(Guardian(client, limits).run()),
            ]
            try:
                yield
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await launcher.close()
        await side.close()


def _worker(client: Client, task_queue: str, **what: Any) -> Worker:
    return Worker(
        client,
        task_queue=task_queue,
        graceful_shutdown_timeout=GRACE,
        interceptors=[Heartbeats()],
        **what,
    )


async def _watch(client: Client, launcher: Launcher) -> None:
    """Tell each job of its runner's end; then forget the runner. Ends with the worker."""
    while True:
        try:
            async for runner in launcher.ended():
                await _report_end(client, runner)
                await launcher.acknowledge(runner.name)
        except Exception:  # a full disk, too many open files: what is not told stays to be told
            logger.exception("the ends of runners cannot be followed; trying again")
        await asyncio.sleep(WATCH_PAUSE_SECONDS)


async def _report_end(client: Client, runner: RunnerReference) -> None:
    handle = client.get_workflow_handle(runner.workflow_id)
    while True:
        try:
            return await handle.signal(RunnerJob.runner_gone, RunnerGone(runner.name))
        except RPCError as error:
            # Neither a closed workflow nor one that takes no signal any more will ever hear.
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return None
            logger.warning("the end of %s cannot be reported yet: %s", runner.name, error)
        await asyncio.sleep(WATCH_PAUSE_SECONDS)


async def _cool_down(client: Client, org: str, until: float) -> None:
    """GitHub paused an organization: the Fleet grants it nothing meanwhile."""
    with contextlib.suppress(RPCError):  # the pause holds in this worker even so
        await client.get_workflow_handle(names.FLEET_ID).signal(Fleet.cool_down, args=[org, until])
