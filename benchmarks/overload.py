"""Ten times as much work as the fleet can do, for minutes: does it still do what it can?"""

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from demo.site import Site
from embedded import stack

RUNNERS, SLOT_SECONDS = 6, 6.0
TIMES = 10
DEPTH = 30  # so that ten times of it is reached, and drained again, within the measured time
SECONDS = 120.0
WINDOW_SECONDS = 30.0
WARM_SECONDS = 20.0  # until every runner works and the queue stands at its bound
STEP_SECONDS = 0.2


@dataclass(frozen=True)
class Overload:
    """The step: completed jobs a second, answers' times (s), memory of gateway and worker."""

    peak: float
    goodput: float
    p99: float
    accepted: int
    refused: int
    ends_refused: int  # of begins and ends: must be none
    warm_mib: float
    last_mib: float
    run_twice: int

    @property
    def goodput_part(self) -> float:
        """Of the best window."""
        return self.goodput / self.peak


async def step(client: Client, site: Site, seconds: float = SECONDS) -> Overload:
    """From nothing to ten times the capacity at once.

    Runners take the oldest job of a repository, refused or not: so what is done counts, not whose.
    """
    settings = site.settings(
        limits={"max_runners": RUNNERS, "default": RUNNERS, "max_repo_share": 1.0},
        pressure={"max_queue_depth": DEPTH},
        gateway={"port": 0},
        github={"github_api_calls_per_minute": 900},
    )
    async with stack.whole(client, settings) as gateway:
        await site.point_at(gateway)
        await site.jobs("acme/warm")  # a token is at hand then
        await site.wait("all_completed")
        began = time.time()
        memory: list[tuple[float, float]] = []
        a_step = round(TIMES * RUNNERS / SLOT_SECONDS * STEP_SECONDS)
        number = 0
        while time.time() - began < seconds:
            number += 1
            await site.jobs(f"acme/r{number % 5}", count=a_step, seconds=SLOT_SECONDS)
            if number % 25 == 0:
                memory.append((time.time() - began, _resident_mib()))
            await asyncio.sleep(max(0.0, began + number * STEP_SECONDS - time.time()))
        stopped = time.time()
        log: list[dict[str, Any]] = (await site.call("GET", "deliveries"))["deliveries"]
        queued = [one for one in log if one["action"] == "queued"]
        accepted = sum(one["status_code"] == 200 for one in queued)
        jobs: list[dict[str, Any]] = (await site.call("GET", "jobs"))["jobs"]
    ends = sorted(
        float(job["completed_at"]) - began
        for job in jobs
        if job["completed_at"] and began + WARM_SECONDS <= job["completed_at"] <= stopped
    )
    times = [float(one["duration"]) for one in log if one["status_code"]]
    others = [one for one in log if one["action"] in ("in_progress", "completed")]
    warm = [mib for at, mib in memory if at >= WARM_SECONDS]
    return Overload(
        peak=_peak(ends),
        goodput=len(ends) / (stopped - began - WARM_SECONDS),
        p99=statistics.quantiles(times, n=100)[-1],
        accepted=accepted,
        refused=len(queued) - accepted,
        ends_refused=sum(one["status_code"] != 200 for one in others),
        warm_mib=warm[0],
        last_mib=warm[-1],
        run_twice=sum(job["times_run"] > 1 for job in jobs),
    )


def _peak(ends: list[float]) -> float:
    """The most that ended within a window, a second; windows begin at the ends themselves."""
    best = max(
        sum(at <= end < at + WINDOW_SECONDS for end in ends)
        for at in ends
        if at + WINDOW_SECONDS <= ends[-1]
    )
    return best / WINDOW_SECONDS


def _resident_mib() -> float:
    """Memory of this process, which gateway and worker share."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
