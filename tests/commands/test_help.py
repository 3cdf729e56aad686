"""Every command says how it is used: its help as a file, with an example that is one."""

import re

import pytest

from tests.commands.grammar import WRONG, commands, parse
from tests.commands.snapshot import none_left_over, same

COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command(name):
    said = COMMANDS[name].get_help()
    same(f"help-{name.replace(' ', '-')}", f"{said}\n")


def test_no_help_is_left_over_of_a_command_that_is_gone():
    none_left_over("help-", {f"help-{name.replace(' ', '-')}" for name in COMMANDS})


@pytest.mark.parametrize(
    "name", [n for n, c in COMMANDS.items() if getattr(c.command, "invoke_without_command", 1)]
)
def test_every_command_has_an_example_of_itself(name):
    """Groups that are no commands themselves show their commands instead."""
    said = COMMANDS[name].command.epilog or ""
    found = re.fullmatch(r"Example: (?:[A-Z_]+=\S+ )?(penstock .+)", said)
    assert found, f"{name}: {said!r}"
    assert found[1].startswith(name)
    example = re.split(r" >> ", found[1])[0]
    parse(example.removeprefix("penstock "))


def test_what_is_no_command_does_not_parse():
    """Else the tests above would show nothing."""
    for line in ("nonsense", "jobs nonsense", "status --no-such", "explain acme/api"):
        with pytest.raises(WRONG):
            parse(line)
