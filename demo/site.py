"""A simulated GitHub beside Penstock: its process, the App's key, the webhook's secret."""

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from temporalio.client import Client

import settings as configuration
from embedded.temporal_server import TemporalServer
from settings import Settings

APP_ID = "4242"
START_SECONDS = 90.0
SIMULATOR = Path(__file__).resolve().parents[1] / "simulator"


class SiteError(Exception):
    """The simulator does not run."""


@asynccontextmanager
async def on_fresh_site(
    folder: Path, dynamic: dict[str, str] | None = None
) -> AsyncGenerator[tuple["Site", Client]]:
    """A simulator and a Temporal server of their own in this folder, inside the block.

    `dynamic` is Temporal's dynamic configuration, beside what the server sets itself.
    """
    async with AsyncExitStack() as held:
        site = Site(folder)
        held.push_async_callback(site.stop)
        server = TemporalServer(folder, ui=False, port=0, dynamic=dynamic)
        held.push_async_callback(server.stop)
        running = await server.start()
        await site.start()
        yield site, await Client.connect(running.address)


class Site:
    """A simulator process and the files that Penstock and it share, in one folder."""

    def __init__(self, folder: Path) -> None:
        """The folder is made if need be; secrets in it are kept for the next time."""
        self.folder = folder
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._http = httpx.AsyncClient(timeout=200.0)

    def prepare(self) -> None:
        """Make the App's key pair and the webhook's secret, once."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._path("app.pem").exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            private = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            _keep(self._path("app.public.pem"), public)
            _keep(self._path("app.pem"), private)
        if not self._path("webhook-secret").exists():
            _keep(self._path("webhook-secret"), secrets.token_hex(32).encode())

    async def start(self, port: int = 0) -> str:
        """Start the simulator; its address."""
        self.prepare()
        ready = self._path("simulator.json")
        ready.unlink(missing_ok=True)
        with self._path("simulator.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "simulator", "--port", str(port)),
                *("--webhook-secret-file", str(self._path("webhook-secret"))),
                *("--app-id", APP_ID, "--app-client-id", "Iv1.simulated"),
                *("--app-public-key-file", str(self._path("app.public.pem"))),
                *("--ready-file", str(ready)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd=SIMULATOR.parent,
            )
        stdout = self._process.stdout
        try:
            async with asyncio.timeout(START_SECONDS):
                if stdout is None or not await stdout.readline():
                    raise SiteError(f"the simulator does not start: see {log.name}")
        except TimeoutError:
            raise SiteError(f"the simulator does not start: see {log.name}") from None
        self.url = str(json.loads(ready.read_text(encoding="utf-8"))["url"])
        return self.url

    async def stop(self) -> None:
        """End the simulator and its connections."""
        await self._http.aclose()
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    def settings(self, config: Path | None = None, **more: Any) -> Settings:
        """A configuration whose GitHub is the simulator and whose runners are its programs.

        It goes before what the file `config` says; `more` goes before both.
        """
        given: dict[str, Any] = {
            "state_dir": self.folder,
            "gateway": {"webhook_secret_file": self._path("webhook-secret")},
            "github": {
                "api_url": self.url,
                "url": self.url,
                "app_id": APP_ID,
                "private_key_file": self._path("app.pem"),
            },
            "runner": {
                "command": [sys.executable, "-I", "-S", str(SIMULATOR / "runner" / "__main__.py")]
            },
        }
        for key, value in more.items():
            given[key] = {**given.get(key, {}), **value} if isinstance(value, dict) else value
        return configuration.load(config, **given)

    async def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Call the simulator's control interface (`/_control/…`)."""
        answer = await self._http.request(method, f"{self.url}/_control/{path}", json=body or None)
        answer.raise_for_status()
        return cast(dict[str, Any], answer.json())

    async def point_at(self, gateway: str) -> None:
        """Send webhooks to this gateway."""
        await self.call("POST", "webhook", url=f"{gateway}/webhooks/github")

    async def jobs(self, repo: str, count: int = 1, **how: Any) -> list[int]:
        """Queue jobs of a repository; their ids."""
        owner, name = repo.split("/")
        made = await self.call(
            "POST",
            "jobs",
            owner=owner,
            repo=name,
            count=count,
            **{"labels": ["self-hosted", "linux"], "seconds": 0.2, **how},
        )
        return [int(job["id"]) for job in made["jobs"]]

    async def wait(self, condition: str, timeout: float = 150.0, **more: Any) -> bool:
        """Wait in the simulator until something holds; whether it does."""
        answer = await self.call("POST", "wait", condition=condition, timeout=timeout, **more)
        return bool(answer["met"])

    def _path(self, name: str) -> Path:
        return self.folder / name


def _keep(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
