"""The command line's own grammar: every command, and whether a line of a text is one."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from commands.every import app_of
from tests.commands.snapshot import WIDTH

ROOT = typer.main.get_command(app_of())
WRONG: Any = typer.BadParameter.__base__  # the UsageError of typer's own click
CALL = re.compile(r"(?:^|[\s/(])penstock ([a-z].*|--(?:help|\w+-completion)$)")
# What texts write for something of the reader's.
WORDS = {
    "OWNER": "acme",
    "REPO": "api",
    "JOB": "29679449526",
    "DATE": "2026-11-28",
    "HOST": "penstock.example.org",
    "N": "3",
    "X": "0.5",
    "ID": "delivery-acme-api-1-queued",
    "KEY": "default",
}


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and group by its name, with a context to ask it for its help."""

    def walk(command: Any, name: str, parent: Any | None):
        context = command.make_context(
            name.rpartition(" ")[2], [], parent, resilient_parsing=True, terminal_width=WIDTH
        )
        yield name, context
        for one in getattr(command, "commands", {}).values():
            yield from walk(one, f"{name} {one.name}", context)

    return walk(ROOT, "penstock", None)


def parse(line: str) -> None:
    """Raise WRONG if the line, without its `penstock`, is no command of ours.

    What is parsed is not done; but click does some options as it parses, so those are looked up.
    """
    if line in {name for parameter in ROOT.get_params(_top()) for name in parameter.opts}:
        return
    arguments, parent, command = shlex.split(line), None, ROOT
    while True:
        context = command.make_context(command.name or "penstock", arguments, parent)
        # What is left for a command in a group; click keeps its first word apart.
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not rest or not hasattr(command, "commands"):
            return
        _, found, arguments = command.resolve_command(context, rest)
        parent, command = context, found


def _top() -> Any:
    return ROOT.make_context("penstock", [], resilient_parsing=True)


def lines_in(text: str) -> Iterator[str]:
    """Every `penstock …` of a Markdown text's code, whatever stands in brackets written out."""
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose)
    code = [line for block in fenced for line in block.splitlines()]
    code += [" ".join(part.split()) for part in inline]
    for piece in (re.split(r"(?:^|\s)#\s", line)[0] for line in code):
        for found in CALL.finditer(piece):
            yield from written_out(found[1])


def written_out(line: str) -> Iterator[str]:
    """Each command that a line with [options] and a\\|b stands for, with examples for WORDS."""
    line = re.split(r"\s>>?\s|\s#\s|\)\"|\s\|\s|;", line)[0].replace("\\|", "|").strip()
    optional = re.search(r"\[([^\[\]]*)\]", line)
    if optional:
        before, after = line[: optional.start()], line[optional.end() :]
        yield from written_out(before.rstrip() + after)
        for one in choices(optional[1]):
            yield from written_out(before + one + after)
        return
    choice = re.search(r"\S*\|\S*", line)
    if choice:
        for one in choice[0].split("|"):
            yield from written_out(line[: choice.start()] + one + line[choice.end() :])
        return
    line = line.replace("…", "").strip()
    yield re.sub(r"\b[A-Z]+\b", lambda word: WORDS.get(word[0], word[0]), line)


def choices(text: str) -> list[str]:
    """`a|b` is two; `--on-deadline leave|stop` is one text, to be written out itself."""
    return text.split("|") if "|" in text and " " not in text else [text]
