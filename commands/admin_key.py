"""`penstock admin-key`: keys for the admin interface, and sign-in by an AWS identity."""

import json
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError

import settings as configuration
from activities.clients.sts import signed_headers
from admin_settings import AdminKeyTable, IamTable
from api import keys
from commands.common import CONFIG, OUTPUT
from commands.output import is_data, print_data
from policy.iam import SCHEME, write

app = typer.Typer(help="Keys for the admin interface.", no_args_is_help=True)
OTHER_REGION = "us-east-1"  # that of the global endpoint


@app.command(epilog="Example: penstock admin-key create --name ann --scope read")
def create(
    output: str = OUTPUT,
    name: str = typer.Option("", help="Whose it is (default: key-DATE)."),
    scope: str = typer.Option("operate", help="read (may look) or operate (may do everything)."),
    not_after: str = typer.Option("", help="Its last day, YYYY-MM-DD (UTC); none if empty."),
) -> None:
    """Make a key. It is shown once: it goes to its user, the lines into the configuration."""
    key, digest = keys.create()
    told = {
        "name": name or time.strftime("key-%Y-%m-%d", time.gmtime()),
        "hash": digest,
        "scope": scope,
        **({"not_after": not_after} if not_after else {}),
    }
    try:
        AdminKeyTable.model_validate(told)
    except ValidationError as error:
        raise _wrong(error) from None
    lines = [f"{field} = {json.dumps(value)}" for field, value in told.items()]
    toml = "\n".join(["[[gateway.admin_keys]]", *lines])
    if is_data(output):
        print_data(output, {"key": key, **told, "toml": toml})
        return
    # Plain, whatever the terminal: both are there to be copied.
    print(f"key   {key}\nhash  {digest}\n\n{toml}")


@app.command(epilog="Example: penstock admin-key iam --config /etc/penstock.toml")
def iam(
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    sts_url: str = typer.Option("", help="The gateway's gateway.iam.sts_url."),
    server_id: str = typer.Option("", help="The gateway's gateway.iam.server_id."),
    region: str = typer.Option("", help="To sign for (default: as the address says)."),
) -> None:
    """Sign in by an AWS identity: the value of an Authorization header, good for 15 minutes.

    curl -H "Authorization: $(penstock admin-key iam)" https://HOST/admin/status

    Signed with the credentials that AWS's own tools find. Without options, sts_url and server_id
    are those of the configuration's [gateway.iam].
    """
    table = None if sts_url and server_id else configuration.load(config).gateway.iam
    told = {
        "sts_url": sts_url or (table.sts_url if table else ""),
        "server_id": server_id or (table.server_id if table else ""),
    }
    try:
        target = IamTable.model_validate(told)
    except ValidationError as error:
        raise _wrong(error, "; or give it in [gateway.iam] of the configuration") from None
    headers = signed_headers(target.sts_url, target.server_id, region or region_of(target.sts_url))
    value = f"{SCHEME} {write(headers)}"
    if is_data(output):
        print_data(output, {"authorization": value})
        return
    print(value)


def region_of(sts_url: str) -> str:
    """The region in an STS endpoint's address: sts.eu-central-1.amazonaws.com."""
    found = re.match(r"sts(?:-fips)?\.([a-z]{2}-[a-z-]+-\d+)\.", urlsplit(sts_url).hostname or "")
    return found[1] if found else OTHER_REGION


def _wrong(error: ValidationError, more: str = "") -> typer.BadParameter:
    first = error.errors()[0]
    said = first["msg"].removeprefix("Value error, ") + more
    return typer.BadParameter(said, param_hint=f"--{first['loc'][0]}".replace("_", "-"))
