"""The log of what runs until it is stopped."""

import logging

import typer

from activities.redaction import guard_logs

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def start_logging(level: str) -> None:
    """On standard error, with every secret blotted out. Raises BadParameter."""
    if level.upper() not in LEVELS:
        raise typer.BadParameter(f"one of {', '.join(LEVELS)}", param_hint="--log-level")
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("penstock.audit").setLevel(logging.INFO)  # a trail has no gaps
    guard_logs()
