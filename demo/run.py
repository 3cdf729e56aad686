"""`penstock demo`: set up, play, check, report, clean up; 0 only if every law held."""

import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from api import keys
from checker import Bounds, check, summary
from demo import report
from demo.evidence import gather
from demo.scenario import LIMITS, RECOVERY, DemoFailed, Scenario
from demo.site import on_fresh_site
from demo.table import LiveTable
from embedded import stack


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
        site, client = await held.enter_async_context(on_fresh_site(folder))
        gate = {"port": 0, "admin_key_hashes": [digest]}
        settings = site.settings(limits=LIMITS, gateway=gate, recovery=RECOVERY)
        gateway = await held.enter_async_context(stack.whole(client, settings))
        console.print(
            f"simulated GitHub {site.url} · gateway {gateway} · "
            f"Temporal {client.service_client.config.target_host}",
            soft_wrap=True,
            highlight=False,
        )
        with LiveTable(console) as table:
            scenario = Scenario(site, client, gateway, key, table.show, jobs=jobs, seed=seed)
            await scenario.play()
        evidence = await gather(client, site)
        figures = summary(evidence)
        # A permit may lie free for one second, and for as long as this machine took, at worst, to
        # get to the five workflow tasks between a demand and its grant.
        slowest = figures.workflow_task_delay_seconds.max or 0.0
        bounds = Bounds(idle_permit=1.0 + 5 * slowest, give_back=5.0 + 5 * slowest)
        violations = check(replace(evidence, bounds=bounds))
        report.show(console, figures, scenario, violations)
        return 1 if violations else 0
