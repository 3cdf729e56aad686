"""Answers of the command line as files: compared, or written anew.

    UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest --no-cov tests/commands

writes them; look at the difference before you commit it.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).with_name("snapshots")
WIDTH = 100
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))


def same(name: str, said: str) -> None:
    """Assert that the text is what the file has."""
    path = FOLDER / f"{name}.txt"
    if UPDATE:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
        return
    assert path.is_file(), f"there is no {path.name}: UPDATE_SNAPSHOTS=1 writes it"
    assert said == path.read_text(encoding="utf-8"), f"{path.name}: UPDATE_SNAPSHOTS=1 renews it"


def none_left_over(prefix: str, names: set[str]) -> None:
    """Assert that every file with this prefix belongs to one of these."""
    there = {path.stem for path in FOLDER.glob(f"{prefix}*.txt")}
    for name in there - names if UPDATE else ():
        (FOLDER / f"{name}.txt").unlink()
    assert UPDATE or there == names
