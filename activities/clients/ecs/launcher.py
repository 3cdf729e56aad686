"""Runners as ECS tasks, one each: started once, followed by polling, stopped after GitHub let go.

A RunTask is idempotent by its client token, made of the workflow, the runner's name and the place;
its parameters are always the same, for the secret is handed over by name. So a try whose answer
was lost finds the task that it started. Only after ECS has said that nothing was started is the
next place tried.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients.aws import told
from activities.clients.ecs import failures, tasks
from activities.clients.ecs.secrets import Secrets
from activities.ecs_task import WORKFLOW_VARIABLE, Task, parse
from activities.errors import LaunchRefused, LaunchUnavailable, ProviderUnavailable
from activities.github import RunnerToken
from activities.runner_environment import RunnerHome
from activities.runners import LaunchRequest, RunnerReference
from policy.placement import Place, Profile, profile_for

if TYPE_CHECKING:
    from types_boto3_ecs.client import ECSClient

logger = logging.getLogger(__name__)
T = TypeVar("T")

THREADS = 16
LARGEST_OVERRIDES = 8192  # characters of JSON, ECS's own limit
STOP_SECONDS = 45.0  # for a task to stop: an activity's try has sixty
STOP_PAUSES = (0.5, 1.0, 2.0, 4.0)  # between looks; the last one again and again
# Ends of tasks that another worker launched are told by it; after so many looks by us too.
LOOKS_FOR_OTHERS = 3
SWEEP_SECONDS = 3600.0


@dataclass(frozen=True)
class Fleet:
    """Where runners' tasks are, and how they are known as ours."""

    cluster: str
    profiles: Sequence[Profile]
    group: str = "penstock"  # of two Penstocks in a cluster each has its own
    tags: dict[str, str] = field(default_factory=dict[str, str])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    poll_seconds: float = 10.0
    alone: bool = True  # there is no other worker


class EcsLauncher:
    """The adapter of the port activities/runners.py for Amazon ECS."""

    def __init__(
        self, client: "ECSClient", secrets: Secrets, fleet: Fleet, home: RunnerHome
    ) -> None:
        """Nothing is asked yet: a wrong cluster shows at the first launch, or in the doctor."""
        self._client = client
        self._secrets = secrets
        self._fleet = fleet
        self._home = home
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ecs")
        self._ours: set[str] = set()  # runners launched here, whose ends we tell first
        self._telling: dict[str, str] = {}  # runners whose ends are being told, and their ARNs
        self._told: set[str] = set()  # ARNs of stopped tasks whose ends have been told
        self._seen: dict[str, int] = {}  # ARNs of stopped tasks of others: looks
        self._hinted: set[str] = set()
        self._nudged = asyncio.Event()
        self._swept_at = -SWEEP_SECONDS
        self._failing = False

    async def launch(self, request: LaunchRequest, token: RunnerToken) -> RunnerReference:
        """As the port says: the secret is kept first, then the places are tried in turn."""
        profile = profile_for(request.labels, self._fleet.profiles)
        if profile is None:
            raise LaunchRefused(f"no profile of ecs.profiles is for the labels {request.labels}")
        order = self._order(request, profile, jit=token.jit)
        try:
            await self._do(self._secrets.put, request.name, token.value)
        except ProviderUnavailable as error:
            raise LaunchUnavailable(f"its secret cannot be handed over: {error}") from None
        said: list[str] = []
        try:
            for place in profile.places(request.name):
                try:
                    task = await self._do(self._run, order, request, place)
                except LaunchUnavailable as error:
                    said.append(f"{place}: {error}")
                else:
                    self._ours.add(request.name)
                    return task.reference
        except LaunchRefused:
            await self._forget(request.name)
            raise
        await self._forget(request.name)
        raise LaunchUnavailable("; ".join(said)[:1000])

    async def find(self, name: str, attempt: int) -> RunnerReference | None:
        """As the port says: from the second try on, for a RunTask repeated is the same one."""
        if attempt == 1:
            return None
        found = await self._do(self._tasks_of, name)
        # Alive rather than stopped: a place may have been tried after one whose task failed.
        found.sort(key=lambda task: task.stopped)
        if found:
            self._ours.add(name)
        return found[0].reference if found else None

    async def all(self) -> list[RunnerReference]:
        """As the port says."""
        found = await self._do(self._every)
        return [task.reference for task in found if task.arn not in self._told]

    async def stop(self, name: str) -> None:
        """As the port says; returns once it has stopped. Raises ProviderUnavailable if not."""
        alive = [task.arn for task in await self._do(self._tasks_of, name) if not task.stopped]
        for arn in alive:
            await self._do(self._stop, arn)
        pauses, until = iter(STOP_PAUSES), time.monotonic() + STOP_SECONDS
        pause = next(pauses)
        while alive:
            found = await self._do(self._describe, alive)
            alive = [task.arn for task in found if not task.stopped]
            if alive and time.monotonic() > until:
                raise ProviderUnavailable(
                    f"ECS: {name} has not stopped within {STOP_SECONDS:.0f} s"
                )
            if alive:
                await asyncio.sleep(pause)
                pause = next(pauses, pause)
        await self._forget(name)
        self._nudged.set()

    async def ended(self) -> AsyncIterator[RunnerReference]:
        """As the port says: hinted ones at once, the others by polling."""
        while True:
            for task in await self._news():
                yield task.reference
            self._nudged.clear()
            if self._hinted:
                continue
            try:
                async with asyncio.timeout(self._fleet.poll_seconds):
                    await self._nudged.wait()
            except TimeoutError:
                await self._sweep()

    async def acknowledge(self, name: str) -> None:
        """As the port says. ECS itself forgets a stopped task after an hour."""
        if arn := self._telling.pop(name, ""):
            self._told.add(arn)
        if self._fleet.alone or name in self._ours:  # else its own worker has done so
            await self._forget(name)
        self._ours.discard(name)

    def hint(self, arn: str) -> None:
        """Somebody says that this task has stopped: looked at now, and believed then."""
        if arn not in self._told:
            self._hinted.add(arn)
            self._nudged.set()

    async def close(self) -> None:
        """Let go; the tasks run on."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _order(self, request: LaunchRequest, profile: Profile, *, jit: bool) -> dict[str, Any]:
        """RunTask's parameters but for the place: the same at every try."""
        told = {
            **self._fleet.environment,
            **self._home.environment(request),
            WORKFLOW_VARIABLE: request.workflow_id,
            "PENSTOCK_RUNNER_MODE": "jit" if jit else "registration",
            self._secrets.variable: self._secrets.name_of(request.name),
        }
        container = {
            "name": profile.container,
            "environment": [{"name": key, "value": told[key]} for key in sorted(told)],
        }
        overrides: dict[str, Any] = {"containerOverrides": [container]}
        for key, value in (("cpu", profile.cpu), ("memory", profile.memory)):
            if value:
                overrides[key] = value
        if len(json.dumps(overrides)) > LARGEST_OVERRIDES:
            raise LaunchRefused(
                f"the task's overrides are over {LARGEST_OVERRIDES} characters: shorten"
                " ecs.environment or the job's labels"
            )
        tags = {"penstock-runner": request.name, "penstock-repository": request.repo}
        order: dict[str, Any] = {
            "cluster": self._fleet.cluster,
            "taskDefinition": profile.task_definition,
            "count": 1,
            "startedBy": request.name,
            "group": self._fleet.group,
            "overrides": overrides,
            "tags": [{"key": k, "value": v} for k, v in {**self._fleet.tags, **tags}.items()],
            "enableECSManagedTags": True,
        }
        if profile.platform_version:
            order["platformVersion"] = profile.platform_version
        if profile.subnets:
            order["networkConfiguration"] = {
                "awsvpcConfiguration": {
                    "securityGroups": list(profile.security_groups),
                    "assignPublicIp": "ENABLED" if profile.public_ip else "DISABLED",
                }
            }
        return order

    def _run(self, order: dict[str, Any], request: LaunchRequest, place: Place) -> Task:
        """One RunTask. Raises LaunchUnavailable if another place, or time, may help."""
        at_place = _placed(order, request, place)
        try:
            answer = self._client.run_task(**at_place)
        except ClientError as error:
            return self._refused(error)
        for started in answer.get("tasks", ()):
            return parse(started)
        failed = answer.get("failures") or [{"reason": "neither a task nor a failure"}]
        reason, detail = str(failed[0].get("reason", "")), str(failed[0].get("detail", ""))
        said = f"{reason} {detail}".strip()
        if failures.of_failure(reason, detail) == "never":
            raise LaunchRefused(f"ECS will not run it: {said}")
        raise LaunchUnavailable(said)

    def _refused(self, error: ClientError) -> Task:
        """The task after all, if another try has started it; else raises."""
        response: Any = error.response
        code = str(response.get("Error", {}).get("Code", ""))
        message = str(response.get("Error", {}).get("Message", ""))
        if code == "ConflictException":
            found = self._describe(response.get("resourceIds", ()))
            if found:
                return found[0]
            raise ProviderUnavailable(
                "ECS: the task of an earlier try is not to be seen yet"
            ) from None
        said = failures.told(code, message)
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        match failures.of_error(code, message, status):
            case "never":
                raise LaunchRefused(said) from None
            case "elsewhere" | "later":
                raise LaunchUnavailable(said) from None
            case _:
                raise ProviderUnavailable(said) from None

    def _stop(self, arn: str) -> None:
        self._client.stop_task(
            cluster=self._fleet.cluster, task=arn, reason="Penstock: its runner is not needed"
        )

    def _describe(self, arns: Sequence[str]) -> list[Task]:
        found = tasks.described(self._client, self._fleet.cluster, arns)
        return [task for task in found if task.group == self._fleet.group]

    def _tasks_of(self, name: str) -> list[Task]:
        cluster = self._fleet.cluster
        running = tasks.listed(self._client, cluster, "RUNNING", name)
        stopped = tasks.listed(self._client, cluster, "STOPPED", name)
        return self._describe([*running, *stopped])

    def _every(self) -> list[Task]:
        cluster = self._fleet.cluster
        running = tasks.listed(self._client, cluster, "RUNNING")
        stopped = [
            arn for arn in tasks.listed(self._client, cluster, "STOPPED") if arn not in self._told
        ]
        return self._describe([*running, *stopped])

    async def _news(self) -> list[Task]:
        """Tasks that have stopped and whose ends are ours to tell now."""
        hinted, self._hinted = self._hinted, set()
        try:
            found = await self._do(self._stopped, hinted)
        except ProviderUnavailable as error:
            # The hints are let go: one may be the cause, and polling finds what they meant.
            if not self._failing:
                logger.warning("the ends of runners cannot be seen: %s", error)
            self._failing = True
            await asyncio.sleep(min(5.0, self._fleet.poll_seconds))
            return []
        self._failing = False
        news: list[Task] = []
        for task in found:
            looks = self._seen[task.arn] = self._seen.get(task.arn, 0) + 1
            ours = self._fleet.alone or task.name in self._ours or task.arn in hinted
            if ours or looks > LOOKS_FOR_OTHERS:
                news.append(task)
        self._telling |= {task.name: task.arn for task in news}
        return news

    def _stopped(self, hinted: set[str]) -> list[Task]:
        """Of all that ECS still knows, and has not been told; what ECS forgot, we forget."""
        listed = tasks.listed(self._client, self._fleet.cluster, "STOPPED")
        known = {*listed, *hinted}
        self._told &= known
        self._seen = {arn: looks for arn, looks in self._seen.items() if arn in known}
        untold = sorted(known - self._told)
        found = list(tasks.described(self._client, self._fleet.cluster, untold))
        # Not of this group: never looked at again.
        self._told |= {task.arn for task in found if task.group != self._fleet.group}
        return [t for t in found if t.stopped and t.group == self._fleet.group]

    async def _sweep(self) -> None:
        if time.monotonic() < self._swept_at + SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        try:
            await self._do(self._secrets.sweep)
        except ProviderUnavailable as error:
            logger.warning("secrets of runners that are gone cannot be looked for: %s", error)

    async def _forget(self, name: str) -> None:
        """Its secret goes; if it cannot now, the sweep has it later."""
        try:
            await self._do(self._secrets.delete, name)
        except ProviderUnavailable as error:
            logger.warning("the secret of %s stays for now: %s", name, error)

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Off the loop, for boto3 blocks. Raises ProviderUnavailable for what botocore raises."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: work(*arguments))
        except ClientError as error:
            raise ProviderUnavailable(f"{error.operation_name}: {told(error)}") from None
        except BotoCoreError as error:
            raise ProviderUnavailable(told(error)) from None


def _placed(order: dict[str, Any], request: LaunchRequest, place: Place) -> dict[str, Any]:
    """The whole RunTask for one place, with its client token (at most 64 characters)."""
    made = dict(order)
    if place.provider:
        made["capacityProviderStrategy"] = [{"capacityProvider": place.provider, "weight": 1}]
    elif place.launch_type:
        made["launchType"] = place.launch_type
    if place.subnet:
        network = order["networkConfiguration"]["awsvpcConfiguration"]
        made["networkConfiguration"] = {
            "awsvpcConfiguration": {**network, "subnets": [place.subnet]}
        }
    identity = f"{request.workflow_id}\n{request.name}\n{place}"
    made["clientToken"] = hashlib.sha256(identity.encode()).hexdigest()
    return made
