"""What no test of the workflows does, or none so that a small history shows it: only recorded.

`make record` runs these beside the tests; `make test` does not.
"""

import asyncio
import time
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from policy import names, sweep
from policy.fleet import CapacityChange, ModeChange
from policy.job_state import WAITER_NUDGE_SECONDS
from policy.messages import Acquire, Acquires
from policy.semaphore_state import SemaphoreState
from tests.support import Penstock, until
from tests.workflows.clock import REPO, SKIPPING, Clock, in_line, job_of, semaphore_of
from tests.workflows.test_one_job import faulty
from workflows.job_messages import RunnerBusy, RunnerGone


@pytest.fixture
def clock(client: Client) -> Clock:
    """The clocks of this scene's server."""
    return Clock(client)


@pytest.fixture
def dynamic() -> dict[str, str]:
    """The server may skip time."""
    return SKIPPING


def fleet_of(stack: Penstock) -> WorkflowHandle[Any, Any]:
    """The Fleet."""
    return stack.client.get_workflow_handle(names.FLEET_ID)


async def test_an_operator_cancels_a_job_that_waits(penstock):
    """It leaves the line."""
    stack = await penstock(limits={"default": 0})
    (job,) = await stack.site.jobs(REPO)
    await until(lambda: waits(stack, job))
    await job_of(stack, job).cancel()
    assert (await stack.result(REPO, job))["outcome"] == "stopped"


async def waits(stack: Penstock, job: int) -> bool:
    """Whether a job stands in line."""
    return (await stack.explain(REPO, job))["permit"] == "waiting"


async def test_an_operator_cancels_a_job_in_the_middle_of_its_launch(penstock):
    """The launch is carried to its end, then its runner is seen off."""
    stack = await penstock(github={"mode": "jit"}, runner={"command": faulty("ignore_jobs")})
    route = "/repos/{owner}/{repo}/actions/runners/generate-jitconfig"
    await stack.site.call("POST", "faults", kind="status", status=502, route=route, times=0)
    (job,) = await stack.site.jobs(REPO, seconds=30)

    async def starting() -> bool:
        return (await stack.explain(REPO, job))["runner"]["state"] == "starting"

    await until(starting)
    await job_of(stack, job).cancel()
    await stack.site.call("DELETE", "faults")
    assert (await stack.result(REPO, job))["outcome"] == "stopped"


async def test_github_refuses_for_a_while(penstock):
    """Somebody takes a permission away and gives it back."""
    stack = await penstock(runner={"unavailable_seconds": 1})
    rule = {"kind": "status", "status": 403, "path_prefix": f"/repos/{REPO}/actions/runners"}
    await stack.site.call("POST", "faults", rules=[{**rule, "times": 0}])
    (job,) = await stack.site.jobs(REPO, seconds=0.1)

    async def refused() -> bool:
        return "no runner token" in (await stack.explain(REPO, job))["why"]

    await until(refused)
    await stack.site.call("DELETE", "faults")
    assert (await stack.result(REPO, job))["outcome"] == "completed"


async def test_github_throttles_a_launch(penstock):
    """In mode `jit` after the wait for its turn: the launch makes a configuration of its own."""
    stack = await penstock(github={"mode": "jit"})
    route = "/repos/{owner}/{repo}/actions/runners/generate-jitconfig"
    rules = [
        {"kind": "secondary_limit", "route": route, "retry_after": 1},
        {"kind": "primary_limit", "route": route, "seconds": 60},
    ]
    await stack.site.call("POST", "faults", rules=rules)
    (job,) = await stack.site.jobs(REPO, seconds=0.1)

    async def without_permit() -> bool:
        told = await stack.explain(REPO, job)
        return bool(told["not_before"]) and told["permit"] == "waiting"

    await until(without_permit)


async def test_a_semaphore_is_terminated_that_has_holders_and_waiters(penstock):
    """The next one that is begun asks them all."""
    stack = await penstock(limits={"default": 1})
    (holder,) = await stack.site.jobs(REPO, seconds=60)
    assert await stack.site.wait("job_started", job_id=holder)
    (waiter,) = await stack.site.jobs(REPO)
    await until(lambda: waits(stack, waiter))

    async def in_line() -> list[str]:
        return (await semaphore_of(stack).query("state"))["waiters"]

    await until(in_line)
    await semaphore_of(stack).terminate("a scene")
    (another,) = await stack.site.jobs(REPO)

    async def all_known() -> bool:
        try:
            state = await semaphore_of(stack).query("state")
        except Exception:  # it is not begun yet
            return False
        return (state["in_use"], state["waiting"]) == (1, 2)

    await until(all_known)
    for job in (holder, waiter, another):
        await stack.site.call("POST", f"jobs/{job}/cancel")
        await stack.result(REPO, job)


async def test_a_permit_is_given_back_to_a_semaphore_that_is_gone(penstock):
    """An activity begins another one, which hears of it."""
    stack = await penstock(limits={"default": 1})
    (job,) = await stack.site.jobs(REPO, seconds=60)
    assert await stack.site.wait("job_started", job_id=job)
    await semaphore_of(stack).terminate("a scene")
    await stack.site.call("POST", f"jobs/{job}/cancel")
    await stack.result(REPO, job)
    await stack.settled()


async def test_a_job_asks_a_semaphore_that_is_gone(penstock):
    """Its runner died early; while it waits to launch again, its semaphore is terminated."""
    stack = await penstock(limits={"default": 0}, runner={"reacquire_seconds": 2})
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    await until(lambda: waits(stack, job))
    await semaphore_of(stack).terminate("a scene")

    async def asked() -> bool:
        history = await job_of(stack, job).fetch_history()
        return any(
            event.HasField("activity_task_completed_event_attributes") for event in history.events
        )

    await until(asked)
    await stack.admin("PATCH", "limits", default=1)
    assert (await stack.result(REPO, job))["outcome"] == "completed"


@pytest.mark.parametrize("end", ["leave", "stop"])
async def test_a_drains_deadline_passes(penstock, end):
    """The rest is left to end, or every runner is stopped."""
    stack = await penstock()
    (job,) = await stack.site.jobs(REPO, seconds=60)
    assert await stack.site.wait("job_started", job_id=job)
    change = ModeChange("a scene", 1.0, on_deadline=end)
    await fleet_of(stack).signal("drain", change)

    async def passed() -> bool:
        entries = await fleet_of(stack).query("audit")
        return any(entry["actor"] == "deadline" for entry in entries)

    await until(passed)
    if end == "leave":
        await stack.site.call("POST", f"jobs/{job}/cancel")
    await stack.result(REPO, job)
    await stack.settled()


async def test_modes_are_set_by_signals_without_an_argument(penstock):
    """As by `temporal workflow signal -w fleet --name drain`; then drained, and resumed."""
    stack = await penstock()
    (job,) = await stack.site.jobs(REPO, seconds=1)
    assert await stack.site.wait("job_started", job_id=job)
    await fleet_of(stack).signal("drain")

    async def drained() -> bool:
        return (await stack.fleet("drain_status"))["drained"]

    await until(drained)
    await fleet_of(stack).signal("maintenance")
    await fleet_of(stack).signal("resume")

    async def resumed() -> bool:
        history = await fleet_of(stack).fetch_history()
        return any(
            event.activity_task_scheduled_event_attributes.activity_type.name == "trigger_recovery"
            for event in history.events
        )

    await until(resumed)


async def test_an_organization_is_paused_for_a_moment(penstock):
    """Its jobs wait until then."""
    stack = await penstock()
    await fleet_of(stack).signal("cool_down", args=["acme", time.time() + 3])
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    assert (await stack.result(REPO, job))["outcome"] == "completed"


async def test_a_semaphore_that_never_answers(penstock):
    """A Fleet begun afresh asks it for a minute, in vain, and serves the others."""
    stack = await penstock(limits={"max_runners": 4})
    stuck = await stack.client.start_workflow(
        names.REPO_SEMAPHORE,
        SemaphoreState("acme/stuck"),
        id=names.semaphore_id("acme/stuck"),
        task_queue="nobody works here",
    )
    query = f"WorkflowId='{stuck.id}' AND ExecutionStatus='Running'"

    async def listed() -> int:
        return (await stack.client.count_workflows(query)).count

    await until(listed)
    await fleet_of(stack).terminate("a scene")
    (job,) = await stack.site.jobs(REPO, seconds=0.1)
    assert (await stack.result(REPO, job))["outcome"] == "completed"
    await stuck.terminate("a scene")
    await stack.settled()


async def test_idle_permits_come_back_when_limits_fall_one_after_the_other(penstock):
    """First a repository's, below what it has in use, then the fleet's."""
    stack = await penstock(limits={"max_runners": 5, "max_repo_share": 1.0, "default": 5})
    quick = await stack.site.jobs("acme/other", 2, seconds=0.1)
    for job in quick:
        await stack.result("acme/other", job)
    long = await stack.site.jobs(REPO, 3, seconds=60)
    for job in long:
        assert await stack.site.wait("job_started", job_id=job)
    await stack.admin("PATCH", "limits", repos={REPO: 1})

    async def lowered() -> bool:
        accounts = (await stack.fleet())["repos"]
        return next(one for one in accounts if one["repo"] == REPO)["allotment"] == 1

    await until(lowered)
    await stack.admin("PATCH", "limits", max_runners=3)
    for job in long:
        await stack.site.call("POST", f"jobs/{job}/cancel")
        await stack.result(REPO, job)


async def test_word_of_a_job_comes_after_the_end_of_its_runner(penstock):
    """A short job of another; GitHub does not answer just then."""
    stack = await penstock(runner={"command": faulty("ignore_jobs")})
    (job,) = await stack.site.jobs(REPO)
    assert await stack.site.wait("runners_registered", count=1)
    route = "/repos/{owner}/{repo}/actions/jobs/{id}"
    await stack.site.call("POST", "faults", kind="status", status=502, route=route, times=0)
    handle = job_of(stack, job)
    name = (await stack.explain(REPO, job))["runner"]["name"]
    await handle.signal("runner_gone", RunnerGone(name, "a scene"))

    async def asks_github() -> bool:
        history = await handle.fetch_history()
        return any(
            event.activity_task_scheduled_event_attributes.activity_type.name == "look_up_job"
            for event in history.events
        )

    await until(asks_github)
    await handle.signal("runner_busy", RunnerBusy(name, "8"))
    await stack.site.call("DELETE", "faults")
    await stack.site.call("POST", f"jobs/{job}/cancel")
    await stack.result(REPO, job)


async def test_more_waiters_are_late_than_are_nudged_at_once(penstock):
    """Jobs that are no more, and asked an hour ago."""
    stack = await penstock(limits={"default": 0})
    (job,) = await stack.site.jobs(REPO)  # begins the semaphore
    await in_line(stack, job)
    await stack.site.call("POST", f"jobs/{job}/cancel")
    await stack.result(REPO, job)
    long_ago = time.time() - 2 * WAITER_NUDGE_SECONDS
    ghosts = [names.runner_job_id(REPO, n) for n in range(sweep.NUDGED_AT_ONCE + 1)]
    asks = Acquires([Acquire(ghost, "normal", long_ago) for ghost in ghosts])
    await semaphore_of(stack).signal("acquire_many", asks)

    async def one_is_left() -> bool:
        return (await semaphore_of(stack).query("state"))["waiting"] == 1

    await until(one_is_left)


@pytest.mark.parametrize("dynamic", [{"limit.historyCount.suggestContinueAsNew": "50"}])
async def test_a_fleet_goes_on_in_a_storm(penstock, dynamic):
    """Signals that change nothing come faster than it can go on as a new run."""
    stack = await penstock()
    gate = asyncio.Semaphore(16)

    async def tell() -> None:
        async with gate:
            await fleet_of(stack).signal("limit_capacity", CapacityChange())

    async def refused() -> bool:
        await asyncio.gather(*(tell() for _ in range(100)))
        async for found in stack.client.list_workflows(f"WorkflowId='{names.FLEET_ID}'"):
            handle = stack.client.get_workflow_handle(found.id, run_id=found.run_id)
            async for event in handle.fetch_history_events():
                if event.HasField("workflow_task_failed_event_attributes"):
                    return True
        return False

    await until(refused)


async def test_the_sweep_takes_a_lease_back(penstock, clock):
    """A terminated holder, and one that waits: after two minutes without a move it looks."""
    stack = await penstock(limits={"default": 1}, runner={"command": faulty("ignore_jobs")})
    (dead,) = await stack.site.jobs(REPO)
    assert await stack.site.wait("runners_registered", count=1)
    (job,) = await stack.site.jobs(REPO)
    await in_line(stack, job)
    await job_of(stack, dead).terminate("a scene")
    await clock.forward(semaphore_of(stack), sweep.STALL_SECONDS + 60)

    async def granted() -> bool:
        return (await stack.explain(REPO, job))["permit"] == "held"

    await until(granted)
