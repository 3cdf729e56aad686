"""Leaving a process that ran Temporal: its exit code is what it says, every time."""

import asyncio
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2  # as many as this machine has cores


@pytest.mark.parametrize(("code", "runs"), [(0, 20), (7, 4)])
async def test_the_exit_code_is_ours(servers, code, runs):
    """Never 134 or 139, and nothing that was printed is lost."""
    address = (await servers().start()).address
    room = asyncio.Semaphore(AT_ONCE)

    async def run() -> tuple[int | None, bytes, bytes]:
        async with room:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.embedded.leaver", address, str(code)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            printed, complained = await process.communicate()
            return process.returncode, printed, complained

    ends = await asyncio.gather(*(run() for _ in range(runs)))
    assert set(ends) == {(code, b"done", b"")}
