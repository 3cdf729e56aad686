"""`penstock demo`: all of it at work, on a simulated GitHub."""

import typer

from commands.common import run
from commands.logs import start_logging
from commands.output import console
from demo.run import run_demo


def demo(
    jobs: int = typer.Option(40, min=3, max=2000, help="How many jobs to send."),
    seed: int = typer.Option(7, help="Chance's seed."),
    keep: bool = typer.Option(False, help="Keep the folder with histories and logs."),
) -> None:
    """Show all of it on this machine: a simulated GitHub, real runners, every law checked."""
    start_logging("ERROR")
    raise typer.Exit(run(run_demo(console, jobs=jobs, seed=seed, keep=keep)))
