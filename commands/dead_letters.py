"""`penstock dead-letters`: what was refused or failed, brought back or forgotten."""

import time
from pathlib import Path
from typing import Any

import typer

import settings as configuration
from activities.dead_letters import DELIVERY
from api.app import rules_of, starter_of
from api.mode import ModeWatch
from api.replay import KEPT, Replay
from commands.arguments import seconds_of
from commands.common import CONFIG, OUTPUT, none_before, run
from commands.exits import FAILED
from commands.output import doing, is_data, print_data, print_table, say
from embedded.connect import connect
from wiring import letters_of

app = typer.Typer(help="What was refused or failed for good, and what to do about it.")


@app.callback(invoke_without_command=True, epilog="Example: penstock dead-letters -o json")
def list_or_more(
    context: typer.Context, config: Path | None = CONFIG, output: str = OUTPUT
) -> None:
    """What was refused or failed for good; without a command, a list."""
    if context.invoked_subcommand:
        none_before(context, "dead-letters")
    else:
        list_(config, output)


@app.command("list", epilog="Example: penstock dead-letters list -o json")
def list_(config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """List them, the oldest first (10,000 at most)."""
    letters = run(letters_of(configuration.load(config)).all())
    if is_data(output):
        print_data(output, [vars(letter) for letter in letters])
        return
    rows = [(le.id, le.kind, le.times, le.repo, le.reason, le.next_step) for le in letters]
    print_table(("id", "kind", "times", "repository", "reason", "next step"), rows)


@app.command(epilog="Example: penstock dead-letters show delivery-acme-api-29679449526-queued")
def show(
    id_: str = typer.Argument(metavar="ID"),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """One of them, whole: as JSON, or as YAML if asked for; no table holds an event."""
    letter = run(letters_of(configuration.load(config)).get(id_))
    if letter is None:
        typer.echo(f"penstock: there is no dead letter {id_}", err=True)
        raise typer.Exit(FAILED)
    print_data("yaml" if output == "yaml" else "json", vars(letter))


@app.command(epilog="Example: penstock dead-letters replay --all")
def replay(
    ids: list[str] = typer.Argument(None, metavar="ID"),
    all_: bool = typer.Option(False, "--all", help="Every refused delivery."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """Handle refused events as if they came now. Safe to repeat; exit 1 if one stays.

    A job that failed for good cannot be replayed: re-run it at GitHub.
    """
    if bool(ids) == all_:
        raise typer.BadParameter("name letters, or say --all")
    settings = configuration.load(config)
    letters = letters_of(settings)

    async def work() -> list[dict[str, Any]]:
        client = await connect(settings.state_dir)
        starter = starter_of(client, settings)
        again = Replay(rules_of(settings), starter, ModeWatch(client), letters)
        found = await letters.all()
        if all_:
            return await again.replay_all(le for le in found if le.kind == DELIVERY)
        wanted = [le for le in found if le.id in ids]
        missing = set(ids) - {le.id for le in wanted}
        none = [{"id": i, "status": KEPT, "why": "there is no such letter"} for i in missing]
        return await again.replay_all(wanted) + none

    with doing("replaying"):
        answers = run(work())
    if is_data(output):
        print_data(output, answers)
    else:
        print_table(("id", "status", "why"), [(a["id"], a["status"], a["why"]) for a in answers])
    if any(answer["status"] == KEPT for answer in answers):
        raise typer.Exit(FAILED)


@app.command(epilog="Example: penstock dead-letters purge --older-than 30d")
def purge(
    ids: list[str] = typer.Argument(None, metavar="ID"),
    older_than: str = typer.Option("", help="All last refused so long ago: 30d, 12h."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """Forget letters. What was refused is then known to GitHub's delivery log alone."""
    if bool(ids) == bool(older_than):
        raise typer.BadParameter("name letters, or say --older-than")
    before = time.time() - seconds_of(older_than) if older_than else 0.0
    gone = run(letters_of(configuration.load(config)).purge(ids or (), before))
    say(output, {"purged": gone}, f"{len(gone)} forgotten")
