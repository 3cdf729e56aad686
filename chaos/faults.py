"""What each kind of fault does. A fault is a coroutine that ends when the fault is over.

Faults of one target wait for each other. What there is nothing to do for (no runner lives, no
workflow of that type is open) is skipped and not counted.
"""

import asyncio
import contextlib
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from api.fleet_client import FleetUnavailable, LimitsRefused
from chaos import faketime, runners
from chaos.plan import Fault
from chaos.process import Process
from chaos.stack import LIMITS, Stack
from policy import names
from policy.fleet import ModeChange
from policy.limits import LimitsChange

T = TypeVar("T")
REASON = "chaos"
WAIT_FOR_TARGET_SECONDS = 3.0
OPERATOR_SECONDS = 40.0  # an operator tries again for so long
FULL_BYTES = 4096  # no file of a full disk may grow beyond it
RPC = timedelta(seconds=4)
AWAY = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNKNOWN,
    RPCStatusCode.INTERNAL,
)
TYPES = {
    "job": names.RUNNER_JOB,
    "semaphore": names.REPO_SEMAPHORE,
    "fleet": names.FLEET,
}


class Faults:
    """Does one fault after the other, or several at once, to one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._locks: dict[str, asyncio.Lock] = {}
        self.skipped: list[Fault] = []
        self.done: dict[str, int] = {}

    async def strike(self, fault: Fault) -> None:
        """Begin it, let it last, end it."""
        what, _, target = fault.kind.partition("_")
        acts: dict[str, Callable[[Fault, str], Awaitable[bool]]] = {
            "kill": self._kill,
            "pause": self._pause,
            "partition": self._partition,
            "github": self._github,
            "delivery": self._delivery,
            "terminate": self._operate,
            "cancel": self._operate,
            "reset": self._operate,
            "drain": self._mode,
            "maintenance": self._mode,
            "limits": self._limits,
            "clock": self._clock,
            "disk": self._disk,
            "user": self._user,
            "burst": self._burst,
        }
        if await acts[what](fault, target):
            self.done[fault.kind] = self.done.get(fault.kind, 0) + 1
        else:
            self.skipped.append(fault)

    async def end_all(self) -> None:
        """As the plan ends: no fault is left at GitHub, mode normal, the limits of the file."""
        await self._stack.site.call("DELETE", "faults")
        normal = ModeChange(f"{REASON}: the plan ends", actor=REASON)
        await self._insist(lambda: self._stack.fleet.set_mode("normal", normal))
        change = LimitsChange(
            max_runners=LIMITS["max_runners"], default=LIMITS["default"], actor=REASON
        )
        await self._insist(lambda: self._stack.fleet.set_limits(change))

    def _alone(self, target: str) -> asyncio.Lock:
        return self._locks.setdefault(target, asyncio.Lock())

    def _process(self, fault: Fault, target: str) -> Process | None:
        named = {"gateway": ["gateway"], "worker": self._stack.workers}.get(target)
        return self._stack.processes[_chosen(named, fault.pick)] if named else None

    async def _kill(self, fault: Fault, target: str) -> bool:
        process = self._process(fault, target)
        if process:
            async with self._alone(process.name):
                await process.kill()
                await asyncio.sleep(fault.lasts)
                process.restart()
                return True
        if target == "temporal":
            return await self._kill_temporal(fault)
        living = await self._living(target)
        return bool(living) and runners.send(_chosen(living, fault.pick), signal.SIGKILL)

    async def _living(self, which: str) -> list[int]:
        """Living runners, or keepers and who forked them, by number; it may wait for one."""
        ends = time.monotonic() + WAIT_FOR_TARGET_SECONDS
        while True:
            found = await asyncio.to_thread(runners.alive, self._stack.state / "runners")
            pids = [one.runner if which == "runner" else one.keeper for one in found]
            pids = [pid for pid in pids if pid]
            if which == "keeper":
                pids += await asyncio.to_thread(runners.programs, found)
            if pids or time.monotonic() > ends:
                return pids
            await asyncio.sleep(0.05)

    async def _kill_temporal(self, fault: Fault) -> bool:
        async with self._stack.temporal:
            running = self._stack.server.running
            if running is None:
                return False
            runners.send(running.pid, signal.SIGKILL)
            await asyncio.sleep(fault.lasts)
            await self._stack.server.start()
            return True

    async def _pause(self, fault: Fault, target: str) -> bool:
        process = self._process(fault, target)
        if process:
            async with self._alone(process.name):
                process.pause()
                try:
                    await asyncio.sleep(fault.lasts)
                finally:
                    process.resume()
                return True
        if target == "temporal":
            async with self._stack.temporal:
                running = self._stack.server.running
                return running is not None and await self._still(running.pid, fault.lasts)
        living = await self._living("runner")
        return bool(living) and await self._still(_chosen(living, fault.pick), fault.lasts)

    async def _still(self, pid: int, seconds: float) -> bool:
        if not runners.send(pid, signal.SIGSTOP):
            return False
        try:
            await asyncio.sleep(seconds)
        finally:
            runners.send(pid, signal.SIGCONT)
        return True

    async def _partition(self, fault: Fault, target: str) -> bool:
        named = ["gateway"] if target == "gateway" else self._stack.workers
        name = _chosen(named, fault.pick)
        proxy = self._stack.proxies[name]
        async with self._alone(f"proxy {name}"):
            if fault.detail["how"] == "refuse":
                proxy.refuse()
            else:
                proxy.swallow()
            try:
                await asyncio.sleep(fault.lasts)
            finally:
                proxy.heal(cut=fault.detail["how"] == "hole_cut")
        return True

    async def _github(self, fault: Fault, target: str) -> bool:
        rule: dict[str, Any] = {"times": 0, "path_prefix": "/repos"}
        match target:
            case "errors":
                rule |= {"kind": "status", "status": fault.detail["status"]}
            case "slow":
                rule |= {"kind": "slow", "seconds": fault.detail["seconds"]}
            case "lost_answer":
                rule |= {"kind": "lost_answer", "times": fault.detail["times"], "method": "POST"}
            case _:
                # GitHub's own time to wait is as long as the fault.
                until = {"primary_limit": "seconds", "secondary_limit": "retry_after"}
                rule |= {"kind": fault.detail["how"], "status": fault.detail["status"]}
                rule |= {until[str(rule["kind"])]: max(1, round(fault.lasts))}
                rule |= {"times": fault.detail["times"]}
        await self._rule(rule, fault.lasts)
        return True

    async def _rule(self, rule: dict[str, Any], seconds: float) -> None:
        """A fault of the simulator; without an end it stays until it is used up."""
        (number,) = (await self._stack.site.call("POST", "faults", rules=[rule]))["ids"]
        if seconds:
            await asyncio.sleep(seconds)
            await self._stack.site.call("DELETE", f"faults/{number}")

    async def _delivery(self, fault: Fault, target: str) -> bool:
        rule: dict[str, Any] = {"kind": target, "match": {"event": "workflow_job"}}
        rule |= {key: fault.detail[key] for key in ("times", "seconds") if key in fault.detail}
        if fault.detail.get("guid") == "new":
            rule["new_guid"] = True
        await self._rule(rule, 0.0)
        return True

    async def _operate(self, fault: Fault, target: str) -> bool:
        """Terminate, cancel or reset a workflow that is open; again while Temporal is away."""
        ends = time.monotonic() + OPERATOR_SECONDS / 4
        while True:
            try:
                return await self._operate_once(fault, target)
            except RPCError as error:
                if error.status not in AWAY or time.monotonic() > ends:
                    return False  # it has ended meanwhile
                await asyncio.sleep(0.5)

    async def _operate_once(self, fault: Fault, target: str) -> bool:
        client = self._stack.client
        found = await self._open(target)
        if not found:
            return False
        workflow_id, run_id = _chosen(found, fault.pick)
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        if fault.kind.startswith("terminate"):
            await handle.terminate(reason=REASON, rpc_timeout=RPC)
        elif fault.kind.startswith("cancel"):
            await handle.cancel(rpc_timeout=RPC)
        else:
            return await self._reset(workflow_id, run_id, float(fault.detail["point"]))
        return True

    async def _open(self, target: str) -> list[tuple[str, str]]:
        """Workflow and run ids of what is open; it may wait for one. Raises RPCError."""
        query = f"WorkflowType='{TYPES[target]}' AND ExecutionStatus='Running'"
        ends = time.monotonic() + WAIT_FOR_TARGET_SECONDS
        while True:
            listed = self._stack.client.list_workflows(query, rpc_timeout=RPC)
            found = sorted([(one.id, one.run_id) async for one in listed])
            if found or time.monotonic() > ends:
                return found
            await asyncio.sleep(0.1)

    async def _reset(self, workflow_id: str, run_id: str, point: float) -> bool:
        """To one of its workflow tasks, the older ones as likely as the newest."""
        client = self._stack.client
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        history = await handle.fetch_history(rpc_timeout=RPC)
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        tasks = [event.event_id for event in history.events if event.event_type == done]
        if not tasks:
            return False
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                reason=REASON,
                workflow_task_finish_event_id=_chosen(tasks, point),
                request_id=f"{run_id}-{point}",
            ),
            timeout=RPC,
        )
        return True

    async def _mode(self, fault: Fault, _target: str) -> bool:
        mode = "draining" if fault.kind == "drain" else "maintenance"
        change = ModeChange(REASON, actor=REASON)
        async with self._alone("mode"):
            set_mode = self._stack.fleet.set_mode
            done = await self._insist(lambda: set_mode(mode, change))
            await asyncio.sleep(fault.lasts)
            await self._insist(lambda: set_mode("normal", change))
            return done

    async def _limits(self, fault: Fault, _target: str) -> bool:
        change = LimitsChange(
            max_runners=int(fault.detail["max_runners"]),
            default=int(fault.detail["default"]),
            actor=REASON,
            reason=REASON,
        )
        return await self._insist(lambda: self._stack.fleet.set_limits(change))

    async def _insist(self, act: Callable[[], Awaitable[object]]) -> bool:
        """As an operator who is told that the Fleet does not answer: again, for a while."""
        try:
            async with asyncio.timeout(OPERATOR_SECONDS):
                while True:
                    try:
                        await act()
                    except FleetUnavailable:
                        await asyncio.sleep(0.5)
                    except LimitsRefused:
                        return False
                    else:
                        return True
        except TimeoutError:
            return False

    async def _clock(self, fault: Fault, _target: str) -> bool:
        """A worker starts anew with a wrong clock, and once more with the right one."""
        process = self._stack.processes[_chosen(self._stack.workers, fault.pick)]
        async with self._alone(process.name):
            await process.kill()
            process.more = faketime.environment(float(fault.detail["skew"]))
            process.restart()
            await asyncio.sleep(fault.lasts)
            await process.kill()
            process.more = {}
            process.restart()
        return True

    async def _disk(self, fault: Fault, _target: str) -> bool:
        """No file of the Temporal server may grow: its database writes fail."""
        async with self._stack.temporal:
            running = self._stack.server.running
            if running is None:
                return False
            with contextlib.suppress(ProcessLookupError):  # it cannot write its log either
                before = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
                full = (FULL_BYTES, before[1])
                resource.prlimit(running.pid, resource.RLIMIT_FSIZE, full)
                await asyncio.sleep(fault.lasts)
                resource.prlimit(running.pid, resource.RLIMIT_FSIZE, before)
            return True

    async def _user(self, fault: Fault, _target: str) -> bool:
        """Somebody cancels a job at GitHub."""
        jobs = (await self._stack.site.call("GET", "jobs"))["jobs"]
        found = [job["id"] for job in jobs if job["status"] in ("queued", "in_progress")]
        if not found:
            return False
        await self._stack.site.call("POST", f"jobs/{_chosen(found, fault.pick)}/cancel")
        return True

    async def _burst(self, fault: Fault, _target: str) -> bool:
        await self._stack.site.jobs("acme/api", int(fault.detail["count"]), seconds=0.2)
        return True


def _chosen(found: list[T], pick: float) -> T:
    return found[min(int(pick * len(found)), len(found) - 1)]
