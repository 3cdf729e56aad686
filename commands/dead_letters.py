"""`penstock dead-letters`: what was refused or failed, brought back or forgotten."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from temporalio.service import RPCError

import settings as configuration
from activities.clients.dead_letter_files import DeadLetterFiles
from activities.dead_letters import DeadLetter
from api.app import rules_of, starter_of
from api.mode import ModeWatch
from api.problems import Problem
from api.replay import Replay
from commands.arguments import seconds_of
from commands.common import CONFIG, OUTPUT, run
from commands.output import as_json, console, print_json, print_table, say
from embedded.connect import connect

FAILED = 1

app = typer.Typer(help="What was refused or failed for good, and what to do about it.")


@app.callback(invoke_without_command=True, epilog="Example: penstock dead-letters -o json")
def list_(context: typer.Context, config: Path | None = CONFIG, output: str = OUTPUT) -> None:
    """List them, the oldest first."""
    if context.invoked_subcommand:
        return
    letters = run(_letters(config).all())
    if as_json(output):
        print_json([vars(letter) for letter in letters])
        return
    rows = [(le.id, le.kind, le.repo, le.reason, le.next_step) for le in letters]
    print_table(("id", "kind", "repository", "reason", "next step"), rows)


@app.command(epilog="Example: penstock dead-letters show delivery-acme-api-29679449526-queued")
def show(id_: str = typer.Argument(metavar="ID"), config: Path | None = CONFIG) -> None:
    """One of them, whole, as JSON."""
    letter = run(_letters(config).get(id_))
    if letter is None:
        console.print(f"there is no dead letter {id_}", highlight=False)
        raise typer.Exit(FAILED)
    print_json(vars(letter))


@app.command(epilog="Example: penstock dead-letters replay --all")
def replay(
    ids: list[str] = typer.Argument(None, metavar="ID..."),
    all_: bool = typer.Option(False, "--all", help="Every refused delivery."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """Handle refused events as if they came now. Safe to repeat; exit 1 if one stays.

    A job that failed for good cannot be replayed: re-run it at GitHub.
    """
    letters = _letters(config)
    if bool(ids) == all_:
        raise typer.BadParameter("name letters, or say --all")
    settings = configuration.load(config)

    async def work() -> list[dict[str, Any]]:
        client = await connect(settings.state_dir)
        starter = starter_of(client, settings)
        again = Replay(rules_of(settings), starter, ModeWatch(client), letters)
        found = [le.id for le in await letters.all() if le.kind == "delivery"] if all_ else ids
        return [await _one(again, id_) for id_ in found]

    answers = run(work())
    if as_json(output):
        print_json(answers)
    else:
        print_table(("id", "status", "why"), [(a["id"], a["status"], a["why"]) for a in answers])
    if any(answer["status"] == "kept" for answer in answers):
        raise typer.Exit(FAILED)


@app.command(epilog="Example: penstock dead-letters purge --older-than 30d")
def purge(
    ids: list[str] = typer.Argument(None, metavar="ID..."),
    older_than: str = typer.Option("", help="All that are older: 30d, 12h."),
    config: Path | None = CONFIG,
    output: str = OUTPUT,
) -> None:
    """Forget letters. What was refused is then known to GitHub's delivery log alone."""
    if bool(ids) == bool(older_than):
        raise typer.BadParameter("name letters, or say --older-than")
    before = time.time() - seconds_of(older_than) if older_than else 0.0
    letters = _letters(config)

    async def work() -> list[str]:
        every: Iterable[DeadLetter] = await letters.all() if older_than else ()
        wanted = [letter.id for letter in every if letter.at < before] or list(ids or [])
        return [id_ for id_ in wanted if await letters.remove(id_)]

    gone = run(work())
    say(output, {"purged": gone}, f"{len(gone)} forgotten")


async def _one(again: Replay, id_: str) -> dict[str, Any]:
    try:
        return {"id": id_, **await again.replay(id_), "why": ""}
    except Problem as problem:
        return {"id": id_, "status": "kept", "why": problem.detail}
    except RPCError as error:
        return {"id": id_, "status": "kept", "why": f"Temporal: {error.message}"}


def _letters(config: Path | None) -> DeadLetterFiles:
    return DeadLetterFiles(configuration.load(config).state_dir / "dead-letters")
