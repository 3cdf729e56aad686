"""No address in a payload is ever called, looked up or opened: hosts come from the configuration.

A relay between the simulated GitHub and Penstock puts hostile addresses in the place of each
address of each payload (OWASP API7:2023, server-side request forgery).
"""

import asyncio
import itertools
import json
import sys
from typing import Any

import httpx
import pytest

from embedded import ports
from embedded.http_server import serving
from tests.support import until

HOSTILE_NAME = "metadata.google.internal"
MORE = ("callback_url", "logs_url", "artifacts_url", "runner_url", "statuses_url", "clone_url")
watched: list[list[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if watched and event in ("socket.connect", "socket.getaddrinfo", "open"):
        watched[-1].append(f"{event} {arguments[:2]}")


sys.addaudithook(_audit)


class Trap:
    """A listener that nobody has a reason to call, and a watch over what this process opens."""

    def __init__(self) -> None:
        self.calls = 0
        self.replaced: set[str] = set()  # names of the fields that had a hostile address
        self.opened: list[str] = []
        self._server: asyncio.Server | None = None
        self._addresses = itertools.cycle([""])

    async def __aenter__(self) -> "Trap":
        """Set it."""
        self._server = await asyncio.start_server(self._hear, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._addresses = itertools.cycle(
            [
                f"http://127.0.0.1:{self.port}/x",
                f"http://localhost:{self.port}/x",
                "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
                f"https://{HOSTILE_NAME}/computeMetadata/v1/",
                "file:///etc/hostname",
                f"gopher://127.0.0.1:{self.port}/_x",
                f"//127.0.0.1:{self.port}/x",
            ]
        )
        watched.append(self.opened)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Put it away."""
        watched.pop()
        assert self._server
        self._server.close()
        await self._server.wait_closed()

    async def _hear(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        writer.close()

    def poisoned(self, payload: Any) -> Any:
        """The payload with an address of ours in each field for an address, and some more."""
        if isinstance(payload, list):
            return [self.poisoned(one) for one in payload]
        if not isinstance(payload, dict):
            return payload
        made = {}
        for key, value in payload.items():
            if key == "url" or key.endswith("_url"):
                self.replaced.add(key)
                made[key] = next(self._addresses)
            else:
                made[key] = self.poisoned(value)
        for key in MORE:
            made.setdefault(key, next(self._addresses))
        return made

    def reached(self) -> list[str]:
        """What was called, looked up or opened of it."""
        ours = (f"127.0.0.1', {self.port}", "169.254.169.254", HOSTILE_NAME, "/etc/hostname")
        found = [text for text in self.opened if any(mark in text for mark in ours)]
        return found + [f"{self.calls} calls"] * bool(self.calls)


class Relay:
    """Stands between GitHub and Penstock: poisons, signs again, passes the answer back."""

    def __init__(self, trap: Trap, stack: Any) -> None:
        self.trap, self.stack = trap, stack
        self.statuses: list[int] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = await self.stack.deliver(self.trap.poisoned(json.loads(body)))
        self.statuses.append(answer.status_code)
        start = {"type": "http.response.start", "status": answer.status_code}
        await send({**start, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("mode", ["registration", "jit"])
async def test_a_payloads_addresses_are_data(penstock, mode):
    """From the webhook to the runner's end; refused, written down, replayed; foreign events."""
    stack = await penstock(github={"mode": mode})
    async with Trap() as trap:
        relay = Relay(trap, stack)
        async with serving(relay, ports.listening("127.0.0.1", 0)) as url:
            await stack.site.call("POST", "webhook", url=f"{url}/webhooks/github")
            (job,) = await stack.site.jobs("acme/api", environment="production")
            assert (await stack.result("acme/api", job))["conclusion"] == "success"
            await stack.admin("PUT", "draining", mode="draining")
            (refused,) = await stack.site.jobs("acme/web")

            async def written_down() -> list[dict[str, Any]]:
                answer = await stack.admin("GET", "dead-letters")
                return answer.json()["dead_letters"]

            (letter,) = await until(written_down)
            assert letter["payload"]["event"]["url"], "the replay has an address to leave alone"
            await stack.admin("PUT", "draining", mode="normal")
            again = await stack.admin("POST", f"dead-letters/{letter['id']}/replay")
            assert again.json()["status"] == "accepted"
            assert (await stack.result("acme/web", refused))["conclusion"] == "success"
            for event in ("ping", "push", "deployment_status"):
                foreign = trap.poisoned({"action": "created", "hook": {"config": {"url": ""}}})
                answer = await stack.deliver(foreign, X_GitHub_Event=event)
                assert answer.json()["status"] == "ignored"
            await stack.settled()
        assert {200, 503} == set(relay.statuses)
        assert trap.replaced >= {"url", "html_url", "run_url", "check_run_url", "avatar_url"}
        assert trap.reached() == []
        with pytest.raises(httpx.RemoteProtocolError):
            await stack.http.get(f"http://127.0.0.1:{trap.port}/")
        assert len(trap.reached()) >= 2, "neither trap nor watch would have heard it"
