"""What a job's history holds when nothing goes wrong, and how the token step comes into it."""

import asyncio
from collections import Counter

from policy import names
from tests.support import job_payload, replay, until

REPO = "acme/api"


async def steps(client, repo: str, job: int) -> Counter[str]:
    """How often each activity was scheduled, each signal received, and timers started.

    Without the timer of a job whose runner's end is known before its own: nobody watches that.
    """
    found: Counter[str] = Counter()
    history = await client.get_workflow_handle(names.runner_job_id(repo, job)).fetch_history()
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            found[event.activity_task_scheduled_event_attributes.activity_type.name] += 1
        elif event.HasField("workflow_execution_signaled_event_attributes"):
            found[event.workflow_execution_signaled_event_attributes.signal_name] += 1
        elif event.HasField("timer_started_event_attributes"):
            found["timer"] += found["job_completed"] >= found["runner_gone"]
    return +found


PLAIN = Counter(launch_runner=1, granted=1, job_in_progress=1, job_completed=1, runner_gone=1)


async def test_only_the_first_job_has_a_token_fetched_and_none_sets_a_timer(penstock):
    """Its launch finds none at hand; the same launch goes once there is one."""
    stack = await penstock(limits={"default": 1})
    for expected in (PLAIN + Counter(launch_runner=1, acquire_runner_token=1), PLAIN, PLAIN):
        (job,) = await stack.site.jobs(REPO, seconds=0.1)
        result = await stack.result(REPO, job)
        assert (result["outcome"], result["launches"]) == ("completed", 1)
        assert result["runner"] == f"penstock-{job}-1"
        assert await steps(stack.client, REPO, job) == expected
    assert await replay(stack.client)


async def test_a_jit_runner_is_launched_while_there_is_room_in_the_budget(penstock):
    """No token step, until the budget is used up: then the job waits its turn there."""
    stack = await penstock(
        limits={"default": 1},
        github={"mode": "jit", "tokens_per_repository_per_hour": 2},
    )
    for _ in range(2):
        (job,) = await stack.site.jobs(REPO, seconds=0.1)
        await stack.result(REPO, job)
        assert await steps(stack.client, REPO, job) == PLAIN
    (job,) = await stack.site.jobs(REPO, seconds=0.1)

    async def held_up():
        return (await steps(stack.client, REPO, job))["timer"]

    await until(lambda: stack.explain(REPO, job))
    await until(held_up)
    found = await steps(stack.client, REPO, job)
    assert (found["launch_runner"], found["acquire_runner_token"]) == (1, 1)
    assert "no runner token" in (await stack.explain(REPO, job))["why"]


async def test_a_nudged_waiter_sets_no_timer_and_a_nudged_holder_does(penstock):
    """`nudge` has no argument: look at the clock."""
    stack = await penstock(limits={"default": 1})
    first, second = await stack.site.jobs(REPO, count=2, seconds=5)
    await stack.site.wait("job_started", job_id=first)
    waiter = stack.client.get_workflow_handle(names.runner_job_id(REPO, second))

    async def waits():
        return (await stack.explain(REPO, second))["permit"] == "waiting"

    await until(waits)
    for _ in range(2):
        await waiter.signal("nudge")
    await stack.site.call("POST", f"jobs/{first}/cancel")
    await stack.site.wait("job_started", job_id=second)
    assert (await steps(stack.client, REPO, second))["timer"] == 0


async def test_a_stolen_runner_is_told_of_once(penstock):
    """Begin and end of the job that it took come at once; a runner takes one job."""
    stack = await penstock(limits={"default": 0})
    await stack.deliver(job_payload("queued", 7001))
    took = {"runner_name": "penstock-7001-1", "conclusion": "success"}
    answers = await asyncio.gather(
        *(
            stack.deliver(job_payload(action, 7002, **took))
            for action in ("in_progress", "completed", "completed")
        )
    )
    assert [answer.json()["status"] for answer in answers] == ["accepted"] * 3
    assert (await steps(stack.client, REPO, 7001))["runner_busy"] == 1
