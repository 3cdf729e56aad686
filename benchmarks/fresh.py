"""A Temporal server and a simulated GitHub of its own for one measurement."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from temporalio.client import Client

from demo.site import Site, on_fresh_site

T = TypeVar("T")


async def on_fresh_server(
    work: Callable[[Client, Site], Awaitable[T]], *, dynamic: dict[str, str] | None = None
) -> T:
    """Run the work on a Temporal server (its dynamic configuration) and a simulator of its own."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        async with on_fresh_site(Path(name), dynamic) as (site, client):
            return await work(client, site)
