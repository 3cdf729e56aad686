"""What the commands share: options, and a question to the Fleet."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import typer

import settings as configuration
from api.fleet_client import FleetClient
from embedded.connect import connect

T = TypeVar("T")

CONFIG = typer.Option(
    None, "--config", "-c", help="The configuration file (default: penstock.toml if it exists)."
)


def _known_output(value: str) -> str:
    """Refuse a wrong format before anything is done."""
    if value not in ("table", "json"):
        raise typer.BadParameter("table or json")
    return value


OUTPUT = typer.Option("table", "--output", "-o", help="table or json.", callback=_known_output)
REASON = typer.Option("", "--reason", "-r", help="Why; kept in the audit list.")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do it to its end."""
    return asyncio.run(work)


def ask(config: Path | None, question: Callable[[FleetClient], Awaitable[T]]) -> T:
    """Ask the Fleet one thing."""
    state_dir = configuration.load(config).state_dir

    async def work() -> T:
        return await question(FleetClient(await connect(state_dir)))

    return run(work())


def actor() -> str:
    """Who gives the command, for the audit list."""
    return f"cli {os.environ.get('USER') or os.environ.get('LOGNAME') or 'unknown'}"
