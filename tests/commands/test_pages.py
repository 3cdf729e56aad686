"""The commands that pages for operators show are commands that there are."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from commands.every import app_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
OURS = re.compile(
    r"(?:^|[`\s(])(?:\.venv/bin/penstock|penstock|docker run --rm penstock:local"
    r"|docker compose run --rm (?:--no-deps )?(?:cli|(?=setup)))\s+([a-z][^`\n|#]+)"
)


def shown(text: str) -> list[str]:
    """What follows `penstock` in blocks of code and between backticks."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M))
    whole = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines = [line for line in whole + inline if not line.startswith(("temporal ", "tctl "))]
    return [found.strip() for line in lines for found in OURS.findall(line)]


def check(line: str) -> None:
    """The command is there, and so are its options."""
    words = re.sub(r"[\[\]…$)}]|>.*|&&.*|'[^']*'", " ", line).replace("\\", " ").split()
    command: Any = typer.main.get_command(app_of())
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    known = {name for one in command.params for name in one.opts} | {"--help", "-h"}
    if hasattr(command, "commands"):
        assert command.name and (not words or words[0] in known), f"no such command: {line}"
    for word in words:
        if word.startswith("-") and not word.lstrip("-").isdigit():
            assert word.split("=")[0] in known, f"{line}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_are_there(page):
    """Each with its options."""
    for line in shown(page.read_text()):
        check(line)


def test_the_check_would_find_a_wrong_one():
    """Itself, and that it sees what there is to see."""
    assert len(shown((ROOT / "docs/operations.md").read_text())) > 30
    check("promote 2026-11-28.1 --wait 5")
    for wrong in ("promot 1", "promote 1 --wat 5", "fleet rebild"):
        with pytest.raises(AssertionError, match=r"no such|no option"):
            check(wrong)


def test_temporals_commands_of_the_operations_page_are_there():
    """`temporal … --help` knows every option that is shown."""
    text = (ROOT / "docs/operations.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"(?:^|`)(temporal (?:workflow|worker|operator) [^`\n]+)", text, re.M)
    assert len(lines) >= 4
    temporal = Path(sys.executable).with_name("temporal")
    for line in lines:
        words = shlex.split(line)
        options = [word for word in words if word.startswith("--")]
        path = words[1 : words.index(options[0])]
        told = subprocess.run([temporal, *path, "--help"], capture_output=True, check=True).stdout
        for option in options:
            assert option.encode() in told, line
