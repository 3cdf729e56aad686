"""`penstock setup`: all that Penstock needs at Temporal and AWS, made where it is lacking."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import settings as configuration
from activities.clients import dead_letter_queue, dynamodb_table, log_group
from activities.clients.aws import AwsError
from activities.recovery_schedule import ensure_schedule
from commands.common import CONFIG, OUTPUT, run
from commands.output import doing, is_data, print_data, print_line
from embedded.connect import connect
from embedded.register import register_search_attributes
from policy import names
from policy.names import SEARCH_ATTRIBUTES
from settings import Settings
from wiring import aws_of
from wiring_metrics import make_alarms, make_dashboard

FAILED, UNREACHABLE = 1, 3
# Longer than GitHub can send an event again (3 days): a job's id stays taken as long.
RETENTION = timedelta(days=7)
LOOKS, LOOK_SECONDS = 60, 0.5


@dataclass(frozen=True)
class Order:
    """What a step works on. With `dry_run` it changes nothing and says what it would change."""

    client: Client
    settings: Settings
    dry_run: bool = False


# A step makes one thing such as it should be, and says what it changed: nothing the second time.
Step = Callable[[Order], Awaitable[list[str]]]


@dataclass(frozen=True)
class Part:
    """A step that is done."""

    name: str
    changed: list[str]


class StepFailed(Exception):
    """A step failed; the message is one line with the step, the cause and the mend."""

    def __init__(self, said: str, code: int) -> None:
        super().__init__(said)
        self.code = code


def setup(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be changed."),
) -> None:
    """Prepare what is yours: namespace, search attributes and schedule in Temporal; tables, queue,
    log group, alarms and dashboard at AWS, where the configuration names them. Safe to repeat
    (docs/aws.md).
    """
    settings = configuration.load(config)
    quiet = is_data(output)

    async def work() -> list[Part]:
        order = Order(await connect(settings.state_dir), settings, dry_run)
        parts: list[Part] = []
        with doing("") as shown:
            async for part in perform(order, shown.update if shown else lambda _: None):
                parts.append(part)
                for change in [] if quiet else part.changed:
                    said = f"would be done: {change}" if dry_run else change
                    print_line(said)
        return parts

    try:
        parts = run(work())
    except StepFailed as error:
        typer.echo(f"penstock: {error}", err=True)
        raise typer.Exit(error.code) from None
    changed = any(part.changed for part in parts)
    if quiet:
        # In a dry run `changed` says whether there is something to change.
        answer = {"changed": changed, "dry_run": dry_run}
        print_data(output, {**answer, "parts": [vars(part) for part in parts]})
    elif not changed:
        print_line("nothing to change")
    elif dry_run:
        print_line("nothing was changed: it is a dry run")


async def perform(order: Order, show: Callable[[str], Any]) -> AsyncIterator[Part]:
    """One step after another; `show` hears which is under way. Raises StepFailed."""
    for number, (name, step) in enumerate(STEPS, 1):
        show(f"{number}/{len(STEPS)} {name}")
        try:
            yield Part(name, await _patiently(step, order))
        except AwsError as error:
            mend = ": the role wants what deploy/iam/setup.json lists"
            denied = any(word in str(error) for word in ("AccessDenied", "NotAuthorized"))
            raise StepFailed(f"{name}: {error}{mend if denied else ''}", FAILED) from None
        except RPCError as error:
            raise StepFailed(f"{name}: {_told(error)}", UNREACHABLE) from None


async def _patiently(step: Step, order: Order) -> list[str]:
    """Temporal's services hear of a new namespace one after another, within some ten seconds."""
    looks = 0
    while True:
        try:
            return await step(order)
        except RPCError as error:
            new = error.status == RPCStatusCode.NOT_FOUND and "amespace" in error.message
            looks += 1
            if order.dry_run or not new or looks >= LOOKS:
                raise
        await asyncio.sleep(LOOK_SECONDS)


async def _namespace(order: Order) -> list[str]:
    """A namespace that is not there yet, on a Temporal that lets us make one."""
    client = order.client
    if await _namespace_exists(client):
        return []
    if not order.dry_run:
        await _register(client)
    return [f"namespace {client.namespace} made, it keeps closed workflows {RETENTION.days} days"]


async def _search_attributes(order: Order) -> list[str]:
    try:
        added = await register_search_attributes(order.client, dry_run=order.dry_run)
    except RPCError as error:
        if not order.dry_run or error.status != RPCStatusCode.NOT_FOUND:
            raise
        added = list(SEARCH_ATTRIBUTES)  # of a namespace that would be made
    return [f"search attribute {name} added" for name in added]


async def _schedule(order: Order) -> list[str]:
    timetable = order.settings.recovery.timetable
    done = await ensure_schedule(order.client, timetable, dry_run=order.dry_run)
    return [f"schedule {names.RECOVERY_SCHEDULE} {done}"] if done else []


async def _tokens(order: Order) -> list[str]:
    of = order.settings.tokens
    if of.store != "dynamodb":
        return []
    return await dynamodb_table.ensure(
        aws_of(order.settings).dynamodb(), of.table, dynamodb_table.TOKENS, dry_run=order.dry_run
    )


async def _concurrency(order: Order) -> list[str]:
    of = order.settings.concurrency
    if not of.enabled:
        return []
    kind, client = dynamodb_table.CONCURRENCY, aws_of(order.settings).dynamodb()
    return await dynamodb_table.ensure(client, of.table, kind, dry_run=order.dry_run)


async def _dead_letters(order: Order) -> list[str]:
    of = order.settings.dead_letters
    if of.store != "sqs" or of.queue_url:  # a queue that is named by its address is the user's
        return []
    client = aws_of(order.settings).sqs()
    made = await dead_letter_queue.make(client, of.queue_name, dry_run=order.dry_run)
    return [f"queue {of.queue_name} made"] if made else []


async def _logs(order: Order) -> list[str]:
    of = order.settings.logs
    if not of.group:
        return []
    client = aws_of(order.settings).logs()
    return await log_group.ensure(client, of.group, of.retention_days, dry_run=order.dry_run)


async def _alarms(order: Order) -> list[str]:
    of = order.settings
    return await make_alarms(of, dry_run=order.dry_run) if of.cloudwatch.enabled else []


async def _dashboard(order: Order) -> list[str]:
    of = order.settings
    return await make_dashboard(of, dry_run=order.dry_run) if of.cloudwatch.enabled else []


# In this order: what stands above may be needed below.
STEPS: tuple[tuple[str, Step], ...] = (
    ("namespace", _namespace),
    ("search attributes", _search_attributes),
    ("schedule of the recovery", _schedule),
    ("table of tokens", _tokens),
    ("table of what runs", _concurrency),
    ("queue of dead letters", _dead_letters),
    ("log group", _logs),
    ("alarms", _alarms),
    ("dashboard", _dashboard),
)


async def _register(client: Client) -> None:
    kept = Duration(seconds=int(RETENTION.total_seconds()))
    request = RegisterNamespaceRequest(
        namespace=client.namespace, workflow_execution_retention_period=kept
    )
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:  # another setup made it just now
            raise


async def _namespace_exists(client: Client) -> bool:
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        if error.status == RPCStatusCode.PERMISSION_DENIED:
            return True  # whoever may not look at it may still use it: the next step will tell
        raise
    return True


def _told(error: RPCError) -> str:
    """The error with what can be done about it."""
    mends = {
        RPCStatusCode.PERMISSION_DENIED: "use an identity that may; on Temporal Cloud make"
        " namespace and search attributes there (docs/aws.md)",
        RPCStatusCode.UNIMPLEMENTED: "this Temporal has no such call: make it by its own tools",
        RPCStatusCode.UNAVAILABLE: "is the server up? run it again",
    }
    mend = mends.get(error.status)
    said = " ".join(error.message.split()) or error.status.name.lower()
    return f"Temporal says {said}" + (f": {mend}" if mend else "")
