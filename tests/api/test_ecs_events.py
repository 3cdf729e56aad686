"""POST /events/ecs: who is heard, what is acted on."""

import copy
from typing import Any

import pytest

from api import keys
from api.ecs_events import EXAMPLE
from tests.api.gate import Gate
from tests.support import until

KEY, HASH = keys.create()
HEAD = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
async def gate(tmp_path_factory):
    """A gateway that takes events, without a worker."""
    gateway = {"admin_failures_per_minute": 100}
    ecs = {"event_key_hashes": [HASH]}
    async with Gate.open(tmp_path_factory.mktemp("gate"), gateway=gateway, ecs=ecs) as made:
        yield made


def event(job: int, **detail: Any) -> dict[str, Any]:
    """A task of this job's runner has stopped."""
    made = copy.deepcopy(EXAMPLE)
    overrides = {
        "containerOverrides": [
            {
                "environment": [
                    {"name": "PENSTOCK_WORKFLOW_ID", "value": f"runner-job/acme/api/{job}"}
                ]
            }
        ]
    }
    made["detail"] |= {"startedBy": f"penstock-{job}-1", "overrides": overrides, **detail}
    return made


async def test_a_stopped_task_is_told_to_its_job(penstock):
    """With ECS's reason; once more, late, it changes nothing."""
    command = ["sh", "-c", "exec sleep 60"]
    stack = await penstock(
        ecs={"event_key_hashes": [HASH]}, runner={"command": command, "relaunch_seconds": 600}
    )
    (job,) = await stack.site.jobs("acme/api", seconds=60)

    async def launched():
        folder = stack.settings.state_dir / "runners" / f"penstock-{job}-1"
        return (folder / "started.json").exists()

    await until(launched)
    why = {"stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted."}
    for _ in range(2):
        answer = await stack.http.post(
            f"{stack.url}/events/ecs", json=event(job, **why), headers=HEAD
        )
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "accepted",
            "workflow_id": f"runner-job/acme/api/{job}",
        }

    async def gone():
        told = await stack.explain("acme/api", job)
        return told if told["runner"]["state"] == "gone" else None

    told = await until(gone)
    assert told["reasons"] == ["SpotInterruption; Your Spot Task was interrupted."]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"detail-type": "another", "detail": {}}, "no task event"),
        ({"detail-type": "ECS Task State Change", "detail": "x"}, "no task event"),
        ({}, "no task event"),
        (event(1, group="theirs"), "a task of another group"),
        (event(1, lastStatus="RUNNING"), "the task has not stopped"),
        (event(1, startedBy="somebody"), "the task was launched for no job of ours"),
        (event(1, startedBy="penstock-2-1"), "the task was launched for no job of ours"),
        (event(1, overrides={}), "the task was launched for no job of ours"),
        (event(1, overrides={"containerOverrides": [{}]}), "the task was launched for no job"),
        (event(1), "its job has ended"),
    ],
)
async def test_what_is_none_of_ours_is_ignored_with_the_reason(body, reason, gate):
    """200 all the same: EventBridge would send it again."""
    answer = await gate.http.post(f"{gate.url}/events/ecs", json=body, headers=HEAD)
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert answer.json()["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer pen_wrong"}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
    ],
)
async def test_nobody_without_a_key_is_heard(headers, status, gate):
    """Nor does its key open the admin interface."""
    answer = await gate.http.post(f"{gate.url}/events/ecs", json=event(1), headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    admin = await gate.http.get(f"{gate.url}/admin/status", headers=HEAD)
    assert admin.status_code == 401


async def test_a_body_that_is_none_is_a_problem(gate):
    """422, of one who may ask."""
    answer = await gate.http.post(f"{gate.url}/events/ecs", json=[1], headers=HEAD)
    assert answer.status_code == 422


async def test_without_keys_there_is_no_such_route(penstock):
    """Off until it is configured."""
    stack = await penstock()
    answer = await stack.http.post(f"{stack.url}/events/ecs", json=event(1), headers=HEAD)
    assert answer.status_code == 404
