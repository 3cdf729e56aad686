"""The simulator as a process: how it ends, and how it begins anew."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.simulator.helpers import ROOT, Sim
from tests.support import PATIENCE


def left_in(folder: Path) -> dict[str, str]:
    """The ready files of a folder and the address each tells."""
    return {path.name: json.loads(path.read_text())["url"] for path in folder.iterdir()}


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_with_0_though_callers_wait(tmp_path: Path, name: signal.Signals) -> None:
    ready = tmp_path / "ready.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "--ready-file", ready),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, verify=False, timeout=PATIENCE
    ) as http:
        body = {"owner": "a", "repo": "b", "labels": ["x"]}
        await http.post("/_control/jobs", json=body)
        wanted = {"condition": "all_completed", "timeout": 600}
        waiting = asyncio.create_task(http.post("/_control/wait", json=wanted))
        await asyncio.wait({waiting}, timeout=0.1)
        process.send_signal(name)
        async with asyncio.timeout(PATIENCE):
            await process.communicate()
        await asyncio.gather(waiting, return_exceptions=True)
    assert process.returncode == 0
    assert left_in(tmp_path) == {"ready.json": url}


async def test_reset_forgets_everything_and_lets_runners_go(sim: Sim) -> None:
    await sim.control("limits", core_per_hour=50)
    await sim.job("other")
    token = await sim.token()
    async with sim.process() as process:
        await sim.until("runners_online")
        await sim.control("reset")
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    summary = await sim.look("summary")
    assert summary["jobs"]["queued"] == summary["calls"]["total"] == 0
    assert (await sim.bearer(token, "GET", "/rate_limit")).status_code == 401
    assert (await sim.http.get("/_control/limits")).json()["core_per_hour"] == 5000
