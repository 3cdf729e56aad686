"""Waiting for something to be so: a long poll, so that no caller needs to sleep."""

import time
from collections.abc import Callable
from typing import Any

from simulator.control.api import Control, ControlRoutes, bad
from simulator.state.model import Json
from simulator.web import Answer, Request


def register(routes: ControlRoutes) -> None:
    """Add this file's path."""
    routes.add("POST", "/_control/wait", wait)


async def wait(control: Control, request: Request) -> Answer:
    """Answer when the condition holds, or after `timeout` seconds, and say which."""
    body = request.json()
    condition = _condition(control, body)
    begun = time.perf_counter()
    met = await control.changes.until(condition, float(body.get("timeout", 30)))
    waited = round(time.perf_counter() - begun, 3)
    return Answer(200, {"met": met, "condition": body["condition"], "waited": waited})


def _condition(control: Control, body: Json) -> Callable[[], bool]:
    back, count = control.back, int(body.get("count", 1))
    jobs, registry, sender = back.jobs, back.registry, back.sender

    def ended() -> bool:
        return jobs.count["queued"] + jobs.count["in_progress"] == 0 and sender.pending == 0

    def of_job(*statuses: str) -> Callable[[], bool]:
        job_id: Any = body.get("job_id")
        if job_id not in jobs.by_id:
            raise bad("job_id of a known job is wanted")
        return lambda: jobs.by_id[job_id].status in statuses

    conditions: dict[str, Callable[[], Callable[[], bool]]] = {
        "all_completed": lambda: ended,
        "deliveries_idle": lambda: lambda: sender.pending == 0,
        "job_completed": lambda: of_job("completed"),
        "job_started": lambda: of_job("in_progress", "completed"),
        "runners_online": lambda: lambda: registry.online >= count,
        "runners_gone": lambda: lambda: registry.size == 0,
        "runners_offline": lambda: lambda: registry.size - registry.online >= count,
        "runners_registered": lambda: lambda: registry.size >= count,
        "jobs_completed": lambda: lambda: jobs.count["completed"] >= count,
        "jobs_running": lambda: lambda: jobs.count["in_progress"] >= count,
        "jobs_queued": lambda: lambda: jobs.count["queued"] >= count,
        "calls": lambda: lambda: len(control.gate.calls) >= count,
    }
    name: Any = body.get("condition")
    if name not in conditions:
        raise bad(f"condition must be one of {', '.join(conditions)}")
    return conditions[name]()
