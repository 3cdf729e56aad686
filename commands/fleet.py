"""`penstock fleet`: what an operator does to the Fleet itself."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import settings as configuration
from activities.workflows import start_fleet
from api.fleet_client import FleetClient, FleetUnavailable
from commands.common import CONFIG, OUTPUT, REASON, actor, ask, run
from commands.exits import TOO_LATE
from commands.output import doing, is_data, print_data, print_table, say
from embedded.connect import connect
from policy import names
from policy.fleet import Rebuild

LOOK_SECONDS = 0.5

app = typer.Typer(help="The Fleet itself: its memory and its record.", no_args_is_help=True)


@app.command(epilog="Example: penstock fleet rebuild --reason 'after a restored backup'")
def rebuild(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = REASON,
    restart: bool = typer.Option(
        False, help="End the Fleet's workflow and begin a new one: for a Fleet that is stuck."
    ),
    wait: float = typer.Option(60.0, min=0.0, help="Seconds to wait until all have answered."),
) -> None:
    """Ask every semaphore anew what it holds. Runners and waiting jobs are left alone.

    Nothing is granted until all have answered; mode, limits and audit list are kept. A Fleet that
    does not run is started. Exit 4 if not all have answered in time.
    """

    async def work() -> dict[str, Any]:
        settings = configuration.load(config)
        client = await connect(settings.state_dir)
        fleet = FleetClient(client)
        if restart:
            await _terminate(client, reason)
        await start_fleet(client, settings.fleet_limits)
        before = await _progress(fleet)
        await fleet.rebuild(Rebuild(reason, actor()))
        ends = time.monotonic() + wait
        with doing("asking every semaphore") as shown:
            while True:
                answer = await _progress(fleet)
                begun = answer["rebuilt_at"] > before["rebuilt_at"]
                answer["settled"] = begun and answer["settled"]
                if answer["settled"] or time.monotonic() >= ends:
                    return answer
                if shown:
                    shown.update(f"{answer['answered']} of {answer['repos']} have answered")
                await asyncio.sleep(LOOK_SECONDS)

    answer = run(work())
    said = f"{answer['answered']} of {answer['repos']} semaphores have answered"
    say(output, answer, said)
    if not answer["settled"]:
        raise typer.Exit(TOO_LATE)


@app.command(epilog="Example: penstock fleet audit -o json")
def audit(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """The last fifty changes of mode and limits: when, by whom, why."""
    entries = ask(config, lambda fleet: fleet.audit())
    if is_data(output):
        print_data(output, entries)
        return
    rows = [
        (
            datetime.fromtimestamp(entry["at"], UTC).strftime("%Y-%m-%d %H:%M:%S"),
            entry["actor"],
            entry["what"],
            entry["reason"],
        )
        for entry in entries
    ]
    print_table(("time (UTC)", "who", "what", "why"), rows)


async def _terminate(client: Client, reason: str) -> None:
    try:
        await client.get_workflow_handle(names.FLEET_ID).terminate(
            reason or "penstock fleet rebuild --restart"
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise


async def _progress(fleet: FleetClient) -> dict[str, Any]:
    """How many semaphores the Fleet knows, and how many have answered it; none while silent."""
    answer = {"settled": False, "repos": 0, "answered": 0, "rebuilt_at": 0.0}
    with contextlib.suppress(FleetUnavailable):
        status = await fleet.status()
        answer["repos"] = len(status["repos"])
        answer["answered"] = sum(repo["settled"] for repo in status["repos"])
        answer["settled"] = status["settled"] and not status["unmet"]
        answer["rebuilt_at"] = status["rebuilt_at"]
    return answer
