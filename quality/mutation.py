"""`make mutation`: the tests of policy/ against mutants of it (docs/mutation.md).

mutmut makes and runs the mutants; here is what becomes of its answers: a table by module, a list
of survivors, and a red end below 90 %.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

LEAST = 90.0  # per cent killed
FOLDER = Path("mutants")
# As the tests are meant for this (tests/policy/mutation.ini): a shorter walk through the model,
# no plugin that is not asked for, and the same order of sets each time.
ENVIRONMENT = {
    "PENSTOCK_MODEL_STEPS": "2000",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONHASHSEED": "0",
}
# mutmut/stats.py, status_by_exit_code: pytest's 1 and 3 are a kill; SIGXCPU is its timeout.
KILLED = {1, 3}
TIMEOUT = {36, 24, -24, 152, 255}


@dataclass
class Module:
    """What became of the mutants of one module."""

    name: str
    killed: int = 0
    timeout: int = 0
    text: int = 0  # left out: only the letters of a sentence differ
    unrun: int = 0
    survivors: list[str] = field(default_factory=list[str])

    @property
    def mutants(self) -> int:
        """All that count."""
        return self.killed + self.timeout + len(self.survivors)

    @property
    def percent(self) -> float:
        """Noticed, of those that count; one that does not come to an end is noticed too."""
        return 100.0 * (self.killed + self.timeout) / self.mutants if self.mutants else 100.0


def is_text(original: ast.AST, mutant: ast.AST) -> bool:
    """Whether a mutant only changes how a sentence is spelt.

    A sentence is a text with a space in it: nothing compares those, people read them. mutmut
    writes XX around a text, or changes its case.
    """
    pairs = zip(_parts(original), _parts(mutant), strict=False)
    other = [(one, two) for one, two in pairs if one != two]
    if len(other) != 1:
        return False
    ((was, now),) = other
    if not isinstance(was, str) or not isinstance(now, str):
        return False
    return " " in was and now.replace("XX", "").lower() == was.lower()


def _parts(node: ast.AST) -> Iterator[object]:
    """What a function is made of, in its order: kinds of nodes, names and constants."""
    yield type(node)
    for name, value in ast.iter_fields(node):
        several = cast(list[object], value) if isinstance(value, list) else [value]
        for one in several:
            if isinstance(one, ast.AST):
                yield from _parts(one)
            elif not (isinstance(node, ast.FunctionDef) and name == "name"):
                yield one


def read(folder: Path = FOLDER) -> list[Module]:
    """What mutmut wrote down of its last run: a module each, those with mutants."""
    found: list[Module] = []
    for meta in sorted(folder.glob("policy/*.py.meta")):
        codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        module = Module(meta.name.removesuffix(".py.meta"))
        source = meta.with_suffix("").read_text() if codes else ""
        functions = {
            node.name: node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef)
        }
        for key, code in codes.items():
            name = key.rsplit(".", 1)[1]
            original = f"{name.rsplit('_', 1)[0]}_orig"
            if code is None:
                module.unrun += 1
            elif is_text(functions[original], functions[name]):
                module.text += 1
            elif code in KILLED:
                module.killed += 1
            elif code in TIMEOUT:
                module.timeout += 1
            else:
                module.survivors.append(key)
        if codes:
            found.append(module)
    return found


def table(modules: list[Module]) -> str:
    """By module, and all together, as Markdown."""
    total = Module("all")
    for module in modules:
        total.killed += module.killed
        total.timeout += module.timeout
        total.text += module.text
        total.unrun += module.unrun
        total.survivors += module.survivors
    lines = [
        "| module | mutants | killed | survived | timeout | % | sentences left out | not run |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in [*modules, total]:
        lines.append(
            f"| {one.name} | {one.mutants} | {one.killed} | {len(one.survivors)} | {one.timeout} "
            f"| {one.percent:.1f} | {one.text} | {one.unrun} |"
        )
    return "\n".join(lines)


def difference(key: str, folder: Path = FOLDER) -> str:
    """The lines of a function that a mutant has otherwise."""
    _, module, name = key.split(".")
    source = (folder / "policy" / f"{module}.py").read_text()
    found = {n.name: n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)}
    was, now = found[f"{name.rsplit('_', 1)[0]}_orig"], found[name]
    was.name = now.name
    return _apart(" ".join(ast.unparse(was).split()), " ".join(ast.unparse(now).split()))


def _apart(was: str, now: str, around: int = 60) -> str:
    """Two texts where they differ, with some of what is around."""
    before = _in_common(was, now)
    after = _in_common(was[before:][::-1], now[before:][::-1])
    start = max(0, before - around)
    ends = (len(was) - after + around // 2, len(now) - after + around // 2)
    return f"- {was[start : ends[0]]}\n+ {now[start : ends[1]]}"


def _in_common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def main() -> int:
    """Run the mutants that were not run yet, and tell; 1 below the bound."""
    parser = argparse.ArgumentParser(prog="python -m quality.mutation", description=__doc__)
    parser.add_argument("mutants", nargs="*", help="only these, e.g. 'policy.drain*'")
    parser.add_argument("--processes", type=int, default=2, help="at a time (default: 2)")
    parser.add_argument("--show", action="store_true", help="what survived, without a run")
    parser.add_argument("--survivors", action="store_true", help="run again what survived")
    chosen = parser.parse_args()
    if not chosen.show:
        again = [key for module in read() for key in module.survivors] if chosen.survivors else []
        command = [sys.executable, "-m", "mutmut", "run", *again, *chosen.mutants]
        command += ["--max-children", str(chosen.processes)]
        done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, check=False)
        if done.returncode:
            return done.returncode
    modules = read()
    survivors = [key for module in modules for key in module.survivors]
    (FOLDER / "survivors.txt").write_text(
        "\n".join(f"{key}\n{difference(key)}\n" for key in survivors)
    )
    print(table(modules))
    print(f"\nwhat survived: {FOLDER / 'survivors.txt'}")
    noticed = sum(module.killed + module.timeout for module in modules)
    percent = 100.0 * noticed / max(1, sum(module.mutants for module in modules))
    unrun = sum(module.unrun for module in modules)
    if unrun and not (chosen.mutants or chosen.survivors):
        print(f"{unrun} mutants were not run: start it again, it goes on where it stopped")
        return 1
    if percent < LEAST:
        print(f"{percent:.1f} % of the mutants were noticed, and {LEAST:.0f} % must be")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
