"""`python -m benchmarks`: what it is told, and that one failure costs one section."""

import json

import pytest

from benchmarks import __main__ as command
from benchmarks.record import load


async def good(_console, found):
    """Measures one figure."""
    found.figure("one", [1, 2, 3], "ms", at_most=2)


async def bad(_console, found):
    """Fails halfway."""
    found.figure("never kept", 1)
    raise RuntimeError("no server")


@pytest.fixture
def sections(monkeypatch):
    """Three that take no time."""
    made = {"first": ("First", good), "second": ("Second", bad), "third": ("Third", good)}
    monkeypatch.setattr(command, "SECTIONS", made)
    monkeypatch.setattr(command, "LONG", ("third",))


async def test_a_section_that_fails_is_named_and_the_others_go_on(sections, tmp_path, capsys):
    """The file has what was measured; what was there before stays."""
    path = tmp_path / "figures.json"
    assert await command.main(["first"], path, quick=False) == []
    before = load(path)
    assert await command.main(["second", "third"], path, quick=True) == ["second"]
    after = load(path)
    assert list(after) == ["first", "third"]
    assert after["first"] == before["first"]
    assert after["third"].run.quick
    assert "RuntimeError: no server" in capsys.readouterr().out


def test_a_failure_is_the_exit_code(sections, tmp_path, capsys):
    """And the long sections are measured on request only."""
    path = tmp_path / "figures.json"
    assert command.run(["--file", str(path)]) == 1
    assert capsys.readouterr().err == "failed: second\n"
    assert list(load(path)) == ["first"]
    assert command.run(["--file", str(path), "third"]) == 0
    figures = json.loads(path.read_text())["sections"]["third"]["figures"]
    assert figures[0]["spread"] == {"min": 1, "median": 2, "max": 3}


def test_a_file_of_somebody_else_is_left_alone(sections, tmp_path, capsys):
    """Before anything is measured."""
    path = tmp_path / "other.json"
    path.write_text("[]")
    assert command.run(["--file", str(path)]) == 2
    assert "is no file of ours" in capsys.readouterr().err
    assert path.read_text() == "[]"


@pytest.mark.parametrize(
    ("asked", "said"),
    [(["pth"], "no section 'pth'"), (["report", "path"], "'report' stands alone")],
)
def test_what_there_is_not_is_named(asked, said, capsys):
    """With what there is."""
    with pytest.raises(SystemExit) as ended:
        command.parse(asked)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "gateway" in error


def test_help_has_examples(capsys):
    """And every section with its title."""
    with pytest.raises(SystemExit) as ended:
        command.parse(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "python -m benchmarks path gateway" in text
    assert all(title in text for title, _ in command.SECTIONS.values())
