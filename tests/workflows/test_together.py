"""A matrix of jobs arrives at once: they ask by few signals, and each is served as if alone."""

import time

from policy import names
from tests.support import exists, replay, until

REPO = "acme/matrix"


async def test_jobs_that_arrive_together_ask_together_and_are_all_served(penstock):
    """One permit a job, one runner each; the histories replay."""
    stack = await penstock(limits={"default": 4, "max_repo_share": 1.0})
    jobs = await stack.site.jobs(REPO, count=16, seconds=0.1)
    results = [await stack.result(REPO, job) for job in jobs]
    assert [result["outcome"] for result in results] == ["completed"] * 16
    await stack.settled()
    semaphore = stack.client.get_workflow_handle(names.semaphore_id(REPO))
    asked: list[str] = []
    for event in (await semaphore.fetch_history()).events:
        attributes = event.workflow_execution_signaled_event_attributes
        if attributes.signal_name.startswith("acquire"):
            (message,) = await stack.client.data_converter.decode(attributes.input.payloads)
            asked += [ask["job"] for ask in message.get("asks", [message])]
    # One whose runner took another's job asks again, by itself.
    assert set(asked) == {names.runner_job_id(REPO, job) for job in jobs}
    assert await replay(stack.client)


async def test_acquire_many_is_as_good_as_many_acquires(penstock):
    """Said twice, with a job that waits already, and with none at all: no harm."""
    stack = await penstock(limits={"max_runners": 0})
    (job,) = await stack.site.jobs(REPO)
    semaphore = stack.client.get_workflow_handle(names.semaphore_id(REPO))
    here = names.runner_job_id(REPO, job)
    other = {"job": f"{here}1", "priority": "high", "queued_at": time.time()}
    asks = [{"job": here, "queued_at": time.time()}, other]

    await until(lambda: exists(semaphore))

    async def waiting() -> list[str]:
        return (await semaphore.query("state"))["waiters"]

    async def one() -> bool:
        return await waiting() == [here]

    await until(one)
    for message in ({"asks": asks}, {"asks": asks}, {"asks": []}, {}):
        await semaphore.signal("acquire_many", message)
    assert await waiting() == [f"{here}1", here]
