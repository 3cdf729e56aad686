"""Every command: its name, where it is and an example; loaded only when it is asked for.

Loading all of them takes longer than most commands do: the gateway's web framework, AWS's library,
Temporal's workers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import typer

HELP = "Admission control for GitHub self-hosted runners, on durable workflows."


@dataclass(frozen=True)
class Place:
    """A function of a module, or a module's `app` of commands below this one."""

    module: str
    function: str = "app"
    example: str = ""


EVERY: dict[str, Place] = {
    "demo": Place("commands.demo", "demo", "penstock demo --jobs 5"),
    "dev": Place("commands.dev", "dev", "penstock dev --config penstock.toml"),
    "worker": Place("commands.serve", "worker", "penstock worker --config /etc/penstock.toml"),
    "gateway": Place("commands.serve", "gateway", "penstock gateway --config /etc/penstock.toml"),
    "setup": Place(
        "commands.setup", "setup", "TEMPORAL_ADDRESS=temporal:7233 penstock setup --dry-run"
    ),
    "status": Place("commands.status", "status", "penstock status --watch"),
    "repos": Place("commands.status", "repos", "penstock repos -o yaml"),
    "doctor": Place("commands.doctor", "doctor", "penstock doctor --config /etc/penstock.toml"),
    "explain": Place("commands.explain", "explain_job", "penstock explain acme/api 29679449526"),
    "drain": Place(
        "commands.drain", "drain", "penstock drain --wait --deadline 30m --reason 'kernel update'"
    ),
    "resume": Place("commands.modes", "resume", "penstock resume --reason 'kernel updated'"),
    "maintenance": Place(
        "commands.modes", "maintenance", "penstock maintenance --reason 'moving the fleet'"
    ),
    "recover": Place("commands.recover", "recover", "penstock recover --wait"),
    "versions": Place("commands.versions", "versions", "penstock versions -o json"),
    "promote": Place("commands.versions", "promote", "penstock promote 2026-11-28.1"),
    "version": Place("commands.version", "version", "penstock version"),
    "jobs": Place("commands.jobs"),
    "limits": Place("commands.limits"),
    "config": Place("commands.config"),
    "admin-key": Place("commands.admin_key"),
    "token-key": Place("commands.token_key"),
    "fleet": Place("commands.fleet"),
    "dead-letters": Place("commands.dead_letters"),
}


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """What these arguments need: one command, or all for whatever is not plainly one."""
    asked = arguments[0] if arguments else ""
    return app_of([asked] if asked in EVERY else EVERY)


def app_of(names: Sequence[str] | dict[str, Place] = EVERY) -> typer.Typer:
    """The command line with these commands, by default all, in the order of the table."""
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=HELP)(_nothing)  # or a single command would be all there is
    for name in names:
        place = EVERY[name]
        found = getattr(import_module(place.module), place.function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, epilog=f"Example: {place.example}")(found)
    return app


def _nothing() -> None:
    return
