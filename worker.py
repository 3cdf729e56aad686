"""The worker: settings → clients → activities → Temporal workers. The map of what runs.

queue penstock         RunnerJob, RepoSemaphore, Fleet, Recovery; launch, retire, reap, workflows
queue penstock-github  acquire_runner_token, look_up_job; what a recovery asks of GitHub
schedule               penstock-recovery: a Recovery every two minutes
beside them            the watch: runners that end are reported to their jobs
                       the guardian: Fleet and semaphores run, and know what they must
                       the launch log: the Fleet hears how launches go
                       metrics: Prometheus asks for them, CloudWatch is told (wiring_metrics.py)
                       the publisher, if configured: the table of what runs
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from activities.dead_letters import DeadLetterActivities
from activities.guardian import Guardian
from activities.heartbeat import Heartbeats
from activities.jobs import JobActivities
from activities.launches import LaunchLog
from activities.maintenance import MaintenanceActivities
from activities.reaper import ReaperActivities
from activities.recovery_schedule import ensure_schedule
from activities.runners import Launcher, RunnerActivities, RunnerReference
from activities.tokens import TokenActivities, Tokens
from activities.workflows import WorkflowActivities, start_fleet
from policy import names
from settings import Settings
from wiring import github_of, letters_of, recovery_of
from wiring_concurrency import loops_of
from wiring_metrics import worker_metrics
from wiring_runners import launcher_of
from worker_sandbox import Sandbox
from workflows.fleet import Fleet
from workflows.recovery import Recovery
from workflows.repo_semaphore import RepoSemaphore
from workflows.runner_job import RunnerGone, RunnerJob

logger = logging.getLogger(__name__)

WORKFLOWS = (RunnerJob, RepoSemaphore, Fleet, Recovery)
# Loading these anew for each run costs 20 ms, most of what a job costs here. import-linter and
# the lint rules keep them free of clocks and I/O; the replay tests run them in the full sandbox.
PASSED_THROUGH = ("policy", "activities", "temporalio", "workflows")
CACHED = 2_000  # workflows kept in memory; others are replayed when something happens to them
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
    held = AsyncExitStack()
    held.push_async_callback(side.close)
    try:
        launcher = await held.enter_async_context(launcher_of(settings))
    except BaseException:
        await held.aclose()
        raise
    limits = settings.fleet_limits
    log = LaunchLog(f"{socket.gethostname()}-{os.getpid()}", time.time, lambda: side.meter.budgets)
    runners = RunnerActivities(
        launcher, tokens, github, side.clock, labels=settings.gateway.labels, log=log
    )
    of_workflows = WorkflowActivities(client, limits)
    letters = letters_of(settings)
    recovery = recovery_of(client, settings, side, launcher, letters)
    github_queue = _worker(
        client,
        settings,
        names.GITHUB_TASK_QUEUE,
        activities=[
            TokenActivities(tokens, side.clock).acquire_runner_token,
            JobActivities(github, side.clock).look_up_job,
            *recovery.at_github,
        ],
    )
    sandbox = Sandbox(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )
    main_queue = _worker(
        client,
        settings,
        names.TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=sandbox,
        max_cached_workflows=CACHED,
        activities=[
            runners.launch_runner,
            runners.retire_runner,
            of_workflows.tell_semaphore,
            of_workflows.ensure_semaphores,
            of_workflows.ensure_fleet,
            of_workflows.list_semaphores,
            of_workflows.collect_claims,
            ReaperActivities(client, launcher, github, side.clock).reap,
            MaintenanceActivities(launcher).stop_runners,
            DeadLetterActivities(letters).record_dead_letter,
            *recovery.others,
        ],
    )
    sandbox.serve(main_queue)
    try:
        async with worker_metrics(client, settings, side, log), github_queue, main_queue:
            await start_fleet(client, limits)
            await _schedule_recovery(client, settings)
            beside = [
                asyncio.create_task(_watch(client, launcher)),
                asyncio.create_task(Guardian(client, limits).run()),
                asyncio.create_task(log.report(client)),
                *map(asyncio.create_task, loops_of(client, settings)),
            ]
            try:
                yield
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await held.aclose()


async def _schedule_recovery(client: Client, settings: Settings) -> None:
    """Where schedules are not to be had, jobs are served all the same."""
    try:
        await ensure_schedule(client, settings.recovery.timetable)
    except RPCError as error:
        logger.warning("the recovery is not scheduled: %s; penstock setup tries again", error)


def _worker(client: Client, settings: Settings, task_queue: str, **what: Any) -> Worker:
    return Worker(
        client,
        task_queue=task_queue,
        deployment_config=settings.worker.deployment,
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
            return await handle.signal(RunnerJob.runner_gone, RunnerGone(runner.name, runner.why))
        except RPCError as error:
            # Neither a closed workflow nor one that takes no signal any more will ever hear.
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return None
            logger.warning("the end of %s cannot be reported yet: %s", runner.name, error)
        await asyncio.sleep(WATCH_PAUSE_SECONDS)


async def _cool_down(client: Client, org: str, until: float) -> bool:
    """GitHub paused an organization: the Fleet grants it nothing meanwhile, once it was told."""
    try:
        await client.get_workflow_handle(names.FLEET_ID).signal(Fleet.cool_down, args=[org, until])
    except RPCError as error:
        # The pause holds even so; the next call that it stops tells again.
        logger.warning("the Fleet cannot be told that %s is to wait: %s", org, error)
        return False
    return True
