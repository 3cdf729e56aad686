"""What is made of mutmut's word: which mutants count, and what survived."""

import ast
import json
from pathlib import Path

import pytest

from quality import mutation

SOURCE = """
def x_f__mutmut_orig(a):
    return (a < 1, 'a word or two', 'key')

def x_f__mutmut_1(a):
    return (a <= 1, 'a word or two', 'key')

def x_f__mutmut_2(a):
    return (a < 1, 'XXa word or twoXX', 'key')

def x_f__mutmut_3(a):
    return (a < 1, 'a word or two', 'KEY')

def x_f__mutmut_4(a):
    return (a < 1, None, 'key')
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As mutmut leaves it."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/a.py").write_text(SOURCE)
    codes = {f"policy.a.x_f__mutmut_{n}": code for n, code in ((1, 0), (2, 0), (3, 1), (4, 36))}
    (tmp_path / "policy/a.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    return tmp_path


def test_sentences_are_left_out_and_nothing_else(folder) -> None:
    """How a sentence is spelt is no logic; that it is there, a key, a comparison are."""
    (module,) = mutation.read(folder)
    assert (module.killed, module.timeout, module.text) == (1, 1, 1)
    assert module.survivors == ["policy.a.x_f__mutmut_1"]
    assert (module.mutants, round(module.percent, 1)) == (3, 66.7)
    assert mutation.table([module]).endswith("| all | 3 | 1 | 1 | 1 | 66.7 | 1 | 0 |")


def test_a_survivor_is_shown_where_it_differs(folder) -> None:
    """With what is around it."""
    said = mutation.difference("policy.a.x_f__mutmut_1", folder)
    was, now = said.splitlines()
    assert "a < 1" in was
    assert "a <= 1" in now


def test_of_a_long_function_only_the_place_is_shown(folder) -> None:
    """A change at a path, which has slashes of its own, and one at the very end."""
    long = "; ".join(f"say('a/b/{i}')" for i in range(50))
    (folder / "policy/a.py").write_text(
        f"def x_f__mutmut_orig(a):\n    {long}; return a + 1; {long}\n"
        f"def x_f__mutmut_1(a):\n    {long}; return a + 2; {long}\n"
        f"def x_f__mutmut_2(a):\n    {long}; return a + 1; {long}; say(a)\n"
    )
    was, now = mutation.difference("policy.a.x_f__mutmut_1", folder).splitlines()
    assert ("return a + 1" in was, "return a + 2" in now) == (True, True)
    assert max(len(was), len(now)) < 120
    was, now = mutation.difference("policy.a.x_f__mutmut_2", folder).splitlines()
    assert ("say(a)" in was, now.endswith("say(a)")) == (False, True)
    assert max(len(was), len(now)) < 120


def test_what_was_not_run_is_no_result(folder) -> None:
    """It is counted as what it is."""
    codes = {"policy.a.x_f__mutmut_1": None, "policy.a.x_f__mutmut_3": 1}
    (folder / "policy/a.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    (module,) = mutation.read(folder)
    assert (module.unrun, module.mutants, module.survivors) == (1, 1, [])


def test_two_changes_are_no_spelling() -> None:
    """A mutant has one."""
    was, now = ast.parse("f('a b', 'c d')"), ast.parse("f('A B', 'C D')")
    assert not mutation.is_text(was, now)
