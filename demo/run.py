"""`penstock demo`: set up, play, check, report, clean up; 0 only if every law held."""

import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from temporalio.client import Client

from api import keys
from checker import check, summary
from demo import report
from demo.evidence import gather
from demo.scenario import LIMITS, DemoFailed, Scenario
from demo.site import Site
from demo.table import LiveTable
from embedded import stack
from embedded.temporal_server import TemporalServer


async def run_demo(console: Console, *, jobs: int, seed: int, keep: bool) -> int:
    """The exit code: 0 if the scenario came to its end and no law was broken."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-demo-"))
    try:
        code = await _play(console, folder, jobs=jobs, seed=seed)
    except DemoFailed as error:
        console.print(f"the demo failed: {error}", style="red")
        code = 1
    if keep or code:
        console.print(f"kept for a look: {folder}", highlight=False, soft_wrap=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return code


async def _play(console: Console, folder: Path, *, jobs: int, seed: int) -> int:
    key, digest = keys.create()
    async with AsyncExitStack() as held:
        site = Site(folder)
        held.push_async_callback(site.stop)
        server = TemporalServer(folder, ui=False)
        held.push_async_callback(server.stop)
        running = await server.start()
        await site.start()
        client = await Client.connect(running.address)
        settings = site.settings(limits=LIMITS, gateway={"port": 0, "admin_key_hashes": [digest]})
        gateway = await held.enter_async_context(stack.whole(client, settings))
        console.print(
            f"simulated GitHub {site.url} · gateway {gateway} · Temporal {running.address}",
            highlight=False,
        )
        with LiveTable(console) as table:
            scenario = Scenario(site, client, gateway, key, table.show, jobs=jobs, seed=seed)
            await scenario.play()
        evidence = await gather(client, site)
        violations = check(evidence)
        report.show(console, summary(evidence), scenario, violations)
        return 1 if violations else 0
