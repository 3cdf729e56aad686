"""`penstock config`: whether the configuration is good, and what it comes to."""

import json
from pathlib import Path
from typing import Any

import typer

import settings as configuration
from commands.common import CONFIG, OUTPUT
from commands.origins import entries
from commands.output import is_data, print_data, print_table, say

app = typer.Typer(help="The configuration.", no_args_is_help=True)


@app.command(epilog="Example: penstock config check --config penstock.toml")
def check(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """Read the configuration and say whether a gateway and a worker could start with it."""
    configuration.load(config).check_secrets()
    say(output, {"good": True}, "the configuration is good")


@app.command(epilog="Example: penstock config show --changed -o yaml")
def show(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    changed: bool = typer.Option(False, help="Only what is not the default."),
) -> None:
    """Every value with where it comes from: default, file or environment. Secrets are hidden.

    The limits of a running fleet may have been changed live since: penstock limits.
    """
    settings = configuration.load(config)
    found = [one for one in entries(settings) if not changed or one.origin != "default"]
    if is_data(output):
        print_data(output, [vars(one) for one in found])
        return
    rows = [(one.key, written(one.value), one.shown_origin) for one in found]
    print_table(("key", "value", "origin"), rows)


def written(value: Any) -> str:
    """As the file would have it, more or less: texts without quotes, lists in one line."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
