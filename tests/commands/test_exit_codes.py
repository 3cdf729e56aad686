"""The table of exit codes in docs/cli.md. 4 and 130 need a fleet: test_one_source.py."""

import asyncio
import importlib
import io
import re
import sys
from pathlib import Path

import pytest

import cli
from commands import exits
from commands.failures import CODES, exit_code_of
from tests.e2e.process import PENSTOCK, ROOT

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_table_names_every_code_and_no_other():
    table = DOCS.read_text(encoding="utf-8").partition("## Exit codes")[2]
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert rows == {code for name, code in vars(exits).items() if name.isupper()}


DOES = {
    "done": (["version"], exits.DONE),
    "help": (["jobs", "--help"], exits.DONE),
    "no such dead letter": (["dead-letters", "show", "none"], exits.FAILED),
    "no such command": (["nonsense"], exits.USAGE),
    "no such format": (["status", "-o", "xml"], exits.USAGE),
    "no such file": (["config", "check", "--config", "none.toml"], exits.USAGE),
    "nothing to start with": (["config", "check"], exits.USAGE),
    "an option before the command": (["jobs", "-o", "json", "list"], exits.USAGE),
    "changes before the command": (["limits", "--repo", "a/b=1", "get"], exits.USAGE),
    "no such limit": (["limits", "set", "max_runner=3"], exits.USAGE),
    "no number": (["limits", "set", "max_runners=many"], exits.USAGE),
    "no value": (["limits", "set", "repos.acme/api="], exits.USAGE),
    "what always has a value": (["limits", "unset", "max_runners"], exits.USAGE),
    "no repository": (["jobs", "--repo", "x' OR 'y'='y"], exits.USAGE),
    "no job": (["jobs", "show", "acme/api", "one"], exits.USAGE),
    "nobody to ask": (["jobs", "cancel", "acme/api", "1"], exits.USAGE),
    "a watch for programs": (["status", "--watch", "-o", "json"], exits.USAGE),
    "no Temporal: status": (["status"], exits.UNREACHABLE),
    "no Temporal: watch": (["status", "--watch"], exits.UNREACHABLE),
    "no Temporal: repos": (["repos"], exits.UNREACHABLE),
    "no Temporal: jobs": (["jobs", "list"], exits.UNREACHABLE),
    "no Temporal: one job": (["jobs", "show", "acme/api", "1"], exits.UNREACHABLE),
    "no Temporal: cancel": (["jobs", "cancel", "acme/api", "1", "--yes"], exits.UNREACHABLE),
    "no Temporal: limits": (["limits", "get"], exits.UNREACHABLE),
    "no Temporal: mode": (["resume"], exits.UNREACHABLE),
}


@pytest.mark.parametrize(("arguments", "code"), DOES.values(), ids=DOES)
def test_a_command_ends_as_the_table_says(arguments, code, tmp_path, monkeypatch, capsys):
    """What failed says why on standard error, and nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli.run_command(arguments) == code
    said = capsys.readouterr()
    assert bool(said.out) == (code == exits.DONE)
    assert bool(said.err) == (code != exits.DONE)
    if code in (exits.FAILED, exits.UNREACHABLE):
        assert len(said.err.strip().splitlines()) == 1


async def completed(*words: str) -> list[str]:
    """What a shell would offer after these words."""
    process = await asyncio.create_subprocess_exec(
        *PENSTOCK,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={
            "_PENSTOCK_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(("penstock", *words)),
            "COMP_CWORD": str(len(words)),
        },
    )
    said, _ = await process.communicate()
    return said.decode().split()


async def test_a_shell_completes_commands_and_formats():
    assert await completed("li") == ["limits"]
    assert await completed("status", "-o", "") == ["table", "json", "yaml"]


@pytest.mark.parametrize("name", CODES)
def test_each_error_that_ends_a_command_is_there(name):
    """The table has them by name: a class that was renamed or moved would pass for a fault."""
    module, _, kind = name.rpartition(".")
    error = getattr(importlib.import_module(module), kind)
    assert exit_code_of(error.__new__(error)) == CODES[name]
    assert exit_code_of(ValueError()) is None


@pytest.mark.parametrize("command", ["status", "jobs", "limits", "drain", "explain", "version"])
async def test_a_command_loads_only_what_it_needs(command):
    """Not the gateway's framework, AWS's library, Temporal's worker: they take a second."""
    heavy = ("fastapi", "boto3", "uvicorn", "temporalio.worker._worker", "workflows.fleet")
    look = (
        "import sys, cli; cli.run_command([sys.argv[1], '--help']);"
        f"print(*(one for one in {heavy!r} if one in sys.modules), file=sys.stderr)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", look, command),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert (said.decode().strip(), process.returncode) == ("", 0)
