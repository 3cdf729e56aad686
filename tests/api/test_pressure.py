"""Back-pressure at the gateway: who is refused, with what, and what is never refused."""

import asyncio
import time

from policy import names
from policy.launches import Launches, Span
from tests.api.gate import Gate
from tests.support import count, job_payload, until

OF_OTHERS = {"repository": {"name": "b", "full_name": "beta/b", "owner": {"login": "beta"}}}


def low(job: int) -> dict:
    """A job of low priority."""
    return {**job_payload("queued", job), "priority": "low"}


async def statuses(stack, payloads) -> list[int]:
    """One after another."""
    return [(await stack.deliver(payload)).status_code for payload in payloads]


async def queued(stack, jobs: range) -> list[int]:
    """As many jobs of normal priority as there are numbers."""
    return await statuses(stack, (job_payload("queued", job) for job in jobs))


async def test_under_queue_low_goes_first_and_all_at_ten_times_the_depth(penstock):
    """429 with a time and a dead letter; known jobs, begins and ends are taken all the same."""
    stack = await penstock(limits={"default": 0}, pressure={"max_queue_depth": 3})
    assert await queued(stack, range(100, 104)) == [200] * 4
    answer = await stack.deliver(low(500))
    assert (answer.status_code, answer.json()["code"]) == (429, "depth")
    assert 1 <= int(answer.headers["Retry-After"]) <= 600
    assert answer.json()["retry_after_s"] == int(answer.headers["Retry-After"])
    assert await queued(stack, range(104, 131)) == [200] * 27
    # Semaphores tell of a longer queue when it has grown by a quarter.
    for job in range(131, 150):
        answer = await stack.deliver(job_payload("queued", job))
        if answer.status_code != 200:
            break
    assert (answer.status_code, answer.json()["code"]) == (429, "flood")
    again = await stack.deliver(job_payload("queued", 100))
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    for action in ("in_progress", "completed"):
        assert (await stack.deliver(job_payload(action, 100))).status_code == 200
    letters = (await stack.admin("GET", "dead-letters")).json()["dead_letters"]
    assert sorted(letter["job_id"] for letter in letters) == sorted(["500", str(job)])
    metrics = (await stack.http.get(f"{stack.url}/metrics")).text
    assert 'penstock_gateway_pressure{trigger="flood"} 1.0' in metrics
    assert 'penstock_gateway_refusals_total{cause="depth"} 1.0' in metrics
    status = (await stack.admin("GET", "status")).json()["pressure"]
    assert (status["triggers"]["depth"]["up"], status["strategy"]) == (True, "queue")
    assert status["triggers"]["errors"] == {"up": False, "since": None, "load": 0.0}


async def test_a_burst_does_not_overshoot_between_two_looks(penstock):
    """All at once: what is being accepted counts already."""
    stack = await penstock(limits={"default": 0}, pressure={"max_queue_depth": 2})
    answers = await asyncio.gather(
        *(stack.deliver(job_payload("queued", 1000 + n)) for n in range(100))
    )
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429}
    accepted = codes.count(200)
    known = await count(stack.client, f"WorkflowType='{names.RUNNER_JOB}'")
    assert accepted == known, "what was refused has no workflow"
    assert accepted == 21, "the first one above ten times the depth is the last"


async def test_under_reject_the_fleet_takes_what_it_can_run(penstock):
    """503 above 80 % of two runners; live changes count from the next look on."""
    stack = await penstock(
        limits={"max_runners": 2, "default": 2, "max_repo_share": 1.0, "repos": {"acme/api": 0}},
        pressure={"strategy": "reject"},
    )
    assert await queued(stack, range(100, 102)) == [200] * 2
    answer = await stack.deliver(job_payload("queued", 102))
    assert (answer.status_code, answer.json()["code"]) == (503, "concurrency")
    assert answer.json()["detail"] == "over 80 % of all runners are in use"
    assert (await stack.deliver(job_payload("completed", 100))).status_code == 200
    changed = await stack.admin("PATCH", "limits", pressure={"strategy": "queue"})
    assert changed.json()["pressure"]["strategy"] == "queue"

    async def taken():
        return (await stack.deliver(job_payload("queued", 102))).status_code == 200

    await until(taken)
    bad = await stack.admin("PATCH", "limits", pressure={"max_error_rate": 7})
    assert (bad.status_code, "pressure.max_error_rate" in bad.json()["detail"]) == (422, True)


async def test_a_throttled_organization_is_refused_under_reject_alone(penstock):
    """429 until GitHub's time; another organization is not concerned."""
    stack = await penstock(limits={"default": 0}, pressure={"strategy": "reject"})
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    await fleet.signal("cool_down", args=["acme", time.time() + 90])

    async def refused():
        answer = await stack.deliver(job_payload("queued", 100))
        return answer if answer.status_code == 429 else None

    answer = await until(refused)
    assert answer.json()["code"] == "throttled"
    assert 80 <= int(answer.headers["Retry-After"]) <= 181
    others = await stack.deliver({**job_payload("queued", 101), **OF_OTHERS})
    assert others.status_code == 200
    await stack.admin("PATCH", "limits", pressure={"strategy": "queue"})

    async def waits():
        return (await stack.deliver(job_payload("queued", 102))).status_code == 200

    await until(waits)


async def test_failing_launches_slow_the_fleet_down_and_refuse_low_under_reject(penstock):
    """Half of the capacity, with its cause; the rest is taken."""
    stack = await penstock(limits={"default": 0}, pressure={"strategy": "reject"})
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    now = time.time()
    await fleet.signal("launches", Launches("w1", [Span(now - now % 10, 30, 10)]))

    async def slowed():
        status = await stack.fleet()
        return status if status["capacity"] == 3 else None

    status = await until(slowed)
    assert status["limits"]["max_runners"] == 6
    assert status["effective_cause"] == "10 of 40 launches failed (25 %)"

    async def refused():
        answer = await stack.deliver(low(500))
        return answer if answer.status_code != 200 else None

    answer = await until(refused)
    assert (answer.status_code, answer.json()["code"]) == (503, "errors")
    assert (await stack.deliver(job_payload("queued", 100))).status_code == 200


async def test_launches_that_fail_for_real_are_counted(penstock):
    """A runner command that does not exist: the Fleet halves itself, and says why."""
    stack = await penstock(
        limits={"max_runners": 8, "default": 8, "max_repo_share": 1.0},
        runner={"command": ["/no/such/runner"], "relaunch_seconds": 0.05},
    )
    await stack.site.jobs("acme/api", count=8)

    async def slowed():
        status = await stack.fleet()
        return status if status["capacity"] < 8 else None

    status = await until(slowed)
    assert "launches failed (100 %)" in status["effective_cause"]
    assert status["audit"][-1]["actor"] == "error rate"


async def test_without_a_worker_work_is_accepted_and_counted_by_temporal(tmp_path):
    """Ready, degraded; the depth is that of the open workflows."""
    async with Gate.open(tmp_path, pressure={"max_queue_depth": 3}) as gate:
        for job in range(100, 104):
            assert (await gate(job_payload("queued", job))).status_code == 200

        async def counted():
            answer = await gate(low(500))
            return answer if answer.status_code == 429 else None

        assert (await until(counted)).json()["code"] == "depth"
        ready = await gate.http.get(f"{gate.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded: no worker answers")
        assert (await gate(job_payload("queued", 104))).status_code == 200
