"""The recovery as it runs: by its schedule, on a real server, with everything real around it."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Schedule, ScheduleActionStartWorkflow, ScheduleSpec
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.clients.dead_letter_files import DeadLetterFiles
from activities.lost_runners import LostOrder, LostRunnerActivities
from checker import check
from commands.recover import run_now
from demo.evidence import gather
from policy import names, recovery
from policy.recovery import Suspect
from tests.activities.launching import exit_of
from tests.support import SLOW, job_payload, replay, until
from tests.workflows.test_one_job import faulty

SELDOM = {"every_seconds": 86_400}  # a test triggers it
ACTIONS = ("queued", "in_progress", "completed")


@workflow.defn(name="Nonsense")
class Nonsense:
    """Its result is no recovery's."""

    @workflow.run
    async def run(self) -> str:
        """Say nothing of use."""
        return "nonsense"


async def all_paid(stack) -> None:
    """Every job ran once, every law held, nothing is owed, all of it replays."""
    assert await stack.site.wait("all_completed")
    await stack.settled()
    assert (await stack.site.call("POST", "redeliver", dry_run=True))["redelivered"] == []
    assert (await stack.admin("GET", "dead-letters")).json()["dead_letters"] == []
    made = (await stack.site.call("GET", "jobs"))["jobs"]
    assert [job["times_run"] for job in made] == [1] * len(made)
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"

    async def none_open():
        return (await stack.client.count_workflows(query)).count == 0

    await until(none_open)
    assert check(await gather(stack.client, stack.site, bounds=SLOW)) == []
    assert await replay(stack.client)


async def owed(stack) -> int:
    """Deliveries of which no attempt went well."""
    await stack.site.wait("deliveries_idle")
    return len((await stack.site.call("POST", "redeliver", dry_run=True))["redelivered"])


async def recover_until_paid(stack, runs: int = 10) -> None:
    """As the schedule does, only sooner."""
    for _ in range(runs):
        result = await run_now(stack.client)
        assert result.failures == {}
        if not await owed(stack) and not result.deliveries_owed:
            return
    raise AssertionError(f"still owed after {runs} runs")


async def test_it_runs_by_itself_and_goes_on_where_it_stopped(penstock):
    """By the schedule alone; the UI shows what it did; the next run has the checkpoint."""
    stack = await penstock(recovery={"every_seconds": 10})
    await stack.site.call("POST", "faults", kind="lose", match={"action": "queued"}, times=0)
    jobs = await stack.site.jobs("acme/api", count=2)
    assert await stack.site.wait("all_completed")
    for job in jobs:
        assert (await stack.result("acme/api", job))["outcome"] == "completed"
    schedule = stack.client.get_schedule_handle(names.RECOVERY_SCHEDULE)

    async def ran_twice():
        recent = (await schedule.describe()).info.recent_actions
        return recent if len(recent) > 1 else None

    recent = await until(ran_twice)
    first = recent[-1].action
    assert first.workflow_id.startswith("recovery-")
    handle = stack.client.get_workflow_handle(first.workflow_id)
    assert (await handle.result())["checkpoint"]["hooks_after"] == "app"
    description = await handle.describe()
    assert await description.static_summary() == "what was refused, lost or left over"
    told = await stack.client.get_workflow_handle(first.workflow_id).query(
        "__temporal_workflow_metadata"
    )
    assert "mode normal: " in told.current_details
    await until(lambda: _told_by_gateway(stack, len(jobs)))
    await until(lambda: _none_owed(stack))
    await all_paid(stack)


async def _told_by_gateway(stack, number: int) -> bool:
    """Its runs, the last first, with what each has paid; none of what one hands to the next."""
    runs = (await stack.admin("GET", "recoveries")).json()["recoveries"]
    assert all(run["ended"] == "completed" and "checkpoint" not in run for run in runs)
    assert [run["ended_at"] for run in runs] == sorted((r["ended_at"] for r in runs), reverse=True)
    return sum(run["deliveries_redelivered"] for run in runs) >= number


async def _none_owed(stack) -> bool:
    return await owed(stack) == 0


async def test_paused_it_runs_when_it_is_told_to(penstock):
    """An operator's pause stops the clock, not the operator."""
    stack = await penstock(recovery=SELDOM)
    schedule = stack.client.get_schedule_handle(names.RECOVERY_SCHEDULE)
    await schedule.pause(note="a test")
    assert (await run_now(stack.client)).failures == {}
    assert (await schedule.describe()).schedule.state.paused


async def test_lost_and_vanished_webhooks_of_all_kinds_are_made_up_for(penstock):
    """Some failed, some GitHub never listed: each job runs exactly once."""
    stack = await penstock(
        recovery=SELDOM, limits={"max_runners": 4}, runner={"report_timeout_seconds": 1}
    )
    rules = [
        {"kind": "lose", "match": {"action": action, "nth": nth}, "times": 1}
        for action in ACTIONS
        for nth in (1, 3, 4)
    ]
    rules += [
        {"kind": "vanish", "match": {"action": "queued", "nth": nth}, "times": 1}
        for nth in (2, 4, 6)
    ]
    await stack.site.call("POST", "faults", rules=rules)
    await asyncio.gather(*(stack.site.jobs(f"acme/r{i}", count=4, seconds=0.1) for i in range(3)))
    await stack.site.wait("deliveries_idle")
    await stack.site.call("POST", "clock", advance_seconds=61, skew_seconds=61)
    first = await run_now(stack.client)
    assert first.deliveries_redelivered >= 3
    assert first.jobs_started >= 1
    for _ in range(8):
        if await stack.site.wait("all_completed", timeout=5):
            break
        await run_now(stack.client)
    await recover_until_paid(stack)
    await all_paid(stack)


async def test_resume_pays_what_was_refused_while_draining(penstock):
    """By the Fleet's word to the schedule: letters replayed, deliveries sent again."""
    stack = await penstock(recovery=SELDOM)
    await stack.admin("PUT", "draining", mode="draining", reason="a test")
    await stack.site.jobs("acme/api", count=3)
    await stack.site.jobs("acme/web", count=2)
    assert await owed(stack) == 5
    assert len((await stack.admin("GET", "dead-letters")).json()["dead_letters"]) == 5
    drained = await run_now(stack.client)
    assert (drained.mode, drained.room) == ("draining", 0)
    assert (drained.letters_replayed, drained.deliveries_redelivered) == (0, 0)
    assert (drained.letters_left, drained.deliveries_owed) == (5, 5)
    await stack.admin("PUT", "draining", mode="normal", reason="a test")
    assert await stack.site.wait("all_completed")
    await until(lambda: _none_owed(stack))
    await all_paid(stack)


@pytest.mark.parametrize("mode", ["draining", "maintenance"])
async def test_in_every_mode_what_frees_capacity_is_paid(penstock, mode):
    """And nothing is admitted: neither a letter, nor a delivery, nor a job that vanished."""
    stack = await penstock(recovery=SELDOM, runner={"report_timeout_seconds": 600})
    site = stack.site
    rules = [{"kind": "lose", "match": {"action": action}, "times": 0} for action in ACTIONS[1:]]
    (job,) = await site.jobs("acme/api", seconds=1)
    await site.call("POST", "faults", rules=rules)
    assert await site.wait("job_completed", job_id=job)
    await stack.admin("PUT", "draining", mode=mode)
    await site.jobs("acme/api")
    await site.jobs("acme/api", deliver=False)
    await site.call("POST", "clock", advance_seconds=61, skew_seconds=61)
    assert await owed(stack) >= 2
    result = await run_now(stack.client)
    assert (result.mode, result.failures) == (mode, {})
    assert result.deliveries_redelivered >= 1
    assert (result.letters_replayed, result.jobs_started, result.repositories_known) == (0, 0, 0)
    assert (await stack.result("acme/api", job))["outcome"] == "completed"
    assert await owed(stack) == 1
    count = await stack.client.count_workflows(f"WorkflowType='{names.RUNNER_JOB}'")
    assert count.count == 1
    await site.call("POST", "clock", skew_seconds=61)
    await stack.admin("PUT", "draining", mode="normal")
    assert await site.wait("all_completed")


async def test_no_faster_than_there_is_room(penstock):
    """Four wait already where ten may: of nine that were lost not all come back."""
    stack = await penstock(
        recovery=SELDOM, limits={"max_runners": 0}, pressure={"max_queue_depth": 10}
    )
    for job in range(7001, 7005):
        assert (await stack.deliver(job_payload("queued", job))).status_code == 200
    await stack.site.call("POST", "faults", kind="lose", times=0)
    await stack.site.jobs("acme/web", count=9)
    await stack.site.wait("deliveries_idle")

    async def waiting(number: int):
        return (await stack.fleet())["waiting"] >= number  # it hears of waiters roughly

    await until(lambda: waiting(3))
    result = await run_now(stack.client)
    assert result.room in (6, 7)
    assert (result.deliveries_redelivered, result.jobs_started) == (result.room, 0)
    await until(lambda: waiting(7))
    again = await run_now(stack.client)
    assert (again.room, again.deliveries_redelivered, again.jobs_started) == (0, 0, 0)
    assert await owed(stack) == 9 - result.room


async def test_what_stops_one_part_does_not_stop_the_others(penstock, monkeypatch):
    """Each failure is told under its part; what the parts knew is kept."""
    stack = await penstock(recovery=SELDOM)
    await stack.site.jobs("acme/api", seconds=0.1)
    assert await stack.site.wait("all_completed")
    await stack.settled()
    good = await run_now(stack.client)
    assert good.failures == {}

    async def broken(_):
        raise ValueError("a letter that nobody can read")

    monkeypatch.setattr(DeadLetterFiles, "all", broken)
    await stack.site.call("POST", "faults", kind="status", path_prefix="/app/hook", times=0)
    result = await run_now(stack.client)
    assert set(result.failures) == {"letters", "deliveries"}
    assert "a letter that nobody can read" in result.failures["letters"][0]
    assert result.failures["deliveries"][0].startswith("stopped: GET /app/hook/deliveries: 500")
    assert result.repositories_looked_at == 1
    assert result.checkpoint.logs == good.checkpoint.logs
    assert "letters: failed: " in result.said
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    query = type(fleet).query

    async def silent(handle, name, *args, **more):
        if name == "overview":
            raise ValueError("no word")
        return await query(handle, name, *args, **more)

    monkeypatch.setattr(type(fleet), "query", silent)
    result = await run_now(stack.client)
    assert (result.mode, result.room) == ("unknown", 0)
    assert "no word" in result.failures["fleet"][0]
    assert await replay(stack.client)


async def test_a_former_result_that_nobody_understands_is_begun_anew(penstock, client):
    """Whatever it was: a recovery that starts afresh is better than none."""

    action = ScheduleActionStartWorkflow("Nonsense", id="recovery", task_queue="nonsense")
    handle = await client.create_schedule(
        names.RECOVERY_SCHEDULE, Schedule(action=action, spec=ScheduleSpec())
    )
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue="nonsense", workflows=[Nonsense], workflow_runner=runner):
        await handle.trigger()

        async def ended():
            recent = (await handle.describe()).info.recent_actions
            return recent and recent[-1].action.workflow_id

        id_ = await until(ended)
        assert await client.get_workflow_handle(id_).result() == "nonsense"
    stack = await penstock(recovery=SELDOM)
    result = await run_now(stack.client)
    assert (result.mode, result.failures) == ("normal", {})


async def test_a_job_whose_runner_left_no_trace_is_told_and_runs_on_another(penstock, monkeypatch):
    """Its folder and its processes are gone: at the second look the job hears of it."""
    monkeypatch.setattr(recovery, "SECOND_LOOK_SECONDS", 0.1)
    stack = await penstock(recovery=SELDOM, runner={"command": faulty("ignore_jobs", first=1)})
    (job,) = await stack.site.jobs("acme/api", seconds=0.1)
    assert await stack.site.wait("runners_registered", count=1)
    folder = stack.settings.state_dir.resolve() / "runners" / f"penstock-{job}-1"
    pids = [int(path.parent.name) for path in _processes_of(folder)]
    shutil.rmtree(folder)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        await exit_of(pid)
    first = await run_now(stack.client)
    assert (first.jobs_told, len(first.checkpoint.missing)) == (0, 1)
    second = await run_now(stack.client)
    assert (second.jobs_told, second.failures) == (1, {})
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("completed", 2)
    assert (await run_now(stack.client)).checkpoint.missing == []


def _processes_of(folder):
    """The keeper and the runner of a folder."""
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            named = str(folder).encode() in cmdline.read_bytes()
            inside = str(folder) in str((cmdline.parent / "cwd").readlink())
        except OSError:
            continue
        if named or inside:
            yield cmdline


async def test_a_launch_that_is_being_tried_is_no_lost_runner(penstock, monkeypatch):
    """GitHub gives no configuration for a while: the job is left alone, and runs once."""
    monkeypatch.setattr(recovery, "SECOND_LOOK_SECONDS", 0.1)
    stack = await penstock(recovery=SELDOM, github={"mode": "jit"})
    route = "/repos/{owner}/{repo}/actions/runners/generate-jitconfig"
    await stack.site.call("POST", "faults", kind="status", status=502, route=route, times=0)
    (job,) = await stack.site.jobs("acme/api", seconds=0.1)

    async def starting():
        return (await stack.explain("acme/api", job))["runner"]["state"] == "starting"

    await until(starting)
    for _ in range(3):
        result = await run_now(stack.client)
        assert (result.jobs_told, len(result.checkpoint.missing)) == (0, 1)
    await stack.site.call("DELETE", "faults")
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("completed", 1)


async def test_a_registration_that_its_job_has_moved_on_from_is_removed(penstock, monkeypatch):
    """The first runner died before its job; the second one works, and its job is open."""
    monkeypatch.setattr(recovery, "SECOND_LOOK_SECONDS", 0.1)
    stack = await penstock(
        recovery=SELDOM,
        github={"mode": "jit"},
        runner={"command": faulty("die_before_job", first=1), "relaunch_seconds": 0.05},
    )
    (job,) = await stack.site.jobs("acme/api", seconds=20)
    assert await stack.site.wait("job_started", job_id=job)

    async def registered():
        return {r["name"] for r in (await stack.site.call("GET", "runners"))["runners"]}

    assert await registered() == {f"penstock-{job}-1", f"penstock-{job}-2"}
    first = await run_now(stack.client)
    assert (first.runners_removed, first.runners_suspected) == (0, 1)
    second = await run_now(stack.client)
    assert (second.runners_removed, second.runners_stopped, second.failures) == (1, 0, {})
    assert await registered() == {f"penstock-{job}-2"}
    await stack.site.call("POST", f"jobs/{job}/cancel")
    assert (await stack.result("acme/api", job))["conclusion"] == "cancelled"


async def test_a_terminated_jobs_runner_is_seen_off(penstock):
    """Deregistered, then stopped: nobody follows it any more."""
    stack = await penstock(recovery=SELDOM, runner={"command": faulty("ignore_jobs")})
    (job,) = await stack.site.jobs("acme/api")
    assert await stack.site.wait("runners_registered", count=1)
    id_ = names.runner_job_id("acme/api", job)
    await stack.client.get_workflow_handle(id_).terminate("a test")
    result = await run_now(stack.client)
    assert (result.runners_stopped, result.failures) == (1, {})
    assert (await stack.site.call("GET", "runners"))["runners"] == []


async def test_several_workers_do_not_judge_each_others_runners():
    """A launcher that sees its own machine alone does not know what lives elsewhere."""
    activity = LostRunnerActivities(None, None, lambda: 9e9, sees_all=False)  # type: ignore
    told = await activity.tell_of_lost_runners(LostOrder([Suspect("job", "runner", 0.0)]))
    assert (told.told, told.missing) == (0, [])
