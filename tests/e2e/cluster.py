"""Penstock as in production: gateway and workers as processes of their own, one configuration."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from activities.clients.aws import Aws
from activities.clients.sealing import new_key
from demo.site import APP_ID, SIMULATOR, Site
from embedded import ports
from tests.e2e.process import PENSTOCK, ROOT, run
from tests.support import ADMIN_HASH, ADMIN_KEY


class Cluster:
    """A gateway and any number of workers, on a Temporal server and an AWS that are given."""

    def __init__(self, folder: Path, site: Site, temporal: str, aws: Aws) -> None:
        self.folder = folder
        self.site = site
        self.url = ""
        self.metrics: list[str] = []
        self.key = new_key()
        self._aws = aws
        self._environment = {"TEMPORAL_ADDRESS": temporal, "COLUMNS": "300"}
        self._processes: list[asyncio.subprocess.Process] = []

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "penstock.toml"

    def write(self, workers: int, **tables: dict[str, Any]) -> None:
        """Write the configuration; `tables` go before what every test has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = self.folder / "token-keys"
        keys.write_text(f"first {self.key}\n")
        given: dict[str, dict[str, Any]] = {
            "gateway": {
                "webhook_secret_file": str(self.site.folder / "webhook-secret"),
                "admin_key_hashes": [ADMIN_HASH],
            },
            "github": {
                "api_url": self.site.url,
                "url": self.site.url,
                "app_id": APP_ID,
                "private_key_file": str(self.site.folder / "app.pem"),
            },
            "runner": {
                "command": [sys.executable, "-I", "-S", str(SIMULATOR / "runner/__main__.py")]
            },
            "tokens": {"store": "dynamodb", "encryption_keys_file": str(keys)},
            "aws": {"region": self._aws.region, "endpoint_url": self._aws.endpoint_url},
            "worker": {"count": workers},
        }
        for table, values in tables.items():
            given[table] = {**given.get(table, {}), **values}
        lines = [f"state_dir = {json.dumps(str(self.folder / 'state'))}"]
        for table, values in given.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n")

    async def start(self, workers: int = 2, **tables: dict[str, Any]) -> None:
        """Set up, start all, and have the simulator send its webhooks here."""
        self.write(workers, **tables)
        code, said = await self.run("setup")
        assert code == 0, said
        for number in range(workers):
            port = ports.free("127.0.0.1", 0)
            self.metrics.append(f"http://127.0.0.1:{port}/metrics")
            more = {"PENSTOCK_WORKER__METRICS_PORT": str(port)}
            await self._begin(f"worker-{number}", "worker", "worker runs", more)
        port = ports.free("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{port}"
        await self._begin("gateway", "gateway", "gateway", {"PENSTOCK_GATEWAY__PORT": str(port)})
        await self.site.point_at(self.url)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """A `penstock` command: exit code and output."""
        words = (*PENSTOCK, *arguments, "--config", str(self.config))
        return await run(*words, **self._environment)

    async def _begin(self, name: str, command: str, sign: str, more: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(*PENSTOCK, command, "--config", str(self.config), "--log-level", "DEBUG"),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment, **more},
            )
        self._processes.append(process)
        assert process.stdout
        async with asyncio.timeout(90):
            line = (await process.stdout.readline()).decode()
        assert line.startswith(sign), (line, (self.folder / f"{name}.log").read_text()[-2000:])

    async def texts(self) -> dict[str, str]:
        """All that an operator could read: logs, metrics, admin answers, files, the table."""
        found = {path.name: path.read_text() for path in self.folder.glob("*.log")}
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ADMIN_KEY}"}) as http:
            for path in ("status", "draining", "limits"):
                found[path] = (await http.get(f"{self.url}/admin/{path}")).text
            for url in (f"{self.url}/metrics", f"{self.url}/openapi.json", *self.metrics):
                found[url] = (await http.get(url)).text
        for path in (self.folder / "state").rglob("*"):
            if path.is_file() and path.name not in ("token",) and path.suffix != ".db":
                found[str(path)] = path.read_text(errors="replace")
        client = self._aws.dynamodb()
        scan = await asyncio.to_thread(client.scan, TableName="self-runners-tokens")
        found["table"] = json.dumps(scan["Items"], default=str)
        for arguments in (("status",), ("jobs",), ("doctor",), ("dead-letters", "-o", "json")):
            found[f"penstock {arguments[0]}"] = (await self.run(*arguments))[1]
        return found

    async def stop(self) -> None:
        """End all, in the order of an operator's choice: gateway first."""
        for process in reversed(self._processes):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                await process.wait()
