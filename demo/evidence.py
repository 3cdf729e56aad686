"""What happened on a site: Temporal's histories and the simulator's log, for the checker."""

import time
from typing import Any

from temporalio.client import Client

from checker import Evidence, simulated
from checker.export import export
from demo.site import Site


async def gather(client: Client, site: Site, **more: Any) -> Evidence:
    """All evidence of a run; call it once the system is at rest.

    Where it is not (`at_rest=False`), GitHub's log is the newer of both: what a history says has
    happened is in it.
    """
    histories = await export(client)
    log = simulated.read(
        jobs=await site.call("GET", "jobs"),
        runners=await site.call("GET", "runners?all=1"),
        deliveries=await site.call("GET", "deliveries"),
        calls=await site.call("GET", "calls"),
        summary=await site.call("GET", "summary"),
    )
    canaries = await secrets_of(site)
    return Evidence(histories, log, now=time.time(), canaries=canaries, **more)


async def secrets_of(site: Site) -> list[str]:
    """All secrets of a site: the webhook's, the App's key line by line, all that GitHub made."""
    files = ("webhook-secret", "app.pem")
    lines = [
        line
        for name in files
        for line in (site.folder / name).read_text(encoding="utf-8").split("\n")
        if len(line) > 30
    ]
    made = (await site.call("GET", "secrets"))["secrets"]
    return [line for line in lines if not line.startswith("-----")] + list(made)
