"""Three seeds and a few await points on the real stack: no law is broken, nothing is mended.

Each is a process with a stack of its own, and most of its time is waiting; tests/order.py has them
begin first, beside each other. `make chaos` runs more and longer ones (docs/reliability.md).
"""

import asyncio
import sys

import pytest

from tests.e2e.process import ROOT

SECONDS = "12"
RUNS = {
    "seed 1": ("--seed", "1", "--seconds", SECONDS),
    "seed 2": ("--seed", "2", "--seconds", SECONDS),
    "seed 3": ("--seed", "3", "--seconds", SECONDS),
    "points": ("points", "--most", "4", "--seed", "1"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RUNS)
async def test_every_law_holds(name):
    """What is said names seed, law and the folder with the evidence."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", *RUNS[name]),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()
    print(said.decode())
    assert process.returncode == 0, said.decode()[-3000:]
