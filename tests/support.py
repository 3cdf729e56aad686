"""What several tests need: a running Penstock, signed deliveries, histories and their laws."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Interceptor, Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.clients.process_launcher import ProcessLauncher
from activities.runner_environment import RunnerHome
from api import keys, signature
from checker import Bounds
from demo.site import Site
from embedded import stack
from policy import names
from worker import WORKFLOWS

ADMIN_KEY, ADMIN_HASH = keys.create()
# Seconds until a wait is given up. Only a test that fails waits for so long: it is no bound for
# what is tested, and wide enough for a machine that has much else to do.
PATIENCE = 150.0
# The same for the laws: their times belong in the benchmark, a loaded machine takes its own.
SLOW = Bounds(idle_permit=300.0, give_back=300.0, lowering=6.0, mode_change=6.0)


class Penstock:
    """Gateway and worker in this process, on a simulated GitHub."""

    def __init__(self, client: Client, site: Site, settings: dict[str, Any]) -> None:
        gateway = {
            "port": 0,
            "admin_key_hashes": [ADMIN_HASH],
            "temporal_timeout_seconds": 9,
            **settings.pop("gateway", {}),
        }
        self.client = client
        self.site = site
        # Whoever wants the recovery says so: what it mends by itself, a test might not notice.
        settings = {"recovery": {"enabled": False}, **settings}
        self.settings = site.settings(gateway=gateway, **settings)
        # A connection that the server is about to close as idle (after 5 s) is not used again.
        self.http = httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits(keepalive_expiry=2))
        self.url = ""
        self._held = AsyncExitStack()

    async def start(self) -> None:
        """Start, and have the simulator send its webhooks here."""
        self.url = await self._held.enter_async_context(stack.whole(self.client, self.settings))
        await self.site.point_at(self.url)

    async def stop(self) -> None:
        """Stop in order; once."""
        await self._held.aclose()
        await self.http.aclose()

    async def leave_nothing(self) -> None:
        """Stop, and end the runners that would live on as they should."""
        await self.stop()
        folder = self.settings.state_dir.resolve() / "runners"
        launcher = ProcessLauncher(folder, ["true"], home=RunnerHome("", ""))
        for runner in await launcher.all():
            await launcher.stop(runner.name)
            assert all(one.name != runner.name or not one.alive for one in await launcher.all())
        await launcher.close()

    async def deliver(self, payload: Any, **headers: str) -> httpx.Response:
        """Send a signed delivery, as GitHub does."""
        return await deliver(self.http, self.url, self.settings.gateway.secret, payload, **headers)

    async def admin(self, method: str, path: str, **json_: Any) -> httpx.Response:
        """Call the admin interface with the key."""
        return await self.http.request(
            method,
            f"{self.url}/admin/{path}",
            json=json_ or None,
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        )

    async def fleet(self, query: str = "status") -> dict[str, Any]:
        """Ask the Fleet."""
        handle = self.client.get_workflow_handle(names.FLEET_ID)
        return await ask(handle, query)

    async def result(self, repo: str, job: int | str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The end of a job's workflow; its webhook may be on its way still."""
        handle = self.client.get_workflow_handle(names.runner_job_id(repo, job))
        async with asyncio.timeout(seconds):
            await until(lambda: exists(handle), seconds)
            return await handle.result()

    async def explain(self, repo: str, job: int | str) -> dict[str, Any]:
        """Ask a job why it waits."""
        handle = self.client.get_workflow_handle(names.runner_job_id(repo, job))
        await until(lambda: exists(handle))
        return await ask(handle, "explain")

    async def settled(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until nothing runs or waits any more, and say the Fleet's last word."""
        return await until(self._idle, seconds)

    async def _idle(self) -> dict[str, Any] | None:
        status = await self.fleet()
        return status if not status["running"] and not status["waiting"] else None


async def exists(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether a workflow is known."""
    try:
        await handle.describe()
    except RPCError as error:
        assert error.status == RPCStatusCode.NOT_FOUND
        return False
    return True


async def ask(handle: WorkflowHandle[Any, Any], query: str, *arguments: Any) -> Any:
    """A workflow's answer, as soon as it can give one.

    On a busy machine a workflow's task may fail for being late; no query is answered meanwhile.
    """

    async def answered() -> list[Any]:
        try:
            return [await handle.query(query, args=list(arguments))]
        except RPCError as error:
            if error.status not in (
                RPCStatusCode.FAILED_PRECONDITION,
                RPCStatusCode.DEADLINE_EXCEEDED,
                RPCStatusCode.CANCELLED,  # the client's own deadline
            ):
                raise
            return []

    return (await until(answered))[0]


async def until(ask: Any, seconds: float = PATIENCE) -> Any:
    """Ask until the answer is true; queries have no event to wait for."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {ask}"
        await asyncio.sleep(0.05)


async def deliver(
    http: httpx.AsyncClient, url: str, secret: str, payload: Any, **headers: str
) -> httpx.Response:
    """A signed POST; `headers` with underscores for dashes replace the usual ones."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    usual = {
        "X-GitHub-Event": "workflow_job",
        "X-GitHub-Delivery": "00000000-0000-0000-0000-000000000000",
        "X-Hub-Signature-256": signature.sign(secret, body),
        "Content-Type": "application/json",
    }
    usual.update({key.replace("_", "-"): value for key, value in headers.items()})
    return await http.post(f"{url}/webhooks/github", content=body, headers=usual)


def job_payload(action: str, job: Any = 7001, repo: str = "acme/api", **job_: Any) -> Any:
    """A workflow_job payload with what Penstock reads."""
    owner, name = repo.split("/")
    return {
        "action": action,
        "workflow_job": {
            "id": job,
            "status": action,
            "labels": ["self-hosted", "linux"],
            "created_at": datetime.now(UTC).isoformat(),
            **job_,
        },
        "repository": {"name": name, "full_name": repo, "owner": {"login": owner}},
    }


async def histories(client: Client) -> list[WorkflowHistory]:
    """Every run of every workflow."""
    return [
        await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        async for found in client.list_workflows()
    ]


def replayer(
    workflows: Iterable[type] = WORKFLOWS, *, interceptors: Sequence[Interceptor] = ()
) -> Replayer:
    """Replays in the sandbox; raises NondeterminismError where the code does something else."""
    return Replayer(
        workflows=list(workflows),
        interceptors=interceptors,
        workflow_runner=SandboxedWorkflowRunner(
            # Stricter than the worker: the workflows' own modules are loaded in the sandbox.
            restrictions=SandboxRestrictions.default.with_passthrough_modules(
                "policy", "activities", "temporalio"
            )
        ),
    )


async def replay(client: Client) -> int:
    """Replay all that happened on today's code, in the sandbox; how many histories."""
    replaying = replayer()
    found = await histories(client)
    for history in found:
        await replaying.replay_workflow(history)
    return len(found)


async def count(client: Client, query: str = "") -> int:
    """How many workflows match."""
    return (await client.count_workflows(query)).count


async def closed_jobs(client: Client) -> dict[str, WorkflowExecutionStatus]:
    """Each RunnerJob with its status."""
    query = f"WorkflowType='{names.RUNNER_JOB}'"
    return {w.id: w.status async for w in client.list_workflows(query) if w.status}
