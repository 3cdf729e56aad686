"""`penstock recover`: run the recovery now, and see what it did."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleDescription,
    WorkflowFailureError,
)
from temporalio.service import RPCError, RPCStatusCode

import settings as configuration
from activities.recovery_schedule import trigger
from commands.arguments import seconds_of
from commands.common import CONFIG, OUTPUT, run
from commands.exits import FAILED, TOO_LATE
from commands.output import doing, is_data, print_data, print_line, print_table, say
from embedded.connect import connect
from policy import names
from workflows.recovery import RecoveryResult

LOOK_SECONDS = 0.2
MISSING = (
    "there is no recovery to run: it is off (recovery.enabled), or neither penstock setup"
    " nor a worker has run yet"
)


def recover(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    wait: bool = typer.Option(False, help="Wait for its end, and show what it did."),
    deadline: str = typer.Option("5m", help="With --wait: 90, 45s, 5m; exit 4 after it."),
) -> None:
    """Pay refused and lost webhooks now; else it is done every two minutes (docs/recovery.md).

    If a run is under way, another one follows it. With --wait, exit 1 if a part of it failed.
    """
    seconds = seconds_of(deadline)
    state_dir = configuration.load(config).state_dir

    async def work() -> RecoveryResult | None:
        client = await connect(state_dir)
        if not wait:
            await trigger(client)
            return None
        with doing("the recovery runs"):
            async with asyncio.timeout(seconds):
                return await run_now(client)

    try:
        result = run(work())
    except TimeoutError:
        typer.echo(f"penstock: the recovery has not ended after {deadline}", err=True)
        raise typer.Exit(TOO_LATE) from None
    except WorkflowFailureError as error:
        typer.echo(f"penstock: the recovery failed: {error.cause}", err=True)
        raise typer.Exit(FAILED) from None
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        typer.echo(f"penstock: {MISSING}", err=True)
        raise typer.Exit(FAILED) from None
    if result is None:
        say(
            output, {"triggered": True}, "the recovery runs; penstock recover --wait shows its end"
        )
        return
    _show(result, output)
    if result.failures:
        raise typer.Exit(FAILED)


async def run_now(client: Client) -> RecoveryResult:
    """Trigger the schedule; the result of the run that begins then. Raises RPCError."""
    schedule = client.get_schedule_handle(names.RECOVERY_SCHEDULE)
    before = _runs(await schedule.describe())
    await trigger(client)
    while True:
        runs = _runs(await schedule.describe())
        new = [run_id for run_id in runs if run_id not in before]
        if new:
            break
        await asyncio.sleep(LOOK_SECONDS)
    handle = client.get_workflow_handle(runs[new[0]], run_id=new[0], result_type=RecoveryResult)
    return await handle.result()


def _runs(described: ScheduleDescription) -> dict[str, str]:
    """Run id → workflow id of the last runs, the newest last."""
    info = described.info
    actions = [one.action for one in info.recent_actions] + list(info.running_actions)
    return {
        one.first_execution_run_id: one.workflow_id
        for one in actions
        if isinstance(one, ScheduleActionExecutionStartWorkflow)
    }


def _show(result: RecoveryResult, output: str) -> None:
    answer: dict[str, Any] = asdict(result)
    if is_data(output):
        print_data(output, answer)
        return
    print_line(f"mode {result.mode}, room for {result.room} jobs")
    hidden = ("mode", "room", "failures", "checkpoint")
    rows = [(name.replace("_", " "), n) for name, n in answer.items() if name not in hidden]
    print_table(("what", "how many"), [row for row in rows if row[1]] or [("nothing to do", "")])
    for part, lines in result.failures.items():
        for line in lines:
            print_line(f"{part}: {line}")
