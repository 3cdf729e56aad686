"""`penstock setup`: what is lacking is made, once; what cannot be is one line with the mend."""

import asyncio
import json
import uuid

import pytest
from botocore.stub import Stubber
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import settings as configuration
from activities.clients import dynamodb_table, log_group
from activities.clients.aws import Aws, AwsError
from commands.setup import FAILED, STEPS, UNREACHABLE, Order, StepFailed, perform
from policy.alarms import alarms
from policy.thresholds import Thresholds
from tests.e2e.process import PENSTOCK, run


@pytest.fixture
def named() -> str:
    """A part of names that no other test has."""
    return uuid.uuid4().hex[:8]


@pytest.fixture
def tables(aws: Aws, named: str) -> dict:
    """A configuration in which every step has something to do."""
    return {
        "aws": {"region": aws.region, "endpoint_url": aws.endpoint_url},
        "tokens": {"store": "dynamodb", "table": f"tokens-{named}"},
        "concurrency": {"enabled": True, "table": f"concurrency-{named}"},
        "dead_letters": {"store": "sqs", "queue_name": f"letters-{named}"},
        "logs": {"group": f"/penstock/{named}", "retention_days": 7},
        "cloudwatch": {"enabled": True, "alarm_prefix": f"{named}-", "dashboard": named},
    }


async def done(order: Order) -> dict[str, list[str]]:
    """What was changed, part by part."""
    return {part.name: part.changed async for part in perform(order, lambda _: None)}


def everything(named: str, namespace: str = "") -> dict[str, list[str]]:
    """All that there is to change."""
    attributes = ("PenstockOrg", "PenstockRepo", "PenstockPriority")
    made = [f"namespace {namespace} made, it keeps closed workflows 7 days"] if namespace else []
    return {
        "namespace": made,
        "search attributes": [f"search attribute {one} added" for one in attributes],
        "schedule of the recovery": ["schedule penstock-recovery made"],
        "table of tokens": [
            f"table tokens-{named} made",
            f"table tokens-{named} expires by expiresAt",
        ],
        "table of what runs": [
            f"table concurrency-{named} made",
            f"table concurrency-{named} can be recovered to a point in time",
        ],
        "queue of dead letters": [f"queue letters-{named} made"],
        "log group": [
            f"log group /penstock/{named} made",
            f"log group /penstock/{named} keeps 7 days",
        ],
        "alarms": [f"alarm {named}-{alarm.name}: new" for alarm in alarms(Thresholds())],
        "dashboard": [f"dashboard {named}: new"],
    }


async def test_all_is_made_once_in_a_namespace_of_its_own(server, tables, named):
    """Tried dry it is all said and nothing is made; done again there is nothing to change.

    Two that do it at the same moment, as machines of one deployment, do not disturb each other.
    """
    client = await Client.connect(server.running.address, namespace=f"ci-{named}")
    made = configuration.load(None, **tables)
    wanted = everything(named, f"ci-{named}")
    for _ in range(2):
        assert await done(Order(client, made, dry_run=True)) == wanted
    one, other = await asyncio.gather(*(done(Order(client, made)) for _ in range(2)))
    assert {name: set(one[name]) | set(other[name]) for name in wanted} == {
        name: set(changed) for name, changed in wanted.items()
    }
    nothing = {name: [] for name, _ in STEPS}
    assert await done(Order(client, made)) == nothing
    assert await done(Order(client, made, dry_run=True)) == nothing


async def test_the_command_says_it_all(server, tables, named, tmp_path):
    """Line by line, or as JSON; a namespace that is there is left alone."""
    file = tmp_path / "penstock.toml"
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file.write_text("\n".join(lines))
    here = {"TEMPORAL_ADDRESS": server.running.address, "COLUMNS": "300"}

    async def setup(*more: str) -> list[str]:
        code, said = await run(*PENSTOCK, "setup", "--config", str(file), *more, **here)
        assert code == 0, said
        return said.splitlines()

    # The embedded server knows the search attributes from its start.
    wanted = {**everything(named), "search attributes": []}
    changes = [change for part in wanted.values() for change in part]
    said = await setup("--dry-run")
    assert said[:-1] == [f"would be done: {change}" for change in changes]
    assert said[-1] == "nothing was changed: it is a dry run"
    assert json.loads("\n".join(await setup("-o", "json"))) == {
        "changed": True,
        "dry_run": False,
        "parts": [{"name": name, "changed": changed} for name, changed in wanted.items()],
    }


async def test_what_fails_is_one_line_with_the_step_and_the_mend(client, tables, named):
    """AWS away, a table of another kind, a Temporal that refuses."""
    away = {**tables, "aws": {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:9"}}
    with pytest.raises(StepFailed, match=r"^table of tokens: DynamoDB table .*Endpoint") as failed:
        await done(Order(client, configuration.load(None, **away)))
    assert failed.value.code == FAILED
    assert "\n" not in str(failed.value)
    other = {**tables, "concurrency": {"enabled": True, "table": f"tokens-{named}"}}
    with pytest.raises(
        StepFailed, match=r"not repository: name another one by concurrency\.table"
    ):
        await done(Order(client, configuration.load(None, **other)))
    address = client.service_client.config.target_host
    elsewhere = await Client.connect(address, namespace="n" * 1001)
    with pytest.raises(StepFailed, match=r"^namespace: Temporal says ") as failed:
        await done(Order(elsewhere, configuration.load(None, **tables)))
    assert failed.value.code == UNREACHABLE
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (RPCStatusCode.PERMISSION_DENIED, "on Temporal Cloud make"),
        (RPCStatusCode.UNIMPLEMENTED, "by its own tools"),
        (RPCStatusCode.UNAVAILABLE, "run it again"),
    ],
)
async def test_a_refusal_of_temporals_is_said_with_the_mend(monkeypatch, status, mend):
    """In one line, whatever the server writes."""

    async def refused(_: Order) -> list[str]:
        raise RPCError("no\nway", status, b"")

    monkeypatch.setattr("commands.setup.STEPS", (("a step", refused),))
    with pytest.raises(StepFailed, match=rf"^a step: Temporal says no way: .*{mend}"):
        await done(Order(None, None))


async def test_a_refusal_of_awss_names_the_policy(monkeypatch):
    """That the role wants."""

    async def refused(_: Order) -> list[str]:
        raise AwsError("log group x: AccessDeniedException")

    monkeypatch.setattr("commands.setup.STEPS", (("a step", refused),))
    with pytest.raises(
        StepFailed, match=r"AccessDeniedException: .* deploy/iam/setup\.json lists$"
    ):
        await done(Order(None, None))


async def test_without_a_region_the_line_says_what_to_set(client, monkeypatch, tables):
    """Before anything is asked of AWS."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    nowhere = {"dead_letters": tables["dead_letters"]}
    with pytest.raises(StepFailed, match=r"^queue of dead letters: SQS, .*: set aws\.region"):
        await done(Order(client, configuration.load(None, **nowhere)))


async def test_a_group_that_keeps_all_for_ever_gets_an_end(aws, named):
    """Also one whose making was cut short, and whose name begins another's."""
    client = aws.logs()
    for name in (f"/p/{named}", f"/p/{named}-other"):
        await asyncio.to_thread(client.create_log_group, logGroupName=name)
    assert await log_group.ensure(client, f"/p/{named}", 30) == [
        f"log group /p/{named} keeps 30 days"
    ]
    assert await log_group.ensure(client, f"/p/{named}", 30) == []
    away = Aws("eu-central-1", "http://127.0.0.1:9").logs()
    with pytest.raises(AwsError, match=r"log group /p/x: EndpointConnectionError"):
        await log_group.ensure(away, "/p/x", 30)


async def test_a_table_that_is_too_young_to_be_backed_up_is_waited_for(aws, monkeypatch):
    """DynamoDB says so for some seconds after a table was made."""
    monkeypatch.setattr(dynamodb_table, "TRY_SECONDS", 0.0)
    client = aws.dynamodb()
    table = {"Table": {"KeySchema": [{"AttributeName": "repository", "KeyType": "HASH"}]}}
    off = {"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "DISABLED"}}
    with Stubber(client) as stub:
        stub.add_response("describe_table", table)
        stub.add_response("describe_table", table)
        stub.add_response("describe_continuous_backups", off)
        for _ in range(3):
            stub.add_client_error("update_continuous_backups", dynamodb_table.NOT_YET)
        stub.add_response("update_continuous_backups", off)
        changed = await dynamodb_table.ensure(client, "some", dynamodb_table.CONCURRENCY)
        stub.assert_no_pending_responses()
    assert changed == ["table some can be recovered to a point in time"]


def test_retentions_are_those_that_cloudwatch_takes():
    """Anything else would fail at setup only."""
    with pytest.raises(configuration.InvalidSettings, match=r"logs\.retention_days: CloudWatch"):
        configuration.load(None, logs={"retention_days": 31})
