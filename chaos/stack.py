"""The stack under test: every part a process of its own, and a proxy before Temporal for each."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client

from api.fleet_client import FleetClient
from chaos import pace, runners
from chaos.moto import CREDENTIALS, REGION, Moto
from chaos.process import ROOT, Process
from chaos.proxy import Proxy
from demo.site import APP_ID, SIMULATOR, Site
from embedded import ports, temporal_server
from embedded.connect import CONVERTER
from embedded.temporal_server import TemporalServer

LIMITS: dict[str, Any] = {"max_runners": 6, "default": 3, "max_repo_share": 1.0}
LOOK_SECONDS = 0.5  # between looks at whether Temporal lives


class StackError(Exception):
    """The stack does not start; the message says where to look."""


class Stack:
    """What there is to break. `client` and `fleet` reach Temporal directly, as an operator."""

    def __init__(self, folder: Path, workers: int, *, hurry: bool = False) -> None:
        """`hurry`: as chaos/pace.py has it."""
        self.folder = folder
        self.site = Site(folder)
        dynamic = pace.HURRIED if hurry else {}
        self.server = TemporalServer(folder, ui=False, port=0, dynamic=dynamic)
        self.moto = Moto(folder) if workers > 1 else None
        # Held by whoever breaks Temporal on purpose; else the supervisor starts it again.
        self.temporal = asyncio.Lock()
        self.temporal_ended = 0
        self._keeping: asyncio.Task[None] | None = None
        self.proxies: dict[str, Proxy] = {}
        self.processes: dict[str, Process] = {}
        self.client: Client  # once it runs
        self.fleet: FleetClient
        self._workers = workers
        self._hurry = hurry

    @property
    def workers(self) -> list[str]:
        """The workers' names."""
        return [name for name in self.processes if name.startswith("worker")]

    @property
    def state(self) -> Path:
        """Penstock's own folder."""
        return self.folder / "state"

    async def start(self) -> None:
        """Start all. Raises StackError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        starting = [self.server.start(), self.site.start()]
        await asyncio.gather(*starting, *([self.moto.start()] if self.moto else []))
        running = self.server.running
        if running is None:
            raise StackError(f"Temporal does not run: see {self.server.log}")
        self._keeping = asyncio.create_task(self._keep_temporal())
        self.client = await Client.connect(running.address, data_converter=CONVERTER)
        self.fleet = FleetClient(self.client)
        await self.site.call("POST", "limits", **pace.GITHUB)
        config = self._write()
        if self.moto:
            await self._setup(config)
        port = ports.free("127.0.0.1", 0)
        for name in ("gateway", *(f"worker-{number}" for number in range(self._workers))):
            proxy = self.proxies[name] = Proxy(self._temporal)
            environment = {"TEMPORAL_ADDRESS": await proxy.start(), **CREDENTIALS}
            if self._hurry:
                environment["CHAOS_HURRY"] = "1"
            if name == "gateway":
                environment["PENSTOCK_GATEWAY__PORT"] = str(port)
            words = ("-m", "chaos.product", name.partition("-")[0], "--config", str(config))
            log = self.folder / f"{name}.log"
            self.processes[name] = Process(name, log, *words, **environment)
        try:
            await asyncio.gather(*(process.start() for process in self.processes.values()))
        except TimeoutError:
            raise StackError(f"gateway or worker does not start: see {self.folder}") from None
        await self.site.point_at(f"http://127.0.0.1:{port}")

    async def stop(self) -> None:
        """End all of it, runners too, in an operator's order."""
        for proxy in self.proxies.values():
            proxy.heal()
        named = list(self.processes.values())
        await asyncio.gather(*(process.stop() for process in named), return_exceptions=True)
        runners.end_all(self.state / "runners")
        await asyncio.gather(*(proxy.stop() for proxy in self.proxies.values()))
        if self._keeping:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self.server.stop()
        if self.moto:
            await self.moto.stop()
        await self.site.stop()

    def logs(self) -> dict[str, str]:
        """What all of Penstock has written, for the law of secrets."""
        found = [*self.folder.glob("gateway*.log"), *self.folder.glob("worker*.log")]
        found += (self.state / "dead-letters").glob("*.json")
        return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in found}

    async def _keep_temporal(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            async with self.temporal:
                if temporal_server.read(self.folder) is None:
                    self.temporal_ended += 1
                    with contextlib.suppress(temporal_server.TemporalServerError):
                        await self.server.start()

    def _temporal(self) -> tuple[str, int]:
        running = self.server.running
        if running is None:
            raise ConnectionRefusedError("Temporal is down")
        host, _, port = running.address.rpartition(":")
        return host, int(port)

    async def _setup(self, config: Path) -> None:
        """`penstock setup`: the tables."""
        running = self.server.running
        environment = {"TEMPORAL_ADDRESS": running.address if running else "", **CREDENTIALS}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "setup", "--config", str(config)),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise StackError(f"penstock setup failed: {said.decode()[-500:]}")

    def _write(self) -> Path:
        """The configuration file."""
        keys = self.folder / "token-keys"
        keys.touch(mode=0o600)
        keys.write_text(f"first {base64.b64encode(secrets.token_bytes(32)).decode()}\n")
        waits = pace.tables()
        given: dict[str, dict[str, Any]] = {
            "limits": LIMITS,
            "gateway": {
                "webhook_secret_file": str(self.folder / "webhook-secret"),
                "temporal_timeout_seconds": 3.0,
            },
            "github": {
                "api_url": self.site.url,
                "url": self.site.url,
                "app_id": APP_ID,
                "private_key_file": str(self.folder / "app.pem"),
                "github_api_calls_per_minute": 300,
                "tokens_per_repository_per_hour": 100,
            },
            "runner": {
                "command": [sys.executable, "-I", "-S", str(SIMULATOR / "runner/__main__.py")],
                **waits["runner"],
            },
            "recovery": waits["recovery"],
            "worker": {"count": self._workers},
        }
        if self.moto:
            given["tokens"] = {"store": "dynamodb", "encryption_keys_file": str(keys)}
            given["aws"] = {"region": REGION, "endpoint_url": self.moto.url}
        lines = [f"state_dir = {json.dumps(str(self.state))}"]
        for table, values in given.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        path = self.folder / "penstock.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@asynccontextmanager
async def running(folder: Path, workers: int, *, hurry: bool = False) -> AsyncGenerator[Stack]:
    """A stack inside the block; nothing of it is left after it."""
    async with AsyncExitStack() as held:
        stack = Stack(folder, workers, hurry=hurry)
        held.push_async_callback(stack.stop)
        await stack.start()
        yield stack
