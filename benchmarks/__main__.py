"""`make bench`: what was promised beside what is measured, as ratios on the same server.

`python -m benchmarks --help` says the rest. Prints tables and writes docs/performance.json, .md
and the pictures. Exits 0 (it measures, it judges not), 1 if a section failed (its figures of
before stay, the other sections go on), 2 for what cannot be asked.
"""

import argparse
import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console

from benchmarks import (
    capacity,
    comparison,
    drain_calibration,
    growth,
    launches,
    memory,
    promises,
    whole_path,
)
from benchmarks.machine import load_before, this_run
from benchmarks.record import FILE, PAGE, PICTURES, Found, Section, load, save
from benchmarks.report import printed, write
from embedded.leave import leave

Measure = Callable[[Console, Found], Awaitable[None]]

SECTIONS: dict[str, tuple[str, Measure]] = {
    "path": ("A job's whole way", whole_path.measure),
    "launches": ("What was mended in a launch", launches.measure),
    "gateway": ("The gateway beside bare client calls", promises.at_the_gateway),
    "growth": ("What grows with repositories, queue and runners", growth.measure),
    "comparison": ("Beside other ways to limit", comparison.measure),
    "fairness": ("Fairness", promises.fair),
    "github": ("What GitHub is asked", promises.asked_of_github),
    "memory": ("Memory over ten thousand jobs", memory.measure),
    "load": ("No job lost", promises.no_job_lost),
    "drain": ("The time to drain, beside simulated drains", drain_calibration.measure),
    "capacity": ("Decisions and state", capacity.measure),
    "hardening": ("Rude clients", promises.hardened),
    "page": ("Open operations pages", promises.watched),
}
LONG = ("memory", "hardening", "page")  # on request, or with --all
REPORT = "report"
SECTION_SECONDS = 1800.0  # then a section has failed


def parse(arguments: list[str]) -> argparse.Namespace:
    """Sections in their order here, whatever was given; leaves with 2 for an unknown one."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure, print tables, and bring docs/performance.* up to date.",
        epilog="sections:\n"
        + "\n".join(f"  {name:<12}{title}" for name, (title, _) in SECTIONS.items())
        + "\n\nexamples:\n"
        "  python -m benchmarks                    all but the long ones: 25 minutes\n"
        "  python -m benchmarks --all              all of it: three quarters of an hour\n"
        "  python -m benchmarks path gateway       two sections; the others stay as they are\n"
        "  python -m benchmarks path --quick --file /tmp/mine.json\n"
        "                                          once, shorter, and nothing in docs/ changes\n"
        "  python -m benchmarks report             tables and pictures anew from the file\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="which, in any order")
    parser.add_argument(
        "--file", type=Path, default=FILE, help="where figures are kept (docs/performance.json)"
    )
    parser.add_argument("--all", action="store_true", help="the long sections too")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller numbers")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.sections if name not in SECTIONS and name != REPORT]
    if unknown or (REPORT in chosen.sections and len(chosen.sections) > 1):
        wrong = f"no section {unknown[0]!r}" if unknown else f"{REPORT!r} stands alone"
        parser.exit(2, f"{wrong}: there are {', '.join(SECTIONS)}, or {REPORT}\n")
    return chosen


async def main(sections: list[str], path: Path, *, quick: bool) -> list[str]:
    """Measure these; the names of those that failed. What is done is in the file at once."""
    console, failed = Console(highlight=False), list[str]()
    for place, name in enumerate(sections, 1):
        title, measure = SECTIONS[name]
        console.print(f"[{place}/{len(sections)}] {name}: {title}", markup=False, style="bold")
        before, began, found = load_before(), time.monotonic(), Found(quick)
        try:
            async with asyncio.timeout(SECTION_SECONDS):
                await measure(console, found)
        except Exception:  # noqa: BLE001, RUF100 - the other sections go on
            failed.append(name)
            console.print(traceback.format_exc(), markup=False, style="red")
            continue
        run = this_run(time.monotonic() - began, before, quick=quick)
        section = Section(title, run, found.figures, found.curves)
        console.print(printed(name, section))
        kept = load(path)
        kept[name] = section
        save(path, {one: kept[one] for one in SECTIONS if one in kept})
    return failed


def run(arguments: list[str]) -> int:
    """The exit code."""
    chosen = parse(arguments)
    failed: list[str] = []
    try:
        if chosen.sections != [REPORT]:
            load(chosen.file)  # or say now that it cannot be added to
            asked = chosen.sections or [one for one in SECTIONS if chosen.all or one not in LONG]
            wanted = [one for one in SECTIONS if one in asked]
            failed = asyncio.run(main(wanted, chosen.file, quick=chosen.quick))
        if chosen.file.resolve() == FILE.resolve():
            write(PAGE, load(FILE), PICTURES)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    leave(run(sys.argv[1:]))
