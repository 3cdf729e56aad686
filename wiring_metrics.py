"""Settings → who is told metrics: Prometheus, which asks, and CloudWatch, which is told."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as Late
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import start_http_server
from temporalio.client import Client

from activities.clients.alarms import make as make_all_alarms
from activities.clients.aws import AwsError
from activities.clients.cloudwatch import CloudWatchSink
from activities.clients.dashboard import make as make_the_dashboard
from activities.fleet_metrics import FleetReader, Reading
from activities.launches import LaunchLog
from activities.metrics import WorkerMetrics
from activities.publisher import Pace, Publisher
from policy import alarms, figures
from policy.figures import Distribution, Figure
from settings import InvalidSettings, Settings
from wiring import GitHubSide, aws_of

SCRAPE_SECONDS = 20.0  # the reader's own patience is less


@asynccontextmanager
async def worker_metrics(
    client: Client, settings: Settings, side: GitHubSide, log: LaunchLog
) -> AsyncGenerator[None]:
    """Tell all that a worker knows inside the block. Raises InvalidSettings."""
    reader = FleetReader(client, settings.cloudwatch.repositories)

    def withown_of(reading: Reading) -> list[Figure | Distribution]:
        return [*reading.figures, *figures.of_worker(own_of(side, log), side.clock())]

    async def read() -> list[Figure | Distribution]:
        return withown_of(await reader.read())

    loop = asyncio.get_running_loop()

    def read_for_prometheus() -> list[Figure | Distribution]:
        asked = asyncio.run_coroutine_threadsafe(read(), loop)
        try:
            return asked.result(SCRAPE_SECONDS)
        except Late:
            asked.cancel()
            return withown_of(Reading())

    async with AsyncExitStack() as held:
        await held.enter_async_context(exposed(settings, read_for_prometheus))
        await held.enter_async_context(_publishing(settings, read))
        yield


@asynccontextmanager
async def publishing_of(
    settings: Settings, read: Callable[[], Sequence[Figure | Distribution]]
) -> AsyncGenerator[None]:
    """Tell CloudWatch a gateway's figures inside the block, if it is to be told."""

    async def read_it() -> Sequence[Figure | Distribution]:
        return read()

    async with _publishing(settings, read_it):
        yield


async def make_alarms(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Make CloudWatch's alarms what they are to be; what changed (or would), in words.

    For `penstock setup`; safe to repeat. Raises AwsError.
    """
    table, pressure = settings.cloudwatch, settings.pressure.thresholds
    return await make_all_alarms(
        aws_of(settings).cloudwatch(),
        alarms.alarms(pressure),
        namespace=table.namespace,
        prefix=table.alarm_prefix,
        topic=table.alarm_topic_arn,
        told=table.period_seconds,
        dry_run=dry_run,
    )


async def make_dashboard(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Make CloudWatch's dashboard; what changed (or would), in words. Raises AwsError."""
    table = settings.cloudwatch
    return await make_the_dashboard(
        aws_of(settings).cloudwatch(),
        table.dashboard,
        namespace=table.namespace,
        period=alarms.period_of(table.period_seconds),
        dry_run=dry_run,
    )


def own_of(side: GitHubSide, log: LaunchLog) -> figures.Worker:
    """What a worker process has counted until now."""
    meter = side.meter
    return figures.Worker(
        launches=log.results,
        launch_seconds=log.seconds,
        lookups=side.cache.lookups,
        calls=meter.results,
        points=meter.points,
        budgets=dict(meter.budgets),
    )


@asynccontextmanager
async def _publishing(
    settings: Settings, read: Callable[[], Awaitable[Sequence[Figure | Distribution]]]
) -> AsyncGenerator[None]:
    table = settings.cloudwatch
    if not table.enabled:
        yield
        return
    try:
        sink = CloudWatchSink(aws_of(settings).cloudwatch(), table.namespace)
    except AwsError as error:
        raise InvalidSettings(f"cloudwatch.enabled: {error}") from None
    pace = Pace(float(table.period_seconds), table.repositories)
    task = asyncio.create_task(Publisher(sink, read, time.time, pace).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def exposed(
    settings: Settings, read: Callable[[], Sequence[Figure | Distribution]]
) -> AsyncGenerator[None]:
    """`/metrics` of this worker inside the block, if a port is configured."""
    if not settings.worker.metrics_port:
        yield
        return
    address = settings.worker.metrics_host, settings.worker.metrics_port
    try:
        server, thread = start_http_server(
            address[1], addr=address[0], registry=WorkerMetrics.registry(read)
        )
    except OSError as error:
        raise InvalidSettings(f"worker.metrics_port {address[1]}: {error.strerror}") from None
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        await asyncio.to_thread(server.server_close)
        await asyncio.to_thread(thread.join)
