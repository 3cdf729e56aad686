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
    secret = (site.folder / "webhook-secret").read_text(encoding="utf-8").strip()
    return Evidence(histories, log, now=time.time(), canaries=[secret], **more)
