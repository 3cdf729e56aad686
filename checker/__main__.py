"""`python -m checker FOLDER`: check saved histories, print what is broken; exit 1 if anything is.

FOLDER holds histories (`*.json`, `*.json.gz`, as Temporal's tools export them). Answers of the
simulator's control interface are read too, if they are there: FOLDER/simulator/NAME.json with NAME
jobs, runners, deliveries, calls, summary. Exit 2: the folder cannot be read.
"""

import argparse
import json
import sys
from pathlib import Path

from checker import Evidence, check, figures, history, simulated
from checker.simulated import SimulatorLog

ANSWERS = ("jobs", "runners", "deliveries", "calls", "summary")


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="checker", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--open", action="store_true", help="work may still be under way")
    parser.add_argument("--figures", action="store_true", help="print the figures as JSON too")
    given = parser.parse_args(arguments)
    try:
        histories = history.load_folder(given.folder)
        log = simulator_log(given.folder / "simulator")
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"checker: {error}", file=sys.stderr)
        return 2
    if not histories:
        print(f"checker: there is no history in {given.folder}", file=sys.stderr)
        return 2
    evidence = Evidence(histories, log, at_rest=not given.open)
    broken = check(evidence)
    for violation in broken:
        print(violation)
    if given.figures:
        print(json.dumps(figures.summary(evidence).as_dict(), indent=2))
    print(f"{len(histories)} histories, {len(broken)} violations", file=sys.stderr)
    return 1 if broken else 0


def simulator_log(folder: Path) -> SimulatorLog | None:
    """The simulator's answers in a folder; None if there are none."""
    found = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in ANSWERS
        if (path := folder / f"{name}.json").is_file()
    }
    return simulated.read(**found) if found else None


if __name__ == "__main__":
    sys.exit(main())
