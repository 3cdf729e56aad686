"""`penstock dev`: everything in one process, until it is stopped."""

import asyncio
import secrets
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from api import keys
from commands.output import console
from demo.site import Site
from embedded import stack
from embedded.connect import connect, is_external
from embedded.temporal_server import TemporalServer
from settings import Settings


async def run_dev(config: Path | None, settings: Settings, simulated: bool) -> int:
    """Run, and say where; `simulated`: with a GitHub of its own. The exit code."""
    async with AsyncExitStack() as held:
        site = Site(settings.state_dir) if simulated else None
        if site:
            held.push_async_callback(site.stop)
            await site.start()
            settings = site.settings(config)
        settings, key = with_admin_key(settings)
        ui = ""
        if not is_external():
            server = TemporalServer(settings.state_dir)
            held.push_async_callback(server.stop)
            ui = (await server.start()).ui
        client = await connect(settings.state_dir)
        gateway = await held.enter_async_context(stack.whole(client, settings))
        if site:
            await site.point_at(gateway)
            console.print(f"simulated GitHub  {site.url}", highlight=False)
        console.print(f"gateway           {gateway}  (API: {gateway}/docs)", highlight=False)
        console.print(f"Temporal          {client.service_client.config.target_host}")
        if ui:
            console.print(f"Temporal UI       {ui}", highlight=False)
        console.print(f"admin key         {key}", highlight=False)
        console.print("running; Ctrl-C stops it")
        await until_stopped()
        console.print("stopping: what is in flight is finished")
    return 0


async def until_stopped() -> None:
    """Until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def with_admin_key(settings: Settings) -> tuple[Settings, str]:
    """A key of this folder's own, made once, so that `penstock dev` can be administered."""
    path = settings.state_dir / "admin-key"
    if not path.exists() or not path.stat().st_size:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = path.with_name(".admin-key")
        unfinished.touch(mode=0o600)
        unfinished.write_text(keys.PREFIX + secrets.token_urlsafe(32), encoding="utf-8")
        unfinished.replace(path)
    key = path.read_text(encoding="utf-8").strip()
    hashes = [*settings.gateway.admin_key_hashes, keys.hash_of(key)]
    gateway_table = settings.gateway.model_copy(update={"admin_key_hashes": hashes})
    return settings.model_copy(update={"gateway": gateway_table}), key
