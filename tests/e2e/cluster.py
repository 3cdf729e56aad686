"""Penstock as in production: gateway and workers as processes of their own, one configuration."""

import asyncio
import json
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

from activities.clients.aws import Aws
from activities.clients.sealing import new_key
from demo.site import APP_ID, SIMULATOR, Site
from embedded import ports
from tests.e2e.planted import ECHO, GIVEN, INHERITED, MARK
from tests.e2e.process import PENSTOCK, ROOT, run
from tests.support import ADMIN_HASH, ADMIN_KEY, PATIENCE

TOKENS, CONCURRENCY = "self-runners-tokens", "self-runners-concurrency"


class Cluster:
    """A gateway and any number of workers, on a Temporal server and an AWS that are given."""

    def __init__(self, folder: Path, site: Site, temporal: str, aws: Aws) -> None:
        self.folder = folder
        self.site = site
        self.url = ""
        self.metrics: list[str] = []
        self.key = new_key()
        self.aws = aws
        self.address = temporal
        told = {"TEMPORAL_ADDRESS": temporal, "COLUMNS": "300"}
        self._environment = {**told, **GIVEN, **INHERITED}
        self._processes: list[asyncio.subprocess.Process] = []

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "penstock.toml"

    async def write(
        self, workers: int, *, secrets_at_aws: bool = False, **tables: dict[str, Any]
    ) -> None:
        """Write the configuration; `tables` go before what every test has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        keys, pem = self.folder / "token-keys", self.site.folder / "app.pem"
        keys.write_text(f"first {self.key}\n")
        if secrets_at_aws:
            names = [await self._store(file.read_text()) for file in (pem, keys)]
            key_of_app = {"private_key_secret": names[0]}
            sealed_by = {"encryption_keys_secret": names[1]}
        else:
            key_of_app = {"private_key_file": str(pem)}
            sealed_by = {"encryption_keys_file": str(keys)}
        given: dict[str, dict[str, Any]] = {
            "gateway": {
                "webhook_secret_file": str(self.site.folder / "webhook-secret"),
                "admin_key_hashes": [ADMIN_HASH],
            },
            "github": {
                "api_url": self.site.url,
                "url": self.site.url,
                "app_id": APP_ID,
                **key_of_app,
            },
            "runner": {
                # It takes no argument: the mark is for who reads command lines.
                "command": [
                    *(sys.executable, "-I", "-S"),
                    str(SIMULATOR / "runner/__main__.py"),
                    MARK,
                ]
            },
            "tokens": {"store": "dynamodb", **sealed_by},
            "aws": {"region": self.aws.region, "endpoint_url": self.aws.endpoint_url},
            "worker": {"count": workers},
        }
        for table, values in tables.items():
            given[table] = {**given.get(table, {}), **values}
        lines = [f"state_dir = {json.dumps(str(self.folder / 'state'))}"]
        for table, values in given.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n")

    async def _store(self, text: str) -> str:
        """Keep a text in Secrets Manager; its name there."""
        name = f"penstock/{uuid.uuid4()}"
        client = self.aws.secretsmanager()
        await asyncio.to_thread(client.create_secret, Name=name, SecretString=text)
        return name

    async def start(self, workers: int = 2, **how: Any) -> None:
        """Set up, start all, and have the simulator send its webhooks here; `how`: see `write`."""
        await self.write(workers, **how)
        code, said = await self.run("setup")
        assert code == 0, said
        for number in range(workers):
            await self.start_worker(number)
        self.url = await self.begin_gateway("gateway")
        await self.site.point_at(self.url)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """A `penstock` command: exit code and output."""
        words = (*PENSTOCK, *arguments, "--config", str(self.config))
        return await run(*words, **self._environment)

    async def begin_worker(
        self, name: str, root: Path = ROOT, **more: str
    ) -> asyncio.subprocess.Process:
        """One more worker, of the code that lies in `root`."""
        return await self._begin(name, "worker", "worker runs", more, root)

    async def begin_gateway(self, name: str, root: Path = ROOT) -> str:
        """One more gateway, of the code that lies in `root`; its address."""
        port = ports.free("127.0.0.1", 0)
        more = {"PENSTOCK_GATEWAY__PORT": str(port)}
        await self._begin(name, "gateway", "gateway", more, root)
        return f"http://127.0.0.1:{port}"

    async def _begin(
        self, name: str, command: str, sign: str, more: dict[str, str], root: Path = ROOT
    ) -> asyncio.subprocess.Process:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(*PENSTOCK, command, "--config", str(self.config), "--log-level", "DEBUG"),
                cwd=root,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment, **more},
            )
        self._processes.append(process)
        assert process.stdout
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith(sign), (line, (self.folder / f"{name}.log").read_text()[-2000:])
        return process

    def canaries(self) -> list[str]:
        """Secrets that this cluster and its operator have; the simulator knows of its own."""
        pem = (self.site.folder / "app.pem").read_text().splitlines()
        key_of_app = [line for line in pem if not line.startswith("-----")]
        return [ADMIN_KEY, ECHO, self.key, *GIVEN.values(), *key_of_app]

    async def start_worker(self, number: int) -> None:
        """Start one worker, or one more in the place of a dead one."""
        port = ports.free("127.0.0.1", 0)
        self.metrics.append(f"http://127.0.0.1:{port}/metrics")
        more = {"PENSTOCK_WORKER__METRICS_PORT": str(port)}
        await self._begin(f"worker-{number}", "worker", "worker runs", more)

    async def kill_worker(self, number: int) -> None:
        """kill -9 of one worker; its runners live on."""
        process = self._processes[number]
        process.kill()
        await process.wait()

    async def admin(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the admin interface with the key."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(headers=headers, timeout=PATIENCE) as http:
            url = f"{self.url}/admin/{path}"
            return (await http.request(method, url, json=body or None)).raise_for_status()

    async def stop(self) -> None:
        """End all, in the order of an operator's choice: gateway first."""
        for process in reversed(self._processes):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await process.wait()
