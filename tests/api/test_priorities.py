"""From the webhook to the workflow: the job has the priority that the rules give it."""

import itertools

import pytest

from policy import names
from policy.priority_rules import Rule
from tests.api.gate import Gate
from tests.support import job_payload

NUMBERS = itertools.count(8001)


@pytest.fixture(scope="module")
async def gate(tmp_path_factory):
    """A gateway alone: what it starts waits for ever."""
    folder = tmp_path_factory.mktemp("priorities")
    rules = [{"priority": "low", "repo": "acme/*", "workflow": "nightly*"}]
    async with Gate.open(folder, priorities={"rules": rules}) as made:
        yield made


@pytest.mark.parametrize(
    ("job", "more", "priority"),
    [
        ({"head_branch": "feature/x"}, {}, "normal"),
        ({"head_branch": "trunk"}, {}, "high"),
        ({"head_branch": "trunk", "workflow_name": "Nightly build"}, {}, "low"),
        ({"head_branch": "wip/x"}, {}, "low"),
        ({"head_branch": "wip/x"}, {"deployment": {"environment": "production"}}, "critical"),
        ({}, {"deployment": {"environment": "eu", "production_environment": True}}, "critical"),
        ({"head_branch": "trunk"}, {"priority": "critical"}, "critical"),
        ({"priority": "low"}, {}, "low"),
        ({"head_branch": 7, "workflow_name": None, "priority": ["high"]}, {}, "normal"),
        (
            {"head_branch": "x" * 5000},
            {"deployment": "production", "priority": "urgent"},
            "normal",
        ),
    ],
)
async def test_a_job_starts_with_its_priority(gate, job, more, priority):
    """In the answer, the search attribute, Temporal's own priority and the job's input."""
    number = next(NUMBERS)
    payload = {**job_payload("queued", number, **job), **more}
    payload["repository"]["default_branch"] = "trunk"
    answer = await gate(payload)
    assert (answer.status_code, answer.json()["priority"]) == (200, priority)
    handle = gate.client.get_workflow_handle(names.runner_job_id("acme/api", number))
    description = await handle.describe()
    attributes = {p.key.name: p.value for p in description.typed_search_attributes}
    assert attributes["PenstockPriority"] == priority
    order = ("critical", "high", "normal", "low")
    assert description.raw_info.priority.priority_key == 1 + order.index(priority)
    (started,) = [
        e
        async for e in handle.fetch_history_events()
        if e.HasField("workflow_execution_started_event_attributes")
    ]
    payloads = started.workflow_execution_started_event_attributes.input.payloads
    (job_input,) = await gate.client.data_converter.decode(payloads)
    assert job_input["priority"] == priority


def test_the_rules_of_the_configuration_go_before_the_defaults(gate):
    """And both are there."""
    rules = gate.settings.priorities.priorities.rules
    assert rules[0] == Rule("low", repo="acme/*", workflow="nightly*")
    assert len(rules) > 10
