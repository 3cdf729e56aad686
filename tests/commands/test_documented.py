"""Every `penstock …` that README and docs show is one: it parses by the program's own grammar."""

from pathlib import Path

import pytest

from tests.commands.grammar import commands, lines_in, parse

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOUND = {
    f"{path.relative_to(ROOT)}: {line}": line
    for path in TEXTS
    for line in lines_in(path.read_text(encoding="utf-8"))
}

NAMES = {name for name, _ in commands()}


@pytest.mark.parametrize("line", FOUND.values(), ids=FOUND)
def test_a_documented_command_is_one(line):
    if f"penstock {line}" not in NAMES:  # a name alone is a word about the command
        parse(line)


def test_documented_commands_are_found_in_every_form():
    """Inline, fenced, with a path before them, and with all that brackets leave open."""
    text = (
        "Say `penstock drain --wait [--deadline 30m] [--on-deadline leave\\|stop]`, or:\n"
        "```\n.venv/bin/penstock limits set repos.acme/api=3 >> log\n"
        'curl -H "Authorization: $(penstock admin-key iam)" https://HOST/x\n```\n'
        "not penstock here, nor `penstock-github`; `penstock dead-letters [list\\|show]`"
    )
    assert list(lines_in(text)) == [
        "limits set repos.acme/api=3",
        "admin-key iam",
        "drain --wait",
        "drain --wait --on-deadline leave",
        "drain --wait --on-deadline stop",
        "drain --wait --deadline 30m",
        "drain --wait --deadline 30m --on-deadline leave",
        "drain --wait --deadline 30m --on-deadline stop",
        "dead-letters",
        "dead-letters list",
        "dead-letters show",
    ]
    assert len(FOUND) > 40
