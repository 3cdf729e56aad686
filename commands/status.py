"""`penstock status` and `penstock repos`: what the fleet does now."""

import asyncio
from pathlib import Path
from typing import Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

import settings as configuration
from api import readings
from api.fleet_client import FleetClient, FleetUnavailable
from commands.common import CONFIG, OUTPUT, ask, run
from commands.output import (
    console,
    harmless,
    is_data,
    is_plain,
    print_data,
    print_line,
    print_table,
    table_of,
)
from embedded.connect import connect

LOOK_SECONDS = 1.0
COLUMNS = ("repository", "running", "limit", "waiting", "oldest wait")


def status(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    watch: bool = typer.Option(False, "--watch", "-w", help="Live, until Ctrl-C."),
) -> None:
    """Mode, limits and every repository's permits.

    With --watch it is read anew each second; where nobody looks, each change is a line.
    """
    if not watch:
        answer = ask(config, readings.status)
        if is_data(output):
            print_data(output, answer)
        else:
            show(answer)
        return
    if is_data(output):
        said = "it shows a table; a program asks again and again"
        raise typer.BadParameter(said, param_hint="--watch")
    try:
        run(_watch(config))
    except KeyboardInterrupt:  # that is how it ends
        raise typer.Exit from None


def repos(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """Every repository's permits: those that have, or had, jobs."""
    answer = ask(config, readings.repos)
    if is_data(output):
        print_data(output, answer)
        return
    more = [(r["allotment"], r["org_limit"]) for r in answer]
    rows = [row + last for row, last in zip(rows_of(answer), more, strict=True)]
    print_table((*COLUMNS, "allotment", "organization's limit"), rows)


def show(answer: dict[str, Any]) -> None:
    """The answer as a line and a table."""
    print_line(headline(answer))
    print_table(COLUMNS, rows_of(answer["repos"]))
    for repo in answer["repos"]:
        if repo.get("cause"):  # a Fleet of a former version does not say
            print_line(f"{repo['repo']}: {repo['cause']}")


def headline(answer: dict[str, Any]) -> str:
    """The whole fleet in one line."""
    cause = f" ({answer['effective_cause']})" if answer["effective_cause"] else ""
    reason = f" ({answer['reason']})" if answer["reason"] else ""
    return (
        f"mode {answer['mode']}{reason} · running {answer['running']} of {answer['capacity']}"
        f"{cause} · waiting {answer['waiting']}"
    )


def rows_of(repos: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """A row each repository."""
    return [
        (r["repo"], r["running"], r["limit"], r["waiting"], f"{r['oldest_wait_seconds']:.0f} s")
        for r in repos
    ]


async def _watch(config: Path | None) -> None:
    fleet = FleetClient(await connect(configuration.load(config).state_dir))
    answer = await readings.status(fleet)  # one that was never reached is no watch
    if is_plain():
        await _lines(fleet, answer)
    with Live(frame(answer, ""), console=console, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            silence = ""
            try:
                answer = await readings.status(fleet)
            except FleetUnavailable as error:
                silence = f"{error} Shown is its last word."
            live.update(frame(answer, silence), refresh=True)


async def _lines(fleet: FleetClient, answer: dict[str, Any]) -> None:
    said = ""
    while True:
        if harmless(headline(answer)) != said:
            said = harmless(headline(answer))
            print(said, flush=True)
        await asyncio.sleep(LOOK_SECONDS)
        try:
            answer = await readings.status(fleet)
        except FleetUnavailable as error:
            if said != str(error):
                said = str(error)
                print(said, flush=True)


def frame(answer: dict[str, Any], silence: str) -> Group:
    """One screen: what does not fit is counted, not scrolled away."""
    most = max(1, console.height - 8)
    busy = sorted(answer["repos"], key=lambda r: (-r["waiting"], -r["running"], r["repo"]))
    rest = len(busy) - most
    lines = [Text(harmless(silence or headline(answer))), table_of(COLUMNS, rows_of(busy[:most]))]
    if rest > 0:
        lines.append(Text(f"and {rest} more: penstock repos"))
    return Group(*lines, Text("Ctrl-C ends", style="dim"))
