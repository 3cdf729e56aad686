"""One seed's run: start the stack, play the plan, wait for the recovery, let the laws decide."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import recount, replay, rest
from chaos.faults import Faults
from chaos.plan import Plan
from chaos.stack import Stack, running
from checker import Bounds, Evidence, check
from checker.evidence import Violation
from checker.history import save_folder
from demo.evidence import gather

PATIENCE_SECONDS = 300.0
LONGEST_STANDSTILL = 12.0  # of a part: the longest pause or partition in a plan
# What faults excuse, and why; L1 to L5, L8, L10 and L13 keep the design's bounds or stricter ones.
BOUNDS = Bounds(
    # L5, L13: as the design counts them, in the waits of chaos/pace.py: two sweeps of the
    # semaphores; two of the runners.
    sweeps=2 * 20.0 + 60.0,
    orphan=60.0,
    # L9: a webhook, or a grant, that a paused part had in hand when the mode changed.
    mode_change=2.0 + LONGEST_STANDSTILL,
    # L8: between asking the store of tokens and the call itself, on a machine at its limit.
    call_under_way=1.0,
    # L6: after the plan; while it lasts nothing counts (`outages`): no permit moves without a
    # worker, and Temporal hands a dead worker's task on after 10 s, an activity's after 10 more.
    idle_permit=60.0,
)


@dataclass
class Result:
    """What became of one seed."""

    plan: Plan
    faults: dict[str, int] = field(default_factory=dict[str, int])
    skipped: int = 0
    jobs: int = 0
    ran_once: int = 0
    recovery_seconds: float = 0.0
    restarts: list[str] = field(default_factory=list[str])  # of what ended by itself, and how
    histories: int = 0
    missing: list[str] = field(default_factory=list[str])  # what did not recover in time
    violations: list[Violation] = field(default_factory=list[Violation])
    folder: Path = Path()

    @property
    def good(self) -> bool:
        """Whether every law held and nobody had to mend anything."""
        return not self.missing and not self.violations


async def play(
    plan: Plan, folder: Path, say: Callable[[str], None], patience: float = PATIENCE_SECONDS
) -> Result:
    """Play the plan on a stack of its own in the folder; the evidence is left there."""
    async with running(folder, plan.workers) as stack:
        result = Result(plan, folder=folder)
        faults = Faults(stack)
        began = time.time()
        say(f"seed {plan.seed}: {plan.workers} workers, {len(plan.faults)} faults; {folder}")
        await _play(plan, stack, faults, say)
        await faults.end_all()
        calm, clock = time.time(), time.monotonic()
        say(f"  {plan.seconds:6.1f} s  the plan has ended; the system recovers by itself")
        result.missing = await rest.wait(stack, patience, say)
        result.recovery_seconds = time.monotonic() - clock
        result.faults, result.skipped = dict(sorted(faults.done.items())), len(faults.skipped)
        result.restarts = [
            f"{name} (exit {code})"
            for name, process in stack.processes.items()
            for code in process.ended
        ] + ["temporal"] * stack.temporal_ended
        evidence = await gather(
            stack.client, stack.site, bounds=BOUNDS, outages=[(began, calm)], texts=stack.logs()
        )
        await keep(stack, evidence)
        await _judge(result, stack, evidence)
        return result


async def _play(plan: Plan, stack: Stack, faults: Faults, say: Callable[[str], None]) -> None:
    began = time.monotonic()

    async def at(seconds: float) -> None:
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))

    async def arrive() -> None:
        for one in plan.arrivals:
            await at(one.at)
            await stack.site.jobs(one.repo, one.count, seconds=one.seconds)

    async with asyncio.TaskGroup() as group:
        group.create_task(arrive())
        for fault in plan.faults:
            await at(fault.at)
            say(f"  {time.monotonic() - began:6.1f} s  {fault}")
            group.create_task(faults.strike(fault))
        await at(plan.seconds)


async def _judge(result: Result, stack: Stack, evidence: Evidence) -> None:
    jobs: list[dict[str, Any]] = (await stack.site.call("GET", "jobs"))["jobs"]
    result.jobs = len(jobs)
    result.ran_once = sum(job["times_run"] == 1 for job in jobs)
    result.histories = len(evidence.histories)
    twice = [job for job in jobs if job["times_run"] > 1]
    result.violations = [
        *(Violation("L3", f"job {job['id']}", 0.0, "GitHub saw it run twice") for job in twice),
        *check(evidence),
        *await replay.check(list(evidence.histories)),
        *(await recount.check(stack.client, evidence.now) if not result.missing else []),
    ]


async def keep(stack: Stack, evidence: Evidence) -> None:
    """The evidence as files, for `python -m checker`."""
    folder = stack.folder / "evidence"
    await asyncio.to_thread(save_folder, evidence.histories, folder)
    answers = folder / "simulator"
    answers.mkdir(exist_ok=True)
    for name, path in (
        *((one, one) for one in ("jobs", "deliveries", "calls", "summary")),
        ("runners", "runners?all=1"),
    ):
        said = json.dumps(await stack.site.call("GET", path))
        (answers / f"{name}.json").write_text(said, encoding="utf-8")
