"""Fleet and semaphores that end, are terminated, or continue as new in the middle of the work."""

import asyncio
import json

import pytest
from temporalio import activity

from activities.workflows import Repos, WorkflowActivities
from api.fleet_client import FleetClient, LimitsRefused
from checker import check
from checker.history import of
from demo.evidence import gather
from policy import fleet as rules
from policy import names, sweep
from policy.fleet import CapacityChange, ModeChange, Rebuild
from policy.limits import LimitsChange
from policy.semaphore_state import SemaphoreState
from tests.record.run import Run
from tests.support import PATIENCE, SLOW, count, replay, until
from tests.workflows.test_one_job import faulty

REPOS = [f"acme/r{i}" for i in range(4)]


async def burst(stack, each: int) -> None:
    """Jobs of all repositories at once."""
    await asyncio.gather(*(stack.site.jobs(repo, count=each, seconds=0.2) for repo in REPOS))


async def all_laws(stack) -> None:
    """Everything ends, nothing ran twice, every law held, and all of it replays."""
    assert await stack.site.wait("all_completed")
    await stack.settled()
    made = (await stack.site.call("GET", "jobs"))["jobs"]
    assert all(job["times_run"] == 1 for job in made)
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"

    async def none_open():
        return await count(stack.client, query) == 0

    await until(none_open)
    assert check(await gather(stack.client, stack.site, bounds=SLOW)) == []
    assert await replay(stack.client)


async def test_a_terminated_fleet_is_rebuilt_with_its_mode_and_limits(penstock):
    """Under load: capacity is never exceeded, live limits survive, all jobs end."""
    stack = await penstock(limits={"max_runners": 4})
    await stack.admin("PATCH", "limits", repos={"acme/r0": 1})
    await burst(stack, 5)
    await stack.site.wait("jobs_completed", count=3)
    await stack.client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    await all_laws(stack)
    status = await stack.fleet()
    assert status["limits"]["repos"] == {"acme/r0": 1}
    assert status["settled"]


async def test_a_fleet_terminated_while_draining_still_drains(penstock):
    """The mode outlives it; the gateway refuses all along."""
    stack = await penstock(limits={"default": 1})
    await burst(stack, 2)
    await stack.site.wait("jobs_running", count=1)
    await stack.admin("PUT", "draining", mode="draining", reason="a test")
    await stack.client.get_workflow_handle(names.FLEET_ID).terminate("a test")

    async def drained():
        try:
            status = await stack.fleet("drain_status")
        except Exception:
            return None
        return status if status["drained"] else None

    status = await until(drained)
    assert (status["mode"], status["reason"]) == ("draining", "a test")


async def test_a_terminated_semaphore_asks_its_jobs_for_their_leases(penstock):
    """Holders keep what they hold, waiters their place; nothing is granted twice."""
    stack = await penstock(limits={"max_runners": 4})
    await burst(stack, 5)
    await stack.site.wait("jobs_completed", count=3)
    await stack.client.get_workflow_handle(names.semaphore_id("acme/r1")).terminate("a test")
    await all_laws(stack)


@pytest.mark.parametrize("dynamic", [{"limit.historyCount.suggestContinueAsNew": "60"}])
async def test_continue_as_new_in_a_storm_loses_nobody(penstock, dynamic):
    """With a threshold of 60 events, Fleet and semaphores start anew all the time."""
    stack = await penstock(limits={"max_runners": 4})
    await burst(stack, 10)
    await all_laws(stack)
    for workflow_id in (names.FLEET_ID, names.semaphore_id("acme/r0")):
        assert await count(stack.client, f"WorkflowId='{workflow_id}'") > 1


async def test_maintenance_grants_nothing_and_keeps_the_queue(penstock):
    """Runners that run go on; what is queued waits; resume serves it."""
    stack = await penstock(limits={"max_runners": 2, "default": 1})
    first, second = await stack.site.jobs("acme/r0", count=2, seconds=1)
    await stack.site.wait("job_started", job_id=first)
    answer = (await stack.admin("PUT", "draining", mode="maintenance")).json()
    assert answer["mode"] == "maintenance"
    assert (await stack.result("acme/r0", first))["outcome"] == "completed"

    async def still():
        status = await stack.fleet()
        return (status["running"], status["waiting"]) == (0, 1)

    await until(still)
    assert (await stack.explain("acme/r0", second))["permit"] == "waiting"
    refused = await stack.site.jobs("acme/r1")
    await stack.site.wait("deliveries_idle")
    log = (await stack.site.call("GET", f"deliveries?job_id={refused[0]}"))["deliveries"]
    assert [d["status_code"] for d in log] == [503]
    await stack.admin("PUT", "draining", mode="normal")
    await stack.site.call("POST", "redeliver")
    assert (await stack.result("acme/r0", second))["outcome"] == "completed"
    assert (await stack.result("acme/r1", refused[0]))["outcome"] == "completed"
    assert check(await gather(stack.client, stack.site, bounds=SLOW)) == []


async def test_maintenance_is_told_while_the_fleet_waits_for_something_else(penstock, monkeypatch):
    """It starts a semaphore that it found missing; the others stop granting meanwhile."""
    held, go = asyncio.Event(), asyncio.Event()
    start = WorkflowActivities.ensure_semaphores

    @activity.defn(name="ensure_semaphores")
    async def late(self, repos: Repos) -> None:
        held.set()
        await go.wait()
        await start(self, repos)

    monkeypatch.setattr(WorkflowActivities, "ensure_semaphores", late)
    stack = await penstock(limits={"max_runners": 4, "default": 1})
    (gone,) = await stack.site.jobs("acme/gone", seconds=0.2)
    await stack.result("acme/gone", gone)
    first, *_ = await stack.site.jobs("acme/r0", count=3, seconds=2)
    await stack.site.wait("job_started", job_id=first)
    await stack.client.get_workflow_handle(names.semaphore_id("acme/gone")).terminate("a test")
    # Its idle permit is asked back: nobody hears that.
    await stack.admin("PATCH", "limits", repos={"acme/gone": 0})
    async with asyncio.timeout(PATIENCE):
        await held.wait()
    await FleetClient(stack.client).set_mode("maintenance", ModeChange("a test"))
    semaphore = stack.client.get_workflow_handle(names.semaphore_id("acme/r0"))

    async def told():
        return (await semaphore.query("state"))["allotment"] == 0

    await until(told)
    assert not go.is_set()
    go.set()
    await stack.admin("PUT", "draining", mode="normal")
    await all_laws(stack)


async def test_maintenance_can_stop_the_runners_too(penstock):
    """Only when it is said; the jobs fail at GitHub and their permits come back."""
    stack = await penstock()
    (job,) = await stack.site.jobs("acme/r0", seconds=60)
    await stack.site.wait("job_started", job_id=job)
    await stack.admin("PUT", "draining", mode="maintenance", stop_running=True)
    result = await stack.result("acme/r0", job)
    assert result["conclusion"] == "cancelled"
    await stack.settled()


async def test_lowered_limits_revoke_nothing_and_bind_at_once(penstock):
    """Three run; the limit goes to one: they finish, and then one runs at a time."""
    stack = await penstock(limits={"max_runners": 6, "default": 3})
    await stack.site.jobs("acme/r0", count=8, seconds=1)
    await stack.site.wait("jobs_running", count=3)
    answer = await stack.admin("PATCH", "limits", default=1)
    assert answer.json()["default"] == 1
    await all_laws(stack)


async def test_an_operator_rebuilds_the_fleet_under_load(penstock):
    """Everybody is asked anew; nothing is granted twice, nobody is forgotten, it is on record."""
    stack = await penstock(limits={"max_runners": 4})
    await burst(stack, 5)
    await stack.site.wait("jobs_completed", count=3)
    fleet = FleetClient(stack.client)
    await fleet.rebuild(Rebuild("doubt", "ada"))
    await fleet.rebuild(Rebuild("more doubt", "ada"))
    await all_laws(stack)
    assert (await stack.fleet())["settled"]
    said = {(entry["what"], entry["reason"]) for entry in await fleet.audit()}
    assert {("rebuild", "doubt"), ("rebuild", "more doubt")} <= said


async def in_use(stack, number: int) -> bool:
    """Whether so many permits count as in use."""
    return (await stack.fleet())["running"] == number


async def test_a_semaphore_without_a_worker_holds_up_nobody_else(penstock, monkeypatch):
    """A Fleet begun afresh asks it in vain, counts what it may have out, and serves the others."""
    monkeypatch.setattr(rules, "REPEAT_SECONDS", 1.0)
    monkeypatch.setattr(rules, "SILENT_SECONDS", 1.0)
    stack = await penstock(limits={"max_runners": 4})
    stuck = await stack.client.start_workflow(
        names.REPO_SEMAPHORE,
        SemaphoreState("acme/stuck"),
        id=names.semaphore_id("acme/stuck"),
        task_queue="nobody works here",
    )
    query = f"WorkflowId='{stuck.id}' AND ExecutionStatus='Running'"
    await until(lambda: count(stack.client, query))
    await burst(stack, 5)
    await stack.site.wait("jobs_completed", count=3)
    await stack.client.get_workflow_handle(names.FLEET_ID).terminate("a test")
    assert await stack.site.wait("all_completed")
    await until(lambda: in_use(stack, 2))
    status = await stack.fleet()
    (account,) = [one for one in status["repos"] if one["repo"] == "acme/stuck"]
    assert (account["running"], account["settled"], status["settled"]) == (2, False, False)
    assert "2 of its permits count as in use" in account["cause"]
    assert check(await gather(stack.client, stack.site, bounds=SLOW)) == []
    # Begun anew by the next message to it, it answers, and all is as ever.
    await stuck.terminate("a test")
    await all_laws(stack)


async def test_what_a_semaphore_had_out_that_ended_with_the_fleet_stays_out(penstock):
    """Nobody revived it: the next Fleet gives nothing away before it has been asked."""
    stack = await penstock(limits={"max_runners": 2, "max_repo_share": 1.0})
    holders = await stack.site.jobs("acme/r0", count=2, seconds=60)
    assert await stack.site.wait("jobs_running", count=2)
    await until(lambda: in_use(stack, 2))
    (waiter,) = await stack.site.jobs("acme/r1", seconds=0.1)

    async def waits() -> bool:
        return (await stack.fleet())["waiting"] == 1

    await until(waits)
    semaphore = names.semaphore_id("acme/r0")
    await stack.client.get_workflow_handle(semaphore).terminate("a test")
    query = f"WorkflowId='{semaphore}' AND ExecutionStatus='Running'"

    async def seen_to_be_gone() -> bool:
        return not await count(stack.client, query)

    await until(seen_to_be_gone)
    former = stack.client.get_workflow_handle(names.FLEET_ID)
    ended = (await former.describe()).run_id
    await former.terminate("a test")

    async def all_known() -> bool:
        if (await former.describe()).run_id == ended:
            return False  # the guardian has not looked yet
        status = await stack.fleet()
        settled = {one["repo"] for one in status["repos"] if one["settled"]}
        return settled >= {"acme/r0", "acme/r1"}

    await until(all_known)
    assert (await stack.explain("acme/r1", waiter))["permit"] == "waiting"
    for job in holders:
        await stack.site.call("POST", f"jobs/{job}/cancel")
    await all_laws(stack)


async def test_a_new_fleet_raises_no_allotment_that_was_lowered(penstock):
    """More is out than a lowered limit lets: what comes back is not granted anew meanwhile."""
    stack = await penstock(limits={"max_runners": 2, "max_repo_share": 1.0})
    holders = await stack.site.jobs("acme/r0", count=2, seconds=60)
    assert await stack.site.wait("jobs_running", count=2)
    await until(lambda: in_use(stack, 2))
    await stack.site.jobs("acme/r0", seconds=0.1)
    await stack.admin("PATCH", "limits", max_runners=1)
    semaphore = stack.client.get_workflow_handle(names.semaphore_id("acme/r0"))

    async def lowered() -> str:
        state = await semaphore.query("state")
        return state["fleet_epoch"] if (state["allotment"], state["in_use"]) == (1, 2) else ""

    former = await until(lowered)
    await stack.client.get_workflow_handle(names.FLEET_ID).terminate("a test")

    async def known() -> bool:
        return (await lowered() or former) != former and (await stack.fleet())["settled"]

    await until(known)
    history = of(json.loads((await semaphore.fetch_history()).to_json()))
    told = [report for name, _, report in Run(history).sent if name == "report"]
    assert {one["allotment"] for one in told if one["fleet_epoch"] > former} == {1}
    for job in holders:
        await stack.site.call("POST", f"jobs/{job}/cancel")
    await all_laws(stack)


async def test_nobody_grants_again_while_more_is_out_than_a_lowered_limit(penstock):
    """Two that last take up the whole of it: who gives back meanwhile keeps nothing."""
    stack = await penstock(limits={"max_runners": 4, "max_repo_share": 1.0})
    long = await stack.site.jobs("acme/r0", count=2, seconds=60)
    assert await stack.site.wait("jobs_running", count=2)
    for repo in ("acme/r1", "acme/r2"):
        await stack.site.jobs(repo, count=40, seconds=0.3)
    assert await stack.site.wait("jobs_completed", count=2)
    await stack.admin("PATCH", "limits", max_runners=2)
    await until(lambda: in_use(stack, 2))
    assert (await stack.fleet())["waiting"] > 20, "they went on"
    await stack.admin("PATCH", "limits", max_runners=6)
    for job in long:
        await stack.site.call("POST", f"jobs/{job}/cancel")
    await all_laws(stack)


async def test_limits_of_repositories_never_seen_hold_from_their_first_job(penstock):
    """Configured ahead, changed live while all permits are out; a bad change is refused whole."""
    stack = await penstock(limits={"max_runners": 4, "max_repo_share": 1.0})
    fleet = FleetClient(stack.client)
    await fleet.set_limits(LimitsChange(repos={"acme/r0": 1}, actor="ada", reason="ahead"))
    with pytest.raises(LimitsRefused, match=r"repos\.acme/r1"):
        await fleet.set_limits(LimitsChange(max_runners=9, repos={"acme/r1": -1}))
    await stack.site.jobs("acme/r0", count=4, seconds=0.2)
    # Raised while its jobs wait: the next ones run beside each other.
    await stack.site.wait("jobs_running", count=1)
    await fleet.set_limits(LimitsChange(repos={"acme/r0": 3}, actor="ada"))
    await all_laws(stack)
    limits = (await stack.fleet())["limits"]
    assert (limits["max_runners"], limits["repos"]) == (4, {"acme/r0": 3})
    entries = [e for e in await fleet.audit() if e["actor"] == "ada"]
    assert [(e["what"], e["reason"]) for e in entries] == [
        ("limits: repos.acme/r0 unset → 1", "ahead"),
        ("limits: repos.acme/r0 1 → 3", ""),
    ]
    assert all(e["at"] > 0 for e in entries)


async def test_back_pressure_narrows_the_fleet_and_widens_it_again(penstock):
    """Nothing is revoked; while it lasts no more than that many are out."""
    stack = await penstock(limits={"max_runners": 4})
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    await fleet.signal("limit_capacity", CapacityChange(1, "launches fail"))
    await burst(stack, 2)
    await stack.site.wait("jobs_completed", count=3)
    status = await stack.fleet()
    assert (status["capacity"], status["effective_cause"]) == (1, "launches fail")
    assert status["reserved"] <= 1
    await fleet.signal("limit_capacity", CapacityChange())
    await all_laws(stack)
    assert (await stack.fleet())["capacity"] == 4


async def test_a_terminated_holder_before_whom_others_wait_is_missed_soon(penstock, monkeypatch):
    """Its runner is seen off, then its permit comes back; those that live keep theirs."""
    monkeypatch.setattr(sweep, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(sweep, "STALLED_AGE_SECONDS", 0.5)
    monkeypatch.setattr(sweep, "SECOND_LOOK_SECONDS", 0.5)
    stack = await penstock(limits={"default": 2}, runner={"command": faulty("ignore_jobs")})
    (dead,) = await stack.site.jobs("acme/api")
    # A runner that ignores jobs never asks for one: registered is all that it gets to be.
    assert await stack.site.wait("runners_registered", count=1)
    handle = stack.client.get_workflow_handle(names.runner_job_id("acme/api", dead))
    await handle.terminate("a test")
    await stack.site.jobs("acme/api", count=2)
    semaphore = stack.client.get_workflow_handle(names.semaphore_id("acme/api"))

    async def freed():
        state = await semaphore.query("state")
        holders = {lease["job"] for lease in state["holders"]}
        return state if handle.id not in holders and len(holders) == 2 else None

    state = await until(freed)
    assert state["waiting"] == 0
    runners = (await stack.site.call("GET", "runners"))["runners"]
    assert f"penstock-{dead}-1" not in {runner["name"] for runner in runners}


async def test_a_holder_of_long_is_nudged_once_and_keeps_its_own_time(penstock, monkeypatch):
    """The semaphore's one alarm stands for all jobs' timers."""
    monkeypatch.setattr(sweep, "HOLDER_NUDGE_SECONDS", 1.0)
    monkeypatch.setattr(sweep, "WAITER_NUDGE_SECONDS", 1.0)
    monkeypatch.setattr(sweep, "WAITERS_PAUSE_SECONDS", 1.0)
    stack = await penstock(limits={"default": 1})
    first, second = await stack.site.jobs("acme/api", count=2, seconds=4.0)
    await stack.result("acme/api", second)
    nudged = {}
    for job in (first, second):
        handle = stack.client.get_workflow_handle(names.runner_job_id("acme/api", job))
        events = [
            event.workflow_execution_signaled_event_attributes.signal_name
            async for event in handle.fetch_history_events()
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        nudged[job] = events.count("nudge")
    assert nudged[first] == 1
    assert nudged[second] >= 2, "while it waited, and once as a holder"
    assert await replay(stack.client)
