"""`penstock worker` and `penstock gateway`: one part of Penstock as a process, until stopped."""

from pathlib import Path

import typer

import settings as configuration
import worker as workers
from commands.common import CONFIG, run
from commands.logs import start_logging
from commands.output import console
from commands.stopping import stop_signal
from embedded import stack
from embedded.connect import connect
from embedded.deployment import standing


def worker(config: Path | None = CONFIG, log_level: str = "INFO") -> None:
    """Run the workers: workflows, tokens, runners."""
    start_logging(log_level)
    settings = configuration.load(config)
    settings.check_secrets()

    async def work() -> int:
        client = await connect(settings.state_dir)
        async with workers.running(client, settings):
            stop = stop_signal()
            console.print("worker runs; Ctrl-C stops it")
            if settings.worker.deployment_name:
                console.print(await standing(client, *settings.worker.version), highlight=False)
            await stop.wait()
        return 0

    raise typer.Exit(run(work()))


def gateway(config: Path | None = CONFIG, log_level: str = "INFO") -> None:
    """Run the webhook gateway and the admin interface."""
    start_logging(log_level)
    settings = configuration.load(config)
    settings.check_secrets()

    async def work() -> int:
        client = await connect(settings.state_dir)
        async with stack.gateway(client, settings, eager=False) as address:
            stop = stop_signal()
            console.print(f"gateway {address}", highlight=False)
            await stop.wait()
        return 0

    raise typer.Exit(run(work()))
