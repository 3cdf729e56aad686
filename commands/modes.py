"""`penstock resume` and `penstock maintenance`; draining takes long, and is in drain.py."""

from pathlib import Path

import typer

from commands.common import CONFIG, OUTPUT, REASON, actor, ask
from commands.output import say
from policy.fleet import ModeChange


def resume(config: Path | None = CONFIG, output: str = OUTPUT, reason: str = REASON) -> None:
    """Take work again."""
    ask(config, lambda its: its.set_mode("normal", ModeChange(reason, actor=actor())))
    say(output, {"mode": "normal"}, "mode normal: webhooks are accepted")


def maintenance(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = REASON,
    stop_running: bool = typer.Option(False, help="Stop every runner too; their jobs fail."),
) -> None:
    """Take no new work and start none; what is queued is kept."""
    change = ModeChange(reason, stop_running=stop_running, actor=actor())
    ask(config, lambda its: its.set_mode("maintenance", change))
    said = "mode maintenance: nothing is granted; what is queued is kept"
    say(output, {"mode": "maintenance"}, said)
