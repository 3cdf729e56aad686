"""What open operations pages cost the webhooks: twenty of them on a large fleet, in turns."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.async_api import async_playwright
from temporalio.client import Client

from api import keys
from api.fleet_client import FleetClient, FleetUnavailable
from benchmarks.hardening import healthy, line_of
from demo.site import APP_ID, SIMULATOR, Site

ROOT = Path(__file__).resolve().parents[1]
REPOS, JOBS = 500, 5_000
PAGES = 20
PHASE_SECONDS = 20.0
SETTLE_SECONDS = 3.0
PAIRS = 4  # of a phase without and one with
LOAD_SECONDS = 900.0


@dataclass(frozen=True)
class Pages:
    """Webhooks' p99, seconds, without pages and with them, in turns; what a page is sent."""

    without: list[float]
    beside: list[float]
    failed: int
    first_seconds: list[float]  # to the whole page's HTML, one page after another
    paint_seconds: list[float]  # first contentful paint in Chromium; empty without one
    page_bytes: int
    largest_update: int  # bytes of one event
    waiting: int  # jobs, as the Fleet has it

    @property
    def ratio(self) -> float:
        """Of neighbours, the median: a machine whose speed drifts matters less."""
        pairs = zip(self.without, self.beside, strict=True)
        return statistics.median(beside / without for without, beside in pairs)


async def beside_pages(client: Client, site: Site) -> Pages:
    """Gateway and worker as processes of their own; every job waits but one."""
    key, key_hash = keys.create()
    secret = (site.folder / "webhook-secret").read_text().strip()
    jobs = itertools.count(1)
    p99: dict[bool, list[float]] = {False: [], True: []}
    failed, updates = 0, [0]
    async with AsyncExitStack() as held:
        url = await held.enter_async_context(_penstock(client, site, key_hash))
        waiting = await _load(client, url, secret, jobs)
        http = await held.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60.0))
        await http.post("/page/sign-in", data={"key": key})
        first: list[float] = []
        size = 0
        for _ in range(5):
            began = time.monotonic()
            size = len((await http.get("/")).raise_for_status().content)
            first.append(time.monotonic() - began)
        painted = await _first_paints(url, key)
        for crowd in (False, True) * PAIRS:
            async with _open(url, key, updates) if crowd else contextlib.nullcontext():
                await healthy(url, secret, jobs, SETTLE_SECONDS)
                seen = await healthy(url, secret, jobs, PHASE_SECONDS)
            failed += seen.count(None)
            answered = [seconds for seconds in seen if seconds is not None]
            p99[crowd].append(statistics.quantiles(answered, n=100)[98])
    return Pages(p99[False], p99[True], failed, first, painted, size, max(updates), waiting)


async def _first_paints(url: str, key: str) -> list[float]:
    """Seconds from the navigation to the first contentful paint, of five openings."""
    browser_path = shutil.which("chromium")
    if browser_path is None:
        return []
    found: list[float] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox"]
        )
        page = await browser.new_page()
        await page.goto(url)
        await page.fill("input[name=key]", key)
        await page.press("input[name=key]", "Enter")
        await page.wait_for_selector("#n-waiting")
        for _ in range(5):
            await page.goto(url)
            await page.wait_for_selector("#n-waiting")
            painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            while not (milliseconds := await page.evaluate(painted)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            found.append(float(milliseconds) / 1000)
        await browser.close()
    return found


async def _load(client: Client, url: str, secret: str, jobs: "itertools.count[int]") -> int:
    """So many jobs of so many repositories wait; how many the Fleet counts."""
    fleet, deadline = FleetClient(client), time.monotonic() + LOAD_SECONDS
    sent = 0
    while sent < JOBS:
        seen = await healthy(url, secret, jobs, 10.0, a_second=60, repos=REPOS)
        sent += len(seen) - seen.count(None)
    while time.monotonic() < deadline:
        with contextlib.suppress(FleetUnavailable):  # it has a lot to do meanwhile
            waiting = int((await fleet.status())["waiting"])
            if waiting >= JOBS * 0.9:  # the Fleet knows waiters roughly
                return waiting
        await asyncio.sleep(1.0)
    raise RuntimeError("the jobs do not come to wait")


@asynccontextmanager
async def _open(url: str, key: str, updates: list[int]) -> AsyncGenerator[None]:
    """Twenty pages in a process of their own, inside the block; then the largest update."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.open_pages", url, key, str(PAGES)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await line_of(process)
        yield
        process.send_signal(signal.SIGTERM)
        updates[0] = max(updates[0], int(await line_of(process)))
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


@asynccontextmanager
async def _penstock(client: Client, site: Site, key_hash: str) -> AsyncGenerator[str]:
    """`penstock worker` and `penstock gateway`; gives the gateway's address."""
    config = site.folder / "penstock.toml"
    runner = [sys.executable, "-I", "-S", str(SIMULATOR / "runner" / "__main__.py")]
    config.write_text(
        f'state_dir = "{site.folder / "state"}"\n'
        f'[github]\napi_url = "{site.url}"\nurl = "{site.url}"\napp_id = "{APP_ID}"\n'
        f'private_key_file = "{site.folder / "app.pem"}"\n'
        f"[runner]\ncommand = {json.dumps(runner)}\n[limits]\nmax_runners = 1\n"
        "[pressure]\nmax_queue_depth = 1_000_000\n[recovery]\nenabled = false\n"
        f'[gateway]\nport = 0\nadmin_key_hashes = ["{key_hash}"]\n'
        f'webhook_secret_file = "{site.folder / "webhook-secret"}"\n'
    )
    address = client.service_client.config.target_host
    environment = {**os.environ, "COLUMNS": "300", "TEMPORAL_ADDRESS": address}
    made: list[asyncio.subprocess.Process] = []
    try:
        said = ""
        for command in ("setup", "worker", "gateway"):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", command, "--config", str(config)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
            )
            if command == "setup":
                await process.communicate()
                continue
            made.append(process)
            said = (await process.stdout.readline()).decode() if process.stdout else ""
            if not said:
                raise RuntimeError(f"penstock {command} ended early")
        yield said.split()[1]
    finally:
        for process in reversed(made):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
