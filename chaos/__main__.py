"""`python -m chaos`: seeded faults against the real stack; exit 0 only if every law held.

Example:
  python -m chaos --seed 7 --seconds 120      one seed, two minutes of faults
  python -m chaos --seeds 50                  seeds 1 to 50
  python -m chaos points                      kill -9 of the worker at every await point of a job

Exit codes: 0 every law held and nothing was mended by hand; 1 not so: the lines say which seed and
law, and where the evidence lies (`python -m checker FOLDER/evidence` reads it again); 2 usage.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console
from temporalio.runtime import Runtime, TelemetryConfig

from chaos import faketime, pace, plan, points, report
from chaos.run import Result, play
from embedded.leave import leave

SEED, SECONDS = 7, 120.0


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    given = _parser().parse_args(arguments)
    pace.quicken()
    # What the SDK says of a server that we have killed helps nobody.
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
    console = Console(width=110 if not sys.stdout.isatty() else None)
    try:
        if given.what == "points":
            return asyncio.run(_until_told(_points(console, given.most, given.seed, given.keep)))
        seeds = range(given.seed, given.seed + 1)
        if given.seeds:
            seeds = range(1, given.seeds + 1)
        playing = _seeds(console, list(seeds), given.seconds, given.keep)
        return asyncio.run(_until_told(playing))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("chaos: stopped; nothing of it is left running")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("run", "points"), default="run")
    parser.add_argument("--seed", type=int, default=SEED, help=f"chance's seed ({SEED})")
    parser.add_argument("--seeds", type=int, default=0, help="run seeds 1 to this one instead")
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, help=f"of faults, a seed ({SECONDS:.0f})"
    )
    parser.add_argument(
        "--most", type=int, help="points: only so many of them, chosen by the seed"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the folders of good runs too: histories, logs"
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if value < 5:
        raise argparse.ArgumentTypeError("at least 5")
    return value


async def _until_told(playing: Coroutine[Any, Any, int]) -> int:
    """SIGTERM ends it as Ctrl-C does: in order, with all that was started."""
    task = asyncio.ensure_future(playing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _seeds(console: Console, seeds: list[int], seconds: float, keep: bool) -> int:
    without = frozenset[str]() if faketime.library() else frozenset({"clock_skew"})
    if without:
        console.print("chaos: no libfaketime (.ci/faketime installs it): no clock_skew")
    results: list[Result] = []
    for seed in seeds:
        folder = Path(tempfile.mkdtemp(prefix=f"penstock-chaos-{seed}-"))
        made = plan.make(seed, seconds, without)
        result = await play(made, folder, lambda text: console.print(text, highlight=False))
        results.append(result)
        if result.good and not keep:
            shutil.rmtree(folder, ignore_errors=True)
        state = "every law held" if result.good else "BROKEN"
        console.print(
            f"seed {seed}: {state}; {result.jobs} jobs, recovered in"
            f" {result.recovery_seconds:.1f} s, {result.histories} histories replayed",
            highlight=False,
        )
    report.show(console, results)
    return 0 if all(result.good for result in results) else 1


async def _points(console: Console, most: int | None, seed: int, keep: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="penstock-chaos-points-"))
    result = await points.play(
        folder, lambda text: console.print(text, highlight=False), most=most, seed=seed
    )
    points.show(console, result)
    if result.good and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if result.good else 1


if __name__ == "__main__":
    leave(main())
