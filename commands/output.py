"""How commands answer: a line, a table, or JSON."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()


def as_json(output: str) -> bool:
    """Whether the user asked for JSON."""
    return output == "json"


def say(output: str, answer: dict[str, Any], said: str) -> None:
    """The answer, or the line that says it."""
    if as_json(output):
        print_json(answer)
    else:
        console.print(said, highlight=False, soft_wrap=True)


def print_json(answer: Any) -> None:
    """Plain, whatever the terminal."""
    print(json.dumps(answer, indent=2))


def print_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """A table of texts."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def drain_line(answer: dict[str, Any]) -> str:
    """`drain_status` in one line."""
    eta = answer["eta_seconds"]
    return (
        f"{answer['mode']}: running {answer['running']}, waiting {answer['waiting']}; empty in "
        f"about {eta['p50']:.0f} s (90 %: {eta['p90']:.0f} s; by {answer['method']}, "
        f"{answer['samples']} samples)"
    )


def print_drain(answer: dict[str, Any]) -> None:
    """`drain_status` with what blocks the drain."""
    if answer["drained"]:
        console.print(f"{answer['mode']}: drained")
        return
    console.print(drain_line(answer), highlight=False)
    rows = [(b["repo"], b["running"], b["waiting"], f"{b['p90']} s") for b in answer["blocking"]]
    print_table(("blocking", "running", "waiting", "90 % done in"), rows)
