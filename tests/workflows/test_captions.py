"""The Temporal UI as an operator reads it: every workflow and every activity has its words."""

import json

from google.protobuf.json_format import MessageToDict
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from activities.recovery_schedule import trigger
from policy import names
from tests.support import histories, until
from worker import WORKFLOWS

METADATA = "__temporal_workflow_metadata"


async def test_every_workflow_and_activity_has_its_words(penstock):
    """Summaries, details, current details; none of them is part of what is replayed."""
    stack = await penstock(limits={"default": 1}, recovery={"enabled": True})
    long, waits = await stack.site.jobs("acme/api", count=2, seconds=600)
    await stack.site.wait("job_started", job_id=long)
    await stack.admin("PUT", "draining", mode="draining", reason="kernel update")
    await trigger(stack.client)

    async def recovered():
        query = "WorkflowType='Recovery' AND ExecutionStatus='Completed'"
        return (await stack.client.count_workflows(query)).count

    async def current(id_):
        handle = stack.client.get_workflow_handle(id_)
        return (await handle.query(METADATA, result_type=WorkflowMetadata)).current_details

    await until(recovered)
    fleet = await current(names.FLEET_ID)
    assert fleet.startswith("**draining**: kernel update\n\nrunning 1 of ")
    assert "- acme/api: running 1, waiting " in fleet
    semaphore = await current(names.semaphore_id("acme/api"))
    assert semaphore.startswith("**1 of 1 permits out**, 1 waiting\n\n- job ")
    states = [(await current(names.runner_job_id("acme/api", job))) for job in (long, waits)]
    assert sorted(states)[0].startswith("in_progress: ")
    assert sorted(states)[1].startswith("queued: ")

    async for found in stack.client.list_workflows():
        described = await stack.client.get_workflow_handle(
            found.id, run_id=found.run_id
        ).describe()
        assert await described.static_summary(), found.id
        assert await described.static_details(), found.id
        if found.workflow_type == names.RECOVERY:
            assert (await current(found.id)).startswith("mode draining: ")
    every = await histories(stack.client)
    for history in every:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                assert event.user_metadata.summary.data, MessageToDict(event)
    replayer = Replayer(workflows=list(WORKFLOWS))
    for history in every:
        told = json.loads(history.to_json())
        for event in told["events"]:
            event.pop("userMetadata", None)
        bare = WorkflowHistory.from_json(history.workflow_id, told)
        await replayer.replay_workflow(bare)  # as one of a version that had no summaries
