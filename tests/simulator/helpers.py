"""A client of the simulator, a receiver of its webhooks, and runners, for the tests."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.support import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "simulator" / "runner" / "__main__.py"
APP_ID, CLIENT_ID, SECRET = 4242, "Iv1.simulated", "It's a Secret to Everybody"


class Event:
    """A webhook as it arrived."""

    def __init__(self, headers: dict[str, str], raw: bytes, body: dict[str, Any]) -> None:
        self.headers, self.raw, self.body = headers, raw, body

    @property
    def action(self) -> str:
        return self.body.get("action", "")

    @property
    def job(self) -> dict[str, Any]:
        return self.body["workflow_job"]

    @property
    def guid(self) -> str:
        return self.headers["x-github-delivery"]


class Receiver:
    """An ASGI app that keeps what it gets; `status` is its answer, `gate` holds it back.

    `retry_after` goes along with the answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.clear()

    def clear(self) -> None:
        self.events: list[Event] = []
        self.status = 202
        self.retry_after = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        import json

        raw, more = b"", True
        while more:
            message = await receive()
            raw += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.events.append(Event(headers, raw, json.loads(raw)))
        await self.gate.wait()
        more = [(b"retry-after", self.retry_after.encode())] if self.retry_after else []
        await send({"type": "http.response.start", "status": self.status, "headers": more})
        await send({"type": "http.response.body", "body": b"noted"})

    def actions(self) -> list[str]:
        return [event.action for event in self.events]


class Sim:
    """The simulator as a caller sees it."""

    def __init__(
        self, url: str, private_key: RSAPrivateKey, http: httpx.AsyncClient, tmp: Path
    ) -> None:
        self.url, self.key, self.http, self.tmp = url, private_key, http, tmp
        self._tokens: dict[str, str] = {}

    def jwt(
        self,
        *,
        iat: Any = -30,
        exp: Any = 500,
        iss: Any = str(APP_ID),
        key: RSAPrivateKey | None = None,
    ) -> str:
        """An App JWT; iat and exp relative to now."""
        now = int(time.time())
        claims = {"iat": now + iat, "exp": now + exp, "iss": iss}
        return jwt.encode(claims, key or self.key, "RS256")

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def look(self, path: str, **query: Any) -> dict[str, Any]:
        answer = await self.http.get(f"/_control/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, condition: str, timeout: float = 100, **more: Any) -> None:
        met = await self.control("wait", condition=condition, timeout=timeout, **more)
        assert met["met"], met

    async def app(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call as the App."""
        headers = {"Authorization": f"Bearer {self.jwt()}"}
        return await self.http.request(method, path, headers=headers, **more)

    async def install(self, org: str = "acme", **more: Any) -> int:
        return (await self.control("installations", org=org, **more))["id"]

    async def token(self, org: str = "acme", **body: Any) -> str:
        """An installation token."""
        number = await self.install(org)
        answer = await self.app("POST", f"/app/installations/{number}/access_tokens", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    async def api(self, method: str, path: str, org: str = "acme", **more: Any) -> httpx.Response:
        """Call as the installation of an organization; one token per test."""
        if org not in self._tokens:
            self._tokens[org] = await self.token(org)
        return await self.bearer(self._tokens[org], method, path, **more)

    async def bearer(self, token: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.http.request(method, path, headers=headers, **more)

    async def job(self, labels: str = "self-hosted", **more: Any) -> int:
        """One job in acme/site."""
        return (await self.jobs(labels, **more))[0]

    async def jobs(self, labels: str = "self-hosted", **more: Any) -> list[int]:
        wanted = {"owner": "acme", "repo": "site", "labels": labels.split(",")} | more
        return [one["id"] for one in (await self.control("jobs", **wanted))["jobs"]]

    async def shown(self, job_id: int) -> dict[str, Any]:
        return await self.look(f"jobs/{job_id}")

    async def runner(self, name: str, labels: str = "", at: str = "acme/site") -> "HandRunner":
        """A registered runner, driven by hand."""
        owner, _, repo = at.partition("/")
        where = f"/repos/{owner}/{repo}" if repo else f"/orgs/{owner}"
        await self.control("installations", org=owner, repositories=[repo] if repo else None)
        token = (
            await self.api("POST", f"{where}/actions/runners/registration-token", owner)
        ).json()
        wanted = {
            "url": f"{self.url}/{at}",
            "token": token["token"],
            "name": name,
            "labels": [label for label in labels.split(",") if label],
        }
        answer = await self.http.post("/_runner/register", json=wanted)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return HandRunner(self, made["id"], made["secret"])

    async def jit(
        self, name: str = "j1", labels: str = "x", change: dict[str, Any] | None = None
    ) -> httpx.Response:
        await self.control("installations", org="acme", repositories=["site"])
        body = {"name": name, "runner_group_id": 1, "labels": labels.split(",")} | (change or {})
        path = "/repos/acme/site/actions/runners/generate-jitconfig"
        return await self.api("POST", path, json=body)

    @contextlib.asynccontextmanager
    async def process(
        self, name: str = "p1", *, fast: bool = True, jit: str = "", labels: str = "", **env: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A real runner process; it is not left behind."""
        given = {"PENSTOCK_GITHUB_URL": self.url, **env}
        if jit:
            given["PENSTOCK_RUNNER_JITCONFIG_FILE"] = self._file(name, jit)
        else:
            await self.control("installations", org="acme", repositories=["site"])
            path = "/repos/acme/site/actions/runners/registration-token"
            token = (await self.api("POST", path)).json()["token"]
            given |= {
                "PENSTOCK_RUNNER_URL": f"{self.url}/acme/site",
                "PENSTOCK_RUNNER_NAME": name,
                "PENSTOCK_RUNNER_LABELS": labels,
                "PENSTOCK_RUNNER_TOKEN_FILE": self._file(name, token),
            } | env
        how = ["-I", "-S", str(RUNNER)] if fast else ["-m", "simulator.runner"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, *how, env=given, cwd=ROOT, stdout=pipe, stderr=pipe
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def _file(self, name: str, text: str) -> str:
        path = self.tmp / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return str(path)


class HandRunner:
    """The runner's side of the protocol, one request at a time."""

    def __init__(self, sim: Sim, number: int, secret: str) -> None:
        self.sim, self.id, self.headers = sim, number, {"Authorization": f"Bearer {secret}"}

    async def post(self, what: str, **body: Any) -> httpx.Response:
        path = f"/_runner/{self.id}/{what}"
        return await self.sim.http.post(path, json=body, headers=self.headers, timeout=PATIENCE)

    async def poll(self, wait: float = 5) -> dict[str, Any]:
        """The next message; {} when none came."""
        answer = await self.post("poll", wait=wait)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.status_code == 200 else {}

    async def take(self, wait: float = 5) -> int:
        """Wait for a job and begin it."""
        message = await self.poll(wait)
        assert message.get("type") == "job", message
        assert (await self.post("accept", job_id=message["job_id"])).status_code == 200
        return message["job_id"]

    async def work(self, wait: float = 5) -> int:
        """Take one job and end it."""
        job_id = await self.take(wait)
        assert (await self.post("finish", job_id=job_id)).status_code == 200
        return job_id

    @contextlib.asynccontextmanager
    async def polling(self, wait: float = 20) -> AsyncIterator[Callable[[], None]]:
        """A poll that is open, online, and whose connection can be cut; cut at the end."""
        host, port = self.sim.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = f'{{"wait": {wait}}}'
        writer.write(
            f"POST /_runner/{self.id}/poll HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {self.headers['Authorization']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        await writer.drain()
        try:
            await self.sim.until("runners_online")
            yield writer.close
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
