"""The way of one job, and what can go wrong on it."""

import asyncio
import itertools
import sys
from pathlib import Path

import pytest

from policy import names
from tests.support import exists, job_payload, replay, until

FAULTY = Path(__file__).with_name("faulty_runner.py")


def faulty(fault: str, *, first: int = 99) -> list[str]:
    """A runner command whose first attempts have a fault."""
    return [sys.executable, str(FAULTY), fault, str(first)]


async def test_a_job_gets_a_runner_and_its_permit_comes_back(penstock):
    """One webhook becomes one runner; the result says how it went."""
    stack = await penstock()
    (job,) = await stack.site.jobs("Acme/API", seconds=0.2)
    result = await stack.result("acme/api", job)
    assert result["outcome"] == "completed"
    assert result["conclusion"] == "success"
    assert result["runner"] == f"penstock-{job}-1"
    assert result["launches"] == 1
    assert 0.1 < result["ran"] < 30
    status = await stack.settled()
    assert [r["repo"] for r in status["repos"]] == ["acme/api"]
    assert await replay(stack.client) >= 2


async def test_a_waiting_job_explains_itself(penstock):
    """The second job of a repository with one permit says what it waits for."""
    stack = await penstock(limits={"default": 1})
    first, second = await stack.site.jobs("acme/api", count=2, seconds=3)
    await stack.site.wait("job_started", job_id=first)

    async def waits():
        told = await stack.explain("acme/api", second)
        return told if told["permit"] == "waiting" else None

    told = await until(waits)
    assert told["state"] == "queued"
    assert "permit of its repository" in told["why"]
    semaphore = stack.client.get_workflow_handle(names.semaphore_id("acme/api"))
    state = await semaphore.query("state")
    assert state["waiters"] == [names.runner_job_id("acme/api", second)]
    assert state["allotment"] == 1
    await stack.result("acme/api", second)


@pytest.mark.parametrize("order", list(itertools.permutations("qpc")), ids="".join)
async def test_events_in_any_order_end_the_same(penstock, order):
    """Whatever comes first: the job ends, no permit is held, no runner is left."""
    stack = await penstock(runner={"command": faulty("ignore_jobs")})
    events = {
        "q": job_payload("queued"),
        "p": job_payload("in_progress", runner_name="somebody-else-1"),
        "c": job_payload("completed", runner_name="somebody-else-1", conclusion="success"),
    }
    for letter in order:
        assert (await stack.deliver(events[letter])).status_code == 200
        again = await stack.deliver(events[letter])
        assert again.status_code == 200
    result = await stack.result("acme/api", 7001)
    assert result["outcome"] == "completed"
    assert result["conclusion"] == "success"
    if order.index("q") > 0:
        assert result["launches"] == 0, "a queued event that came late launched a runner"
    await stack.settled()
    assert not (await stack.site.call("GET", "runners"))["runners"]


@pytest.mark.parametrize("mode", ["normal", "draining"])
async def test_only_an_admitted_job_launches_the_runner_it_owes(penstock, mode):
    """GitHub gives a job that the drain refused to the runner of one that was there before."""
    stack = await penstock(runner={"command": faulty("ignore_jobs")})
    (first,) = await stack.site.jobs("acme/api")
    assert await stack.site.wait("runners_registered", count=1)
    if mode == "draining":
        await stack.admin("PUT", "draining", mode=mode)
        assert (await stack.deliver(job_payload("queued"))).status_code == 503
    name = (await stack.explain("acme/api", first))["runner"]["name"]
    begins = job_payload("in_progress", runner_name=name)
    assert (await stack.deliver(begins)).status_code == 200

    async def busy():
        told = await stack.explain("acme/api", first)
        return told["runner"]["state"] == "busy"

    await until(busy)
    if mode == "normal":
        assert await stack.site.wait("runners_registered", count=2)
    ends = job_payload("completed", runner_name=name, conclusion="success")
    assert (await stack.deliver(ends)).status_code == 200
    result = await stack.result("acme/api", 7001)
    assert result["outcome"] == "completed"
    assert result["launches"] == (1 if mode == "normal" else 0)
    handle = stack.client.get_workflow_handle(names.runner_job_id("acme/api", 7001))
    history = await handle.fetch_history()
    sent = [
        event.signal_external_workflow_execution_initiated_event_attributes.signal_name
        for event in history.events
        if event.HasField("signal_external_workflow_execution_initiated_event_attributes")
    ]
    assert ("acquire" in sent) == (mode == "normal")


async def test_cancelled_while_waiting_launches_nothing(penstock):
    """The job leaves the queue; its place is not kept."""
    stack = await penstock(limits={"default": 1})
    first, second = await stack.site.jobs("acme/api", count=2, seconds=2)
    await stack.site.wait("job_started", job_id=first)
    await stack.site.call("POST", f"jobs/{second}/cancel")
    result = await stack.result("acme/api", second)
    assert (result["outcome"], result["launches"]) == ("cancelled", 0)
    assert (await stack.result("acme/api", first))["outcome"] == "completed"
    await stack.settled()


async def test_stolen_runners_still_serve_every_job(penstock):
    """GitHub gives jobs to runners as it likes: all jobs run once, and no permit is lost."""
    stack = await penstock(limits={"max_runners": 4, "default": 2})
    await stack.site.call("POST", "assignment", order="newest")
    jobs = await stack.site.jobs("acme/api", count=12, seconds=0.3)
    results = [await stack.result("acme/api", job) for job in jobs]
    assert {r["outcome"] for r in results} == {"completed"}
    ran = {j["id"]: j["times_run"] for j in (await stack.site.call("GET", "jobs"))["jobs"]}
    assert all(ran[job] == 1 for job in jobs)
    await stack.settled()
    made = (await stack.site.call("GET", "jobs"))["jobs"]
    stolen = [j for j in made if not j["runner_name"].startswith(f"penstock-{j['id']}-")]
    assert stolen, "nothing was stolen"
    assert await replay(stack.client)


async def test_a_runner_that_dies_before_its_job_is_replaced(penstock):
    """The first runner ends at once; the second does the work."""
    stack = await penstock(
        runner={"command": faulty("die_before_job", first=1), "relaunch_seconds": 0.2}
    )
    (job,) = await stack.site.jobs("acme/api")
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("completed", 2)
    await stack.settled()


async def test_a_job_whose_events_are_lost_is_not_launched_again(penstock):
    """As while the gateway is down: GitHub is asked, and no runner comes for nothing."""
    stack = await penstock()
    rules = [
        {"kind": "vanish", "match": {"action": action}} for action in ("in_progress", "completed")
    ]
    await stack.site.call("POST", "faults", rules=rules)
    (job,) = await stack.site.jobs("acme/api", seconds=0.2)
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["conclusion"]) == ("completed", "success")
    assert result["launches"] == 1
    await stack.settled()
    assert await replay(stack.client) >= 2


async def test_a_runner_that_never_picks_up_is_retired_and_replaced(penstock):
    """Deregistered first, then stopped, then launched again."""
    stack = await penstock(
        runner={
            "command": faulty("ignore_jobs", first=1),
            "start_timeout_seconds": 1.5,
            "relaunch_seconds": 0.2,
        }
    )
    (job,) = await stack.site.jobs("acme/api")
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("completed", 2)
    gone = (await stack.site.call("GET", "runners?all=1"))["runners"]
    assert all(r["removed_at"] for r in gone), "a runner is still registered"


async def test_three_launches_in_vain_end_as_failed_with_a_dead_letter(penstock):
    """A job is not tried for ever; what to do next is written down."""
    stack = await penstock(runner={"command": faulty("die_before_job"), "relaunch_seconds": 0.05})
    (job,) = await stack.site.jobs("acme/api")
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["launches"]) == ("failed", 3)
    letters = (await stack.admin("GET", "dead-letters")).json()["dead_letters"]
    assert [(le["kind"], le["job_id"]) for le in letters] == [("job", str(job))]
    await stack.settled()


async def test_a_command_that_cannot_run_fails_with_its_name(penstock):
    """The reason names the command."""
    stack = await penstock(runner={"command": ["/nonexistent/runner"], "relaunch_seconds": 0.05})
    (job,) = await stack.site.jobs("acme/api")
    result = await stack.result("acme/api", job)
    assert result["outcome"] == "failed"
    assert "/nonexistent/runner" in result["reason"]


async def test_a_runner_that_dies_in_its_job_frees_its_permit_at_once(penstock):
    """The permit follows the runner; the job ends when GitHub says so."""
    stack = await penstock(runner={"command": faulty("die_in_job")}, limits={"default": 1})
    await stack.site.call("POST", "limits", runner_lost_seconds=3)
    (job,) = await stack.site.jobs("acme/api", seconds=2)
    await stack.site.wait("job_started", job_id=job)
    await stack.settled()  # no permit is out, though GitHub has not ended the job
    result = await stack.result("acme/api", job)
    assert (result["outcome"], result["conclusion"]) == ("completed", "failure")


async def test_a_lost_completed_event_is_looked_up(penstock):
    """GitHub's own word ends the job when its event never came."""
    stack = await penstock(runner={"report_timeout_seconds": 1})
    await stack.site.call("POST", "faults", kind="vanish", match={"action": "completed"})
    (job,) = await stack.site.jobs("acme/api")
    assert (await stack.result("acme/api", job))["outcome"] == "completed"


async def test_a_queued_job_expires_as_githubs_does(penstock):
    """After the queue timeout the workflow ends, explained."""
    stack = await penstock(limits={"default": 0}, runner={"queue_timeout_seconds": 1})
    (job,) = await stack.site.jobs("acme/api", seconds=1)
    assert (await stack.result("acme/api", job))["outcome"] == "expired"


async def test_a_cancelled_workflow_sees_its_runner_off(penstock):
    """An operator's cancel: the idle runner is retired, the permit comes back."""
    stack = await penstock(runner={"command": faulty("ignore_jobs")})
    (job,) = await stack.site.jobs("acme/api")

    async def launched():
        return (await stack.site.call("GET", "runners"))["runners"]

    await until(launched)
    handle = stack.client.get_workflow_handle(names.runner_job_id("acme/api", job))
    await handle.cancel()
    assert (await stack.result("acme/api", job))["outcome"] == "stopped"
    await stack.settled()
    assert not (await stack.site.call("GET", "runners"))["runners"]


async def test_a_job_asks_again_when_its_semaphore_lost_it(penstock):
    """A semaphore that was terminated is revived by the job's own fallback."""
    stack = await penstock(limits={"default": 0}, runner={"reacquire_seconds": 1})
    (job,) = await stack.site.jobs("acme/api")
    semaphore = stack.client.get_workflow_handle(names.semaphore_id("acme/api"))
    await until(lambda: exists(semaphore))

    async def queued():
        return (await semaphore.query("state"))["waiting"]

    await until(queued)
    await semaphore.terminate("a test")
    await stack.admin("PATCH", "limits", default=1)
    assert (await stack.result("acme/api", job))["outcome"] == "completed"


async def test_two_jobs_of_one_delivery_storm_are_one_workflow(penstock):
    """The same delivery from many connections: accepted once, duplicate otherwise."""
    stack = await penstock(limits={"default": 0})
    answers = await asyncio.gather(*(stack.deliver(job_payload("queued")) for _ in range(20)))
    assert [a.status_code for a in answers] == [200] * 20
    told = sorted(a.json()["status"] for a in answers)
    assert told == ["accepted"] + ["duplicate"] * 19
