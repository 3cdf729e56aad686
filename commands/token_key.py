"""`penstock token-key`: keys that seal tokens in a shared store."""

import time

import typer

from activities.clients.sealing import new_key
from commands.common import OUTPUT
from commands.output import say

app = typer.Typer(help="Keys that seal tokens in a shared store.", no_args_is_help=True)


@app.command("create", epilog="Example: penstock token-key create >> token-keys")
def create(
    output: str = OUTPUT,
    name: str = typer.Option("", help="Its id (default: today's date)."),
) -> None:
    """Make an encryption key: a line for tokens.encryption_keys_file. The first line seals."""
    key_id = name or time.strftime("%Y-%m-%d", time.gmtime())
    if not key_id.replace("-", "").replace("_", "").isalnum():
        raise typer.BadParameter("letters, digits, - and _", param_hint="--name")
    key = new_key()
    say(output, {"id": key_id, "key": key}, f"{key_id} {key}")
