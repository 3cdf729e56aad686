"""In front of moto's server: what ECS does and moto does not (reference: botocore's ECS model).

Client tokens, ConflictException, `failures[]`, throttling, capacity, the states and stop codes of
tasks, MISSING, the limits of calls; answers that get lost or are held back. Every other request
goes through to moto as it is. A task may run a real process; its end ends the task.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from activities.clients.aws import Aws
from tests.support import until

TARGET = "AmazonEC2ContainerServiceV20141113"
ROOT = Path(__file__).resolve().parents[2]
RUNNER = [sys.executable, "-I", "-S", str(ROOT / "simulator" / "runner" / "__main__.py")]
CAPACITY = (
    "Capacity is unavailable at this time. Please try again later or in a different availability"
    " zone"
)


@dataclass
class Fault:
    """What becomes of the next `times` calls of an action (0: of all); `place` narrows RunTask."""

    action: str
    kind: str  # failure, error, lose (done, no answer), hold (done, and answered never)
    reason: str = ""
    status: int = 400
    times: int = 1
    place: str = ""  # a provider or a subnet


@dataclass
class Task:
    """What a task of ECS has beyond moto's."""

    body: dict[str, Any]
    order: dict[str, Any]
    process: asyncio.subprocess.Process | None = None
    stopping: str = ""  # the reason given to StopTask
    version: int = 1
    ends: asyncio.Task[None] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What its container is told."""
        overrides = self.order["overrides"]["containerOverrides"][0]
        return {one["name"]: one["value"] for one in overrides["environment"]}

    @property
    def name(self) -> str:
        """The runner's."""
        return str(self.body["startedBy"])


Listener = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Front:
    """The proxy, its tasks, and all RunTask calls that it was asked."""

    moto: Aws
    folder: Path
    runs: bool = False  # tasks run the simulator's runner
    url: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)  # by a held or lost call
    kept: list[str] = field(default_factory=list)  # names of the parameters that were put
    labels: list[dict[str, Any]] = field(default_factory=list)  # all of those calls but the values
    hidden: bool = False  # lists and descriptions do not know new tasks yet
    _tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    _http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=150.0))
    _told: set[asyncio.Task[Any]] = field(default_factory=set)

    @cached_property
    def ssm(self) -> Any:
        """Moto's Parameter Store, without the way through here: it may block."""
        return self.moto.ssm()

    @property
    def aws(self) -> Aws:
        """AWS through this proxy."""
        return Aws(self.moto.region, self.url)

    @property
    def live(self) -> list[Task]:
        """Tasks that have not stopped."""
        return [task for task in self.tasks.values() if task.body["lastStatus"] != "STOPPED"]

    def orders(self, action: str = "RunTask") -> list[dict[str, Any]]:
        """The bodies of all calls of an action."""
        return [body for made, body in self.calls if made == action]

    async def prepare(self, cluster: str = "runners", family: str = "runner") -> None:
        """A cluster and a task definition."""
        ecs = self.moto.ecs()
        await asyncio.to_thread(ecs.create_cluster, clusterName=cluster)
        await asyncio.to_thread(
            ecs.register_task_definition,
            family=family,
            containerDefinitions=[{"name": "runner", "image": "runner", "memory": 128}],
        )

    async def end(self, name: str, code: int = 0, **facts: Any) -> None:
        """A runner's task stops, as if its container had ended."""
        for task in [one for one in self.live if one.name == name]:
            if task.process:
                task.process.terminate()
                await task.process.wait()
            await self._stopped(task, code, **facts)

    async def reset(self) -> None:
        """No tasks, no faults, nobody listening."""
        await self._end_all()
        for known in (self.tasks, self.faults, self.calls, self.listeners, self._tokens):
            known.clear()
        self.reached.clear()
        self.hidden = False

    async def close(self) -> None:
        """End every process."""
        await self._end_all()
        await self._http.aclose()

    async def _end_all(self) -> None:
        for task in self.tasks.values():
            if task.process and task.process.returncode is None:
                task.process.kill()
                await task.process.wait()
            if task.ends:
                task.ends.cancel()
        for told in self._told:
            told.cancel()

    async def answer(self, request: Request) -> Response:
        """One request."""
        body = await request.body()
        target = request.headers.get("x-amz-target", "")
        service, _, action = target.partition(".")
        order = json.loads(body or b"{}") if action else {}
        fault = self._fault(action, order)
        if action == "PutParameter":
            self.kept.append(order["Name"])
            self.labels.append({key: said for key, said in order.items() if key != "Value"})
        if service != TARGET and not fault:
            return await self._through(request, body)
        self.calls.append((action, order))
        if fault and fault.kind == "failure":
            return _json({"tasks": [], "failures": [{"arn": "", "reason": fault.reason}]})
        if fault and fault.kind == "error":
            return _error(fault.reason, fault.status)
        does = getattr(self, f"_{_snake(action)}", None)
        made = await does(request, body, order) if does else await self._through(request, body)
        if fault and fault.kind == "lose":
            self.reached.set()
            return _error("InternalError", 500)  # after the task was started
        if fault and fault.kind == "hold":
            self.reached.set()
            await asyncio.Event().wait()
        return made

    def _fault(self, action: str, order: dict[str, Any]) -> Fault | None:
        said = json.dumps(order)
        for fault in self.faults:
            if fault.action == action and fault.place in said:
                if fault.times == 1:
                    self.faults.remove(fault)
                elif fault.times:
                    fault.times -= 1
                return fault
        return None

    async def _through(self, request: Request, body: bytes) -> Response:
        headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
        url = f"{self.moto.endpoint_url}{request.url.path}"
        if request.url.query:
            url += f"?{request.url.query}"
        found = await self._http.request(request.method, url, content=body, headers=headers)
        kept = {
            key: value
            for key, value in found.headers.items()
            if key.lower() not in ("content-length", "content-encoding", "transfer-encoding")
        }
        return Response(found.content, found.status_code, kept)

    async def _run_task(self, request: Request, _: bytes, order: dict[str, Any]) -> Response:
        if wrong := _invalid(order):
            return _error(f"InvalidParameterException: {wrong}", 400)
        token = order.get("clientToken", "")
        known = {key: value for key, value in order.items() if key != "clientToken"}
        said = json.dumps(known, sort_keys=True)
        if token in self._tokens:
            first, arn = self._tokens[token]
            if first != said:
                return _error("ConflictException", 400, resourceIds=[arn])
            return _json({"tasks": [self.tasks[arn].body], "failures": []})
        # Moto's EC2 tasks want instances, of which it has none.
        fargate = {k: v for k, v in order.items() if k != "capacityProviderStrategy"}
        subnets = {"awsvpcConfiguration": {"subnets": ["subnet-a"]}}
        fargate |= {"launchType": "FARGATE", "networkConfiguration": subnets}
        found = await self._through(request, json.dumps(fargate).encode())
        if found.status_code != 200:
            return found
        made = json.loads(bytes(found.body))["tasks"][0]
        made |= {
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "group": order.get("group", ""),
            "startedBy": order.get("startedBy", ""),
            "overrides": order.get("overrides", {}),
            "version": 1,
            "containers": [{"name": "runner", "lastStatus": "PENDING"}],
        }
        made.pop("stoppedReason", None)
        arn = made["taskArn"]
        task = self.tasks[arn] = Task(made, order)
        self._tokens[token] = (said, arn)
        if self.runs:
            await self._start(task)
        return _json({"tasks": [made], "failures": []})

    async def _describe_tasks(self, _: Request, __: bytes, order: dict[str, Any]) -> Response:
        if len(order["tasks"]) > 100:
            return _error("InvalidParameterException: tasks cannot be over 100", 400)
        known = {} if self.hidden else self.tasks
        found = [known[arn] for arn in order["tasks"] if arn in known]
        missing = [arn for arn in order["tasks"] if arn not in known]
        for task in found:
            steps = {"PROVISIONING": "PENDING", "PENDING": "RUNNING"}
            task.body["lastStatus"] = steps.get(task.body["lastStatus"], task.body["lastStatus"])
        return _json(
            {
                "tasks": [task.body for task in found],
                "failures": [{"arn": arn, "reason": "MISSING"} for arn in missing],
            }
        )

    async def _list_tasks(self, _: Request, __: bytes, order: dict[str, Any]) -> Response:
        by = order.get("startedBy")
        found = [
            arn
            for arn, task in self.tasks.items()
            if task.body["desiredStatus"] == order.get("desiredStatus", "RUNNING")
            and by in (None, task.body["startedBy"])
        ]
        if self.hidden:
            found = []
        start = int(order.get("nextToken", 0))
        page: dict[str, Any] = {"taskArns": found[start : start + 100]}
        if start + 100 < len(found):
            page["nextToken"] = str(start + 100)
        return _json(page)

    async def _stop_task(self, _: Request, __: bytes, order: dict[str, Any]) -> Response:
        task = self.tasks.get(order["task"])
        if task is None:
            return _error("InvalidParameterException: The referenced task was not found.", 400)
        if task.body["lastStatus"] != "STOPPED":
            task.stopping = order.get("reason", "")
            task.body |= {"desiredStatus": "STOPPED", "lastStatus": "STOPPING"}
            if task.process and task.process.returncode is None:
                task.process.terminate()
            elif not task.process:
                self._later(self._stopped(task, 143))
        return _json({"task": task.body})

    def _later(self, work: Any) -> None:
        made = asyncio.create_task(work)
        self._told.add(made)
        made.add_done_callback(self._told.discard)

    async def _start(self, task: Task) -> None:
        """As the image's entrypoint does: the secret is read, and handed to the runner."""
        told = task.environment
        name = told["PENSTOCK_RUNNER_SECRET_PARAMETER"]
        found = await asyncio.to_thread(self.ssm.get_parameter, Name=name, WithDecryption=True)
        jit = told["PENSTOCK_RUNNER_MODE"] == "jit"
        kind = "PENSTOCK_RUNNER_JITCONFIG_FILE" if jit else "PENSTOCK_RUNNER_TOKEN_FILE"
        work = self.folder / task.body["taskArn"].rsplit("/", 1)[1]
        work.mkdir(parents=True)
        secret = work / "secret"
        secret.write_text(found["Parameter"]["Value"])
        task.process = await asyncio.create_subprocess_exec(
            *RUNNER,
            cwd=work,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], **told, kind: str(secret)},
        )
        task.body["lastStatus"] = "RUNNING"
        task.ends = asyncio.create_task(self._follow(task, task.process))

    async def _follow(self, task: Task, process: asyncio.subprocess.Process) -> None:
        await self._stopped(task, await process.wait())

    async def _stopped(self, task: Task, code: int, **facts: Any) -> None:
        if task.body["lastStatus"] == "STOPPED":
            return
        task.version += 1
        by_user = bool(task.stopping)
        task.body |= {
            "lastStatus": "STOPPED",
            "desiredStatus": "STOPPED",
            "stopCode": "UserInitiated" if by_user else "EssentialContainerExited",
            "stoppedReason": task.stopping or "Essential container in task exited",
            "version": task.version,
            "containers": [{"name": "runner", "lastStatus": "STOPPED", "exitCode": abs(code)}],
            **facts,
        }
        event = {
            "version": "0",
            "source": "aws.ecs",
            "detail-type": "ECS Task State Change",
            "detail": task.body,
        }
        for listener in self.listeners:
            self._later(listener(event))


def _invalid(order: dict[str, Any]) -> str:
    """What ECS refuses, and moto lets pass."""
    if not re.fullmatch(r"[A-Za-z0-9_/-]{0,128}", order.get("startedBy", "")):
        return "startedBy"
    if not re.fullmatch(r"[!-~]{0,64}", order.get("clientToken", "")):
        return "clientToken"
    if len(json.dumps(order.get("overrides", {}))) > 8192:
        return "overrides are over 8192 characters"
    if order.get("launchType") and order.get("capacityProviderStrategy"):
        return "launchType and capacityProviderStrategy"
    return "" if order.get("count", 1) <= 10 else "count"


def _snake(action: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body, default=str), media_type="application/x-amz-json-1.1")


def _error(said: str, status: int, **more: Any) -> Response:
    code, _, message = said.partition(": ")
    body = {"__type": code, "message": message or code, **more}
    return Response(json.dumps(body), status, media_type="application/x-amz-json-1.1")


@asynccontextmanager
async def front(moto: Aws, folder: Path, *, runs: bool = False) -> AsyncGenerator[Front]:
    """The proxy inside the block."""
    made = Front(moto, folder, runs)
    methods = ["GET", "POST", "PUT", "DELETE", "HEAD"]
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=methods)])
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())

    async def started() -> bool:
        return server.started

    await until(started)
    made.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        await made.close()
        server.should_exit = server.force_exit = True
        await serving
