"""`penstock dev`: everything in one process, until it is stopped."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from pathlib import Path

import typer

import settings as configuration
from api import keys
from commands.common import CONFIG, run
from commands.logs import start_logging
from commands.output import console
from commands.stopping import stop_signal
from demo.site import Site
from embedded import stack
from embedded.connect import connect, is_external
from embedded.temporal_server import TemporalServer, TemporalServerError
from settings import InvalidSettings, Settings

PAUSE_SECONDS = 10.0


def dev(config: Path | None = CONFIG, log_level: str = "INFO") -> None:
    """Run everything in one process, with a Temporal server of its own, until stopped.

    Without GitHub credentials in the configuration, a simulated GitHub is started too.
    """
    start_logging(log_level)
    settings = configuration.load(config)
    if settings.worker.deployment_name:
        raise InvalidSettings(
            "worker.deployment_name: penstock dev is all there is, and has no versions beside it:"
            " leave it out, or run penstock gateway and penstock worker"
        )
    simulated = not settings.github.is_given
    if not simulated:
        settings.check_secrets()
    raise typer.Exit(run(run_dev(config, settings, simulated)))


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
            keeping = asyncio.create_task(_kept(server))
            held.callback(keeping.cancel)
        if ui and not settings.gateway.temporal_ui_url:
            table = settings.gateway.model_copy(update={"temporal_ui_url": ui})
            settings = settings.model_copy(update={"gateway": table})
        client = await connect(settings.state_dir)
        gateway = await held.enter_async_context(stack.whole(client, settings))
        if site:
            await site.point_at(gateway)
            console.print(f"simulated GitHub  {site.url}", highlight=False)
        console.print(
            f"gateway           {gateway}  (operations page; API: {gateway}/docs)", highlight=False
        )
        console.print(f"Temporal          {client.service_client.config.target_host}")
        if ui:
            console.print(f"Temporal UI       {ui}", highlight=False)
        console.print(f"admin key         {key}", highlight=False)
        stop = stop_signal()
        console.print("running; Ctrl-C stops it")
        await stop.wait()
        console.print("stopping: what is in flight is finished")
    return 0


async def _kept(server: TemporalServer) -> None:
    """Start the server again whenever it ends; worker and gateway wait for it meanwhile."""
    while True:
        await server.ended()
        console.print("the Temporal server has ended: it is started again")
        try:
            await server.start()
        except (TemporalServerError, OSError) as error:  # a full disk, perhaps
            console.print(f"{error}; next try in {PAUSE_SECONDS:.0f} s", highlight=False)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            console.print("the Temporal server runs again; its data is as it was")


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
