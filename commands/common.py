"""What the commands share: options, and a question to the Fleet."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import typer
import uvloop

import settings as configuration
from api.fleet_client import FleetClient
from commands.output import FORMATS
from embedded.connect import connect

T = TypeVar("T")

CONFIG = typer.Option(
    None, "--config", "-c", help="The configuration file (default: penstock.toml if it exists)."
)


def _known_output(value: str) -> str:
    """Refuse a wrong format before anything is done."""
    if value not in FORMATS:
        raise typer.BadParameter("table, json or yaml")
    return value


def _formats() -> list[str]:
    return list(FORMATS)


OUTPUT = typer.Option(
    "table",
    "--output",
    "-o",
    help="table, json or yaml.",
    callback=_known_output,
    autocompletion=_formats,
)
REASON = typer.Option("", "--reason", "-r", help="Why; kept in the audit list.")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end, on the loop that costs a gateway least."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def ask(config: Path | None, question: Callable[[FleetClient], Awaitable[T]]) -> T:
    """Ask the Fleet one thing."""
    state_dir = configuration.load(config).state_dir

    async def work() -> T:
        return await question(FleetClient(await connect(state_dir)))

    return run(work())


def none_before(context: typer.Context, command: str) -> None:
    """For a group that is also a command: what is said before a command's name is not lost."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            said = f"{parameter.opts[0]} belongs after the command: penstock {command}"
            raise typer.BadParameter(f"{said} {context.invoked_subcommand} {parameter.opts[0]} …")


def actor() -> str:
    """Who gives the command, for the audit list."""
    return f"cli {os.environ.get('USER') or os.environ.get('LOGNAME') or 'unknown'}"
