"""`penstock` as a process of its own, on a simulated GitHub that outlives it."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from demo.site import APP_ID, SIMULATOR, Site
from embedded import temporal_server
from tests.support import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PENSTOCK = [sys.executable, "-m", "cli"]
TEMPORAL = str(Path(sys.executable).with_name("temporal"))


class Dev:
    """`penstock dev` with its Temporal server, in one folder."""

    def __init__(self, folder: Path, site: Site, limits: str = "", gateway: str = "") -> None:
        """`limits` and `gateway` are lines of those tables."""
        self.folder = folder
        self.site = site
        self.url = ""
        self.lines: list[str] = []
        self.process: asyncio.subprocess.Process | None = None
        runner = json.dumps([sys.executable, "-I", "-S", str(SIMULATOR / "runner/__main__.py")])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "penstock.toml").write_text(
            f'state_dir = "{folder / "state"}"\n'
            f"[gateway]\nport = 0\n{gateway}\n"
            f'webhook_secret_file = "{site.folder / "webhook-secret"}"\n'
            f'[github]\napi_url = "{site.url}"\nurl = "{site.url}"\napp_id = "{APP_ID}"\n'
            f'private_key_file = "{site.folder / "app.pem"}"\n'
            f"[runner]\ncommand = {runner}\n"
            f"[limits]\n{limits}\n",
            encoding="utf-8",
        )

    @property
    def address(self) -> str:
        """Where its Temporal server listens."""
        running = temporal_server.read(self.folder / "state")
        assert running
        return running.address

    async def start(self) -> None:
        """Start, until it says that it runs; then point the webhooks at it."""
        self.lines = []
        with (self.folder / "dev.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *PENSTOCK,
                *("dev", "--config", str(self.folder / "penstock.toml"), "--log-level", "WARNING"),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "COLUMNS": "300"},
            )
        assert self.process.stdout
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"penstock dev ended early: {self.lines}"
                self.lines.append(line)
                if line.startswith("running"):
                    break
        self.url = next(li for li in self.lines if li.startswith("gateway")).split()[1]
        await self.site.point_at(self.url)

    async def kill(self) -> None:
        """kill -9 of gateway and worker; Temporal lives on."""
        assert self.process
        self.process.kill()
        await self.process.wait()

    def kill_temporal(self) -> None:
        """kill -9 of the Temporal server."""
        running = temporal_server.read(self.folder / "state")
        assert running
        os.kill(running.pid, signal.SIGKILL)

    async def stop(self) -> int:
        """As an operator stops it; the exit code."""
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def run(self, *arguments: str) -> tuple[int, str]:
        """A `penstock` command on the same folder: exit code and output."""
        return await run(*PENSTOCK, *arguments, "--config", str(self.folder / "penstock.toml"))

    async def temporal(self, *arguments: str) -> tuple[int, str]:
        """A command of the `temporal` program in the virtual environment."""
        return await run(TEMPORAL, *arguments, "--address", self.address)


async def run(*command: str, **environment: str) -> tuple[int, str]:
    """Run a command to its end: exit code, and standard output and error together."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
    async with asyncio.timeout(400):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
