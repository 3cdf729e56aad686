"""`penstock drain`: take no new work, and see the rest end."""

import asyncio
import time
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import settings as configuration
from api.fleet_client import FleetClient, FleetUnavailable
from commands.arguments import seconds_of
from commands.common import CONFIG, OUTPUT, REASON, actor, run
from commands.exits import TOO_LATE
from commands.output import console, drain_line, is_data, is_plain, print_data, print_drain
from embedded.connect import connect
from policy.fleet import ModeChange

LOOK_SECONDS = 1.0
SILENCE_SECONDS = 60.0  # of a Fleet that is being replaced; then it is given up
STOPPING_SECONDS = 60.0  # for stopped runners to be gone


def _known_end(value: str) -> str:
    """Refuse a wrong word before anything is done."""
    if value not in ("leave", "stop"):
        raise typer.BadParameter("leave or stop")
    return value


def drain(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = REASON,
    wait: bool = typer.Option(False, help="Show progress until the fleet is empty."),
    deadline: str = typer.Option(
        "", help="90, 45s, 30m or 1h30m; the Fleet keeps it. None: empty."
    ),
    on_deadline: str = typer.Option(
        "leave",
        help="What then: leave the rest to end by itself, or stop (maintenance; its jobs fail).",
        callback=_known_end,
    ),
) -> None:
    """Take no new work and finish what there is. Exit 4 if it is not done by the deadline."""
    seconds = seconds_of(deadline) if deadline else 0.0
    quiet = is_data(output)

    async def work() -> dict[str, Any]:
        fleet = FleetClient(await connect(configuration.load(config).state_dir))
        change = ModeChange(reason, seconds, actor=actor(), on_deadline=on_deadline)
        await fleet.set_mode("draining", change)
        if not wait:
            return await fleet.drain_status()
        answer = await _watch(fleet, seconds, quiet=quiet)
        late = not answer["drained"] and answer["mode"] != "normal"
        if late and on_deadline == "stop":  # the Fleet does that by itself, watched or not
            answer = await _watch(fleet, STOPPING_SECONDS, quiet=quiet, stopping=True)
        return answer

    answer = run(work())
    if quiet:
        print_data(output, answer)
    else:
        print_drain(answer)
    # Stopped is not drained: what was queued is kept, and jobs have failed.
    if wait and (not answer["drained"] or answer["mode"] == "maintenance"):
        raise typer.Exit(TOO_LATE)


async def _watch(
    fleet: FleetClient, deadline: float, *, quiet: bool, stopping: bool = False
) -> dict[str, Any]:
    """The Fleet's last word: drained, another mode, no runner left (`stopping`), or too late."""
    ends = time.monotonic() + deadline if deadline else float("inf")
    shown = Progress(
        TextColumn("[progress.description]{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or is_plain(),
    )
    most, heard = 0, time.monotonic()
    with shown:
        bar = shown.add_task("draining", total=None)
        while True:
            try:
                answer = await fleet.drain_status()
            except FleetUnavailable:
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise
                shown.update(bar, description="the Fleet does not answer")
                await asyncio.sleep(LOOK_SECONDS)
                continue
            heard = time.monotonic()
            left = answer["running"] + (0 if stopping else answer["waiting"])
            most = max(most, left)
            shown.update(bar, description=drain_line(answer), total=most, completed=most - left)
            stopped = stopping and answer["mode"] == "maintenance" and not left
            over = answer["drained"] or answer["mode"] == "normal" or stopped
            if over or heard >= ends:
                return answer
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, ends - heard)))
