"""Memory of a worker and a gateway, each a process of its own, over ten thousand jobs."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from temporalio.client import Client

from benchmarks.fresh import on_fresh_server
from benchmarks.growth import lift
from benchmarks.record import Found, Line
from demo.site import APP_ID, SIMULATOR, Site

ROOT = Path(__file__).resolve().parents[1]
JOBS, WARM = 10_000, 2_000
BATCH = 250  # jobs; two batches are on their way at a time
REPOS = 10
PATIENCE_SECONDS = 300.0
PROCESSES = ("worker", "gateway")


@dataclass(frozen=True)
class Sample:
    """After so many jobs: resident MiB of each process, open files of each, jobs/s so far."""

    jobs: int
    mib: dict[str, float]
    files: dict[str, int]
    seconds: float


async def over(client: Client, site: Site, jobs: int, console: Console) -> list[Sample]:
    """So many jobs, runners and all; a sample after each batch."""
    await lift(site)
    began = time.monotonic()
    samples: list[Sample] = []
    async with _processes(client, site) as (pids, gateway):
        await site.point_at(gateway)
        for batch in range(jobs // BATCH):
            for number in range(REPOS):
                await site.jobs(f"acme/r{number}", count=BATCH // REPOS, seconds=0.0)
            done = batch * BATCH  # all but the last batch
            await _completed(site, done)
            samples.append(
                Sample(
                    done,
                    {name: _resident_mib(pid) for name, pid in pids.items()},
                    {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()},  # noqa: PTH208
                    time.monotonic() - began,
                )
            )
            if batch % 8 == 7:
                console.print(f"{done:,} jobs, {samples[-1].mib}", markup=False)
        await _completed(site, jobs // BATCH * BATCH)
    return samples


def slope(samples: list[Sample], process: str) -> float:
    """KiB a thousand jobs, by least squares."""
    xs, ys = [s.jobs / 1000 for s in samples], [1024 * s.mib[process] for s in samples]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum(
        (a - x) ** 2 for a in xs
    )


async def measure(console: Console, found: Found) -> None:
    """Warm → end and slope; and whether the ten-thousandth job goes as quickly as the first."""
    jobs, warm = (1_500, 500) if found.quick else (JOBS, WARM)
    samples = await on_fresh_server(lambda client, site: over(client, site, jobs, console))
    after = [one for one in samples if one.jobs >= warm]
    first, last = after[0], after[-1]
    middle = after[len(after) // 2]
    for name in PROCESSES:
        found.figure(
            f"{name} after {last.jobs:,} jobs",
            last.mib[name],
            "MiB",
            floor=(f"after {first.jobs:,}", first.mib[name]),
            at_most=1.2,
            of_ratio=True,
        )
        found.figure(f"{name}: growth by a thousand jobs", slope(after, name), "KiB")
        found.figure(
            f"{name}: open files then", last.files[name], floor=("warm", first.files[name])
        )
    found.figure(
        "jobs a second, second half",
        (last.jobs - middle.jobs) / (last.seconds - middle.seconds),
        "jobs/s",
        floor=("first half", (middle.jobs - first.jobs) / (middle.seconds - first.seconds)),
    )
    found.curve(
        "memory",
        "Memory over the jobs of one process's life",
        "jobs done",
        "MiB resident",
        [Line(name, [(one.jobs, one.mib[name]) for one in samples]) for name in PROCESSES],
    )


async def _completed(site: Site, count: int) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not await site.wait("jobs_completed", timeout=60.0, count=count):
        if time.monotonic() > ends:
            raise TimeoutError(f"not {count} jobs within {PATIENCE_SECONDS:.0f} s")


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")


@asynccontextmanager
async def _processes(client: Client, site: Site) -> AsyncGenerator[tuple[dict[str, int], str]]:
    """`penstock worker` and `penstock gateway`: their process ids, and the gateway's address."""
    config = site.folder / "penstock.toml"
    runner = [sys.executable, "-I", "-S", str(SIMULATOR / "runner" / "__main__.py")]
    config.write_text(
        f'state_dir = "{site.folder / "state"}"\n'
        f'[github]\napi_url = "{site.url}"\nurl = "{site.url}"\napp_id = "{APP_ID}"\n'
        f'private_key_file = "{site.folder / "app.pem"}"\ngithub_api_calls_per_minute = 900\n'
        f"[runner]\ncommand = {json.dumps(runner)}\n"
        "[limits]\nmax_runners = 50\ndefault = 50\nmax_repo_share = 1.0\n"
        "[pressure]\nmax_queue_depth = 1_000_000\n"
        "[gateway]\nport = 0\n"
        f'webhook_secret_file = "{site.folder / "webhook-secret"}"\n',
        encoding="utf-8",
    )
    address = client.service_client.config.target_host
    environment = {**os.environ, "COLUMNS": "300", "TEMPORAL_ADDRESS": address}
    made: dict[str, asyncio.subprocess.Process] = {}
    try:
        said = ""
        for command in ("setup", *PROCESSES):
            quietly = () if command == "setup" else ("--log-level", "WARNING")
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", command, "--config", str(config)),
                *quietly,
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
            )
            if command == "setup":
                await process.communicate()
                if process.returncode:
                    raise RuntimeError("penstock setup failed")
                continue
            made[command] = process
            said = (await process.stdout.readline()).decode() if process.stdout else ""
            if not said:
                raise RuntimeError(f"penstock {command} ended early")
        yield {name: process.pid for name, process in made.items()}, said.split()[1]
    finally:
        for process in reversed(made.values()):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
