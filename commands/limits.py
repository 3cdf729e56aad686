"""`penstock limits`: how many runners may run at once, seen and changed live.

A limit's name is its key in the configuration: max_runners, repos.acme/api, orgs.acme,
weights.acme/api, pressure.max_queue_depth (or that without `pressure.`).
"""

from pathlib import Path
from typing import Any

import typer

from api import readings
from commands.arguments import number_of, pair, whole_number
from commands.common import CONFIG, OUTPUT, REASON, actor, ask, none_before
from commands.exits import FAILED
from commands.output import is_data, print_data, print_line, print_table
from policy.limits import LimitsChange
from policy.thresholds import ThresholdsChange

SCALARS = ("max_runners", "max_repo_share", "default")
TABLES = ("repos", "orgs", "weights")
THRESHOLDS = tuple(vars(ThresholdsChange()))

app = typer.Typer(help="How many runners may run at once.")


@app.callback(invoke_without_command=True, epilog="Example: penstock limits --repo acme/api=3")
def get_or_more(
    context: typer.Context,
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    set_: list[str] = typer.Option(
        [],
        "--set",
        help="max_runners=N, max_repo_share=X, default=N; of back-pressure: strategy=queue|reject,"
        " max_queue_depth=N, max_concurrency_percent=X, max_error_rate=X.",
    ),
    repo: list[str] = typer.Option([], help="owner/repo=N; owner/repo= unsets it."),
    org: list[str] = typer.Option([], help="owner=N; owner= unsets it."),
    weight: list[str] = typer.Option([], help="owner/repo=X, its part beside others; 1 unset."),
    reason: str = REASON,
) -> None:
    """The limits in force; with options, change them first (all or none)."""
    if context.invoked_subcommand:
        none_before(context, "limits")
        return
    change = LimitsChange(actor=actor(), reason=reason)
    for key, value in map(pair, set_):
        if key not in (*SCALARS, *THRESHOLDS):
            raise typer.BadParameter(f"there is no limit {key!r}", param_hint="--set")
        enter(change, key, value)
    for table, given in (("repos", repo), ("orgs", org), ("weights", weight)):
        for key, value in map(pair, given):
            enter(change, f"{table}.{key}", value)
    if set_ or repo or org or weight:
        ask(config, lambda its: its.set_limits(change))
    show(output, ask(config, readings.limits))


@app.command(epilog="Example: penstock limits get repos.acme/api")
def get(
    key: str = typer.Argument("", help="One of them: max_runners, repos.acme/api; all if empty."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """The limits in force. Exit 1 if the one that is asked for is not set."""
    wanted = known(key) if key else ""
    answer = ask(config, readings.limits)
    if not wanted:
        show(output, answer)
        return
    held = dict(rows_of(answer))
    if wanted not in held:
        typer.echo(f"penstock: {wanted} is not set", err=True)
        raise typer.Exit(FAILED)
    if is_data(output):
        print_data(output, {wanted: held[wanted]})
    else:
        print_line(str(held[wanted]))


@app.command("set", epilog="Example: penstock limits set max_runners=12 repos.acme/api=3")
def set_limits(
    changes: list[str] = typer.Argument(metavar="KEY=VALUE"),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = REASON,
) -> None:
    """Change limits, all or none; in force at once. Exit 1 if they are refused.

    Keys: max_runners, max_repo_share, default; repos.OWNER/REPO, orgs.OWNER, weights.OWNER/REPO;
    pressure.strategy (queue or reject), pressure.max_queue_depth,
    pressure.max_concurrency_percent, pressure.max_error_rate. Nothing that runs is revoked.
    """
    change = LimitsChange(actor=actor(), reason=reason)
    for key, value in map(pair, changes):
        if not value:
            raise typer.BadParameter(f"{key} has no value; to take it away: penstock limits unset")
        enter(change, key, value)
    _change(config, output, change)


@app.command(epilog="Example: penstock limits unset repos.acme/api weights.acme/api")
def unset(
    keys: list[str] = typer.Argument(metavar="KEY"),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
    reason: str = REASON,
) -> None:
    """Take away limits of repositories and owners, and weights: the common ones hold then."""
    change = LimitsChange(actor=actor(), reason=reason)
    for key in keys:
        if known(key).partition(".")[0] not in TABLES:
            raise typer.BadParameter(f"{key} always has a value: penstock limits set {key}=…")
        enter(change, key, "")
    _change(config, output, change)


def known(key: str) -> str:
    """The key in full. Raises typer.BadParameter if there is none such."""
    table, dot, name = key.partition(".")
    if key in SCALARS or (table in TABLES and name):
        return key
    threshold = name if dot and table == "pressure" else key
    if threshold in THRESHOLDS:
        return f"pressure.{threshold}"
    raise typer.BadParameter(
        f"there is no limit {key!r}: {', '.join(SCALARS)}, repos.OWNER/REPO, orgs.OWNER,"
        f" weights.OWNER/REPO, {', '.join(f'pressure.{one}' for one in THRESHOLDS)}"
    )


def enter(change: LimitsChange, key: str, value: str) -> None:
    """Write one change down; an empty value unsets. Raises typer.BadParameter."""
    table, _, name = known(key).partition(".")
    if table == "pressure":
        setattr(change.pressure, name, value if name == "strategy" else number_of(value))
    elif table == "weights":
        change.weights[name] = number_of(value) if value else None
    elif table in TABLES:
        getattr(change, table)[name] = whole_number(value)
    else:
        setattr(change, table, number_of(value))


def show(output: str, answer: dict[str, Any]) -> None:
    """All limits."""
    if is_data(output):
        print_data(output, answer)
    else:
        print_table(("limit", "value"), rows_of(answer))


def rows_of(answer: dict[str, Any]) -> list[tuple[str, Any]]:
    """A row each limit, by the key that sets it."""
    rows = [(key, answer[key]) for key in SCALARS]
    for table in (*TABLES, "pressure"):
        rows += [(f"{table}.{key}", value) for key, value in answer[table].items()]
    return rows


def _change(config: Path | None, output: str, change: LimitsChange) -> None:
    ask(config, lambda its: its.set_limits(change))
    show(output, ask(config, readings.limits))
