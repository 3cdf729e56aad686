"""How commands answer: a line, a table, JSON or YAML.

Plain is what goes into a file, a pipe, a dumb terminal, or anywhere while NO_COLOR is set: no
colour, no lines around tables, nothing that moves, and no text cut to a width.
"""

import io
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import yaml
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

FORMATS = ("table", "json", "yaml")
WIDEST = 100_000
console = Console()
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_plain() -> bool:
    """Whether nobody looks, or whoever looks wants no decoration."""
    return not console.is_interactive or console.no_color


def is_data(output: str) -> bool:
    """Whether a program is to read the answer."""
    return output != "table"


def harmless(text: str) -> str:
    """Without what a terminal would obey: names and reasons come from payloads."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def say(output: str, answer: dict[str, Any], said: str) -> None:
    """The answer, or the line that says it."""
    if is_data(output):
        print_data(output, answer)
    else:
        print_line(said)


def print_line(said: str) -> None:
    """Plain words: what is in them, a payload's too, is no markup."""
    console.print(harmless(said), highlight=False, soft_wrap=True, markup=False)


def print_data(output: str, answer: Any) -> None:
    """JSON or YAML, whatever the terminal: the same document in either."""
    text = json.dumps(answer, indent=2)
    if output == "yaml":
        plain = json.loads(text)  # tuples and the like, as JSON has them
        text = yaml.safe_dump(  # pyright: ignore[reportUnknownMemberType] - of its width
            plain, sort_keys=False, allow_unicode=True
        ).rstrip()
    print(text)


def table_of(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    """A table of texts."""
    if is_plain():
        table = Table(*columns, box=None, pad_edge=False, header_style="")
    else:
        table = Table(*columns)
    for row in rows:
        # As text: names and reasons come from payloads, and [/x] in one would be markup.
        table.add_row(*(Text(harmless(str(cell))) for cell in row))
    return table


def print_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print a table of texts; a plain one as wide as it must be."""
    table = table_of(columns, rows)
    if not is_plain():
        console.print(table)
        return
    written = io.StringIO()
    Console(file=written, width=WIDEST, color_system=None).print(table)
    for line in written.getvalue().splitlines():
        print(line.rstrip())


@contextmanager
def doing(what: str) -> Generator[Status | None]:
    """Something that moves while it takes long; None where nothing may."""
    if is_plain():
        yield None
        return
    with console.status(what) as shown:
        yield shown


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
        print_line(f"{answer['mode']}: drained")
        return
    print_line(drain_line(answer))
    rows = [(b["repo"], b["running"], b["waiting"], f"{b['p90']} s") for b in answer["blocking"]]
    print_table(("blocking", "running", "waiting", "90 % done in"), rows)
