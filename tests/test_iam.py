"""deploy/iam: each role may do what the code does there, and nothing else.

Two ways to know what the code does, which must agree: its calls to AWS as they are recorded while
every adapter works against moto, role by role; and the names of AWS's operations in the sources.
"""

import ast
import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
from botocore import xform_name
from botocore.session import get_session

import settings as configuration
import wiring
from activities.clients.aws import Aws
from activities.clients.cloudwatch import CloudWatchSink
from activities.clients.concurrency_table import DynamoDBConcurrency
from activities.clients.ecs import EcsLauncher
from activities.clients.sealing import new_key
from activities.github import RunnerToken
from activities.runners import LaunchRequest
from activities.token_store import Change
from commands.checks import aws as doctor
from commands.setup import Order, perform
from policy.cloudwatch import Datum
from policy.concurrency import Row
from tests.activities.conftest import aws
from tests.activities.ecs_front import front
from tests.activities.test_dead_letters import letter
from tests.support import until
from wiring_runners import launcher_of

__all__ = ["aws"]

ROOT = Path(__file__).resolve().parents[1]
POLICIES = ROOT / "deploy" / "iam"
CLIENTS = ROOT / "activities" / "clients"

# What AWS asks for beside a call that names it: RunTask with tags, and with a task's roles.
NO_CALLS = {"worker-ecs": {"ecs:TagResource", "iam:PassRole"}}
# Where the permission is not called as the operation (Service Authorization Reference).
OTHERWISE = {
    "dynamodb:TransactWriteItems": "dynamodb:PutItem",  # we only put
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sts:GetCallerIdentity": "",  # everybody may
}


def statements(role: str) -> list[dict]:
    """Those of a policy."""
    policy = json.loads((POLICIES / f"{role}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    return policy["Statement"]


def listed(value: str | list[str]) -> list[str]:
    """One or several, as IAM writes them."""
    return [value] if isinstance(value, str) else value


def allowed(role: str) -> set[str]:
    """The actions of a policy."""
    return {action for one in statements(role) for action in listed(one["Action"])}


def roles() -> list[str]:
    """All policies."""
    return sorted(path.stem for path in POLICIES.glob("*.json"))


def permission(service: str, operation: str) -> str:
    """What IAM calls it; empty if it wants none."""
    called = f"{service}:{operation}"
    return OTHERWISE.get(called, called)


@dataclass(frozen=True)
class Recorded(Aws):
    """AWS, with every call written down that goes out."""

    calls: set[str] = field(default_factory=set)

    def _session(self) -> boto3.Session:
        session = super()._session()

        def note(model, **_: object) -> None:
            self.calls.add(permission(model.service_model.service_name, model.name))

        session.events.register("before-call", note)
        return session

    def take(self) -> set[str]:
        """What was called since the last time."""
        taken = self.calls - {""}
        self.calls.clear()
        return taken


@pytest.fixture
def recorded(aws: Aws, monkeypatch) -> Recorded:
    """In the place of AWS, wherever the wiring makes it."""
    made = Recorded(aws.region, aws.endpoint_url)
    monkeypatch.setattr(wiring, "Aws", lambda *_: made)
    return made


@pytest.fixture
def settings(recorded, tmp_path):
    """A configuration that uses all of AWS."""
    one = uuid.uuid4().hex[:8]
    recorded.secretsmanager().create_secret(Name=f"penstock/{one}", SecretString=f"k {new_key()}")
    recorded.take()
    return configuration.load(
        None,
        state_dir=tmp_path,
        github={"token_secret": f"penstock/{one}"},
        tokens={
            "store": "dynamodb",
            "table": f"tokens-{one}",
            "encryption_keys_secret": f"penstock/{one}",
        },
        concurrency={"enabled": True, "table": f"concurrency-{one}"},
        dead_letters={"store": "sqs", "queue_name": f"letters-{one}"},
        logs={"group": f"/penstock/{one}"},
        cloudwatch={"enabled": True, "alarm_prefix": f"penstock-{one}-", "dashboard": one},
    )


def of_the_image() -> set[str]:
    """What the runner's container calls, by its source."""
    text = (ROOT / "deploy" / "runner" / "entrypoint.py").read_text()
    found: set[str] = set()
    for service, name in (("ssm", "ssm"), ("secretsmanager", "manager")):
        model = get_session().get_service_model(service)
        operations = {xform_name(one): one for one in model.operation_names}
        called = re.findall(rf"\b{name}\.(\w+)\(", text)
        assert len(called) == 2
        found |= {permission(service, operations[one]) for one in called}
    return found


async def on_ecs(ecs, settings, handover: str) -> None:
    """A worker's way with a task: launched twice, followed, stopped; the doctor's look."""
    sqs = ecs.moto.sqs()
    made = await asyncio.to_thread(sqs.create_queue, QueueName="penstock-task-events")
    url = f"{ecs.url}/{made['QueueUrl'].split('/', 3)[3]}"
    await asyncio.to_thread(sqs.send_message, QueueUrl=url_at(ecs, url), MessageBody="{}")
    table = {
        "cluster": "runners",
        "task_definition": "runner",
        "launch_type": "EC2",
        "handover": handover,
        "event_queue_url": url,
    }
    of = configuration.load(
        None,
        state_dir=settings.state_dir,
        runner={"launcher": "ecs"},
        ecs=table,
        aws={"region": "eu-central-1", "endpoint_url": ecs.url},
    )
    wanted = LaunchRequest("runner-job/acme/api/1", "acme/api", f"penstock-{handover}-1")
    async with launcher_of(of) as launcher:
        for _ in range(2):
            await launcher.launch(wanted, RunnerToken("a-secret", 0.0, 9e9))
        assert await launcher.find(wanted.name, 2)
        await launcher.stop(wanted.name)
        async for end in launcher.ended():
            if end.name == wanted.name:
                break
        assert isinstance(launcher, EcsLauncher)
        await launcher._do(launcher._secrets.sweep)

        async def heard():
            asked = await asyncio.to_thread(
                sqs.get_queue_attributes, QueueUrl=url_at(ecs, url), AttributeNames=["All"]
            )
            counts = asked["Attributes"]
            return counts["ApproximateNumberOfMessages"] == "0" and (
                counts["ApproximateNumberOfMessagesNotVisible"] == "0"
            )

        await until(heard)
    async for _ in doctor.look(of):
        pass


def url_at(ecs, url: str) -> str:
    """The queue's address at moto itself."""
    return url.replace(ecs.url, ecs.moto.endpoint_url)


async def test_each_role_may_do_what_it_does_and_nothing_else(
    client, recorded, settings, tmp_path, monkeypatch
):
    """By the calls as they go out to AWS."""
    did: dict[str, set[str]] = {}
    for _ in range(2):  # the second time it looks at more
        assert [part async for part in perform(Order(client, settings), lambda _: None)]
    did["setup"] = recorded.take()

    letters = wiring.letters_of(settings)  # those of both
    for name in ("delivery-1", "delivery-2"):
        await letters.put(letter(name))
    assert await letters.remove("delivery-1")
    did["gateway"] = recorded.take()

    side = await wiring.github_of(settings)
    store = await wiring.store_of(settings, side.clock)
    assert await store.write([Change("a", 0, {}, "secret", side.clock() + 60)])
    assert await store.read("a")
    await side.close()
    rows = DynamoDBConcurrency(recorded.dynamodb, settings.concurrency.table)
    assert await rows.write(Row("acme/api", version=1), 0)
    assert await rows.rows()
    async for _ in doctor.look(settings):
        pass
    sink = CloudWatchSink(recorded.cloudwatch(), settings.cloudwatch.namespace)
    await sink.put([Datum("a", "Count", ((1.0, 1),))], time.time())
    told = recorded.take()
    did["gateway"] |= {"cloudwatch:PutMetricData"} & told
    did["worker"] = told | did["gateway"]

    async with front(Aws(recorded.region, recorded.endpoint_url), tmp_path / "ecs") as ecs:
        await ecs.prepare()
        ecs_calls = Recorded(recorded.region, ecs.url)
        monkeypatch.setattr(wiring, "Aws", lambda *_: ecs_calls)
        for handover in ("ssm", "secretsmanager"):
            await on_ecs(ecs, settings, handover)
    did["worker-ecs"] = ecs_calls.take()
    did["runner-task"] = of_the_image()

    for role in roles():
        calls = did.get(role, set())
        wanted = calls | NO_CALLS.get(role, set())
        assert allowed(role) == wanted, role


def test_no_call_stands_in_the_sources_that_no_role_may_make():
    """By the sources, so that a call which no test above makes is not forgotten."""
    read: set[str] = set()
    for source in CLIENTS.rglob("*.py"):
        read |= set(_calls_in(source))
    read |= of_the_image()
    expected = set.union(*NO_CALLS.values())
    assert set.union(*map(allowed, roles())) == (read | expected) - {""}
    assert len(read) > 15


def _calls_in(source: Path) -> Iterator[str]:
    """The permissions that a source wants, by the names of the methods it uses."""
    text = source.read_text()
    services = re.findall(r"from types_boto3_(\w+)\.client", text)
    assert services or source.name == "sts.py" or "import boto3" not in text, (
        f"{source}: name the clients' types, so that this test knows the services"
    )  # sts.py signs by boto3, and sends what it signed by itself
    methods: dict[str, str] = {}
    for service in services:
        model = get_session().get_service_model(service)
        for operation in model.operation_names:
            methods[xform_name(operation)] = permission(service, operation)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            yield methods.get(node.attr, "")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "get_paginator":
                yield methods[ast.literal_eval(node.args[0])]
            elif node.func.attr == "get_waiter":
                assert ast.literal_eval(node.args[0]) == "table_exists"
                yield permission("dynamodb", "DescribeTable")


@pytest.mark.parametrize("role", roles())
def test_a_policy_allows_things_by_name(role):
    """No wildcard of actions; everything only if a condition narrows it; no account of ours."""
    sids = [one["Sid"] for one in statements(role)]
    assert len(set(sids)) == len(sids)
    for one in statements(role):
        assert one["Effect"] == "Allow"
        actions = listed(one["Action"])
        assert len(set(actions)) == len(actions)
        assert all(re.fullmatch(r"[a-z]+:[A-Z]\w+", action) for action in actions)
        for resource in listed(one["Resource"]):
            assert (resource == "*") <= ("Condition" in one), one["Sid"]
            assert resource == "*" or "ACCOUNT" in resource
            assert not re.search(r"\d{12}", resource)


def test_the_policies_name_what_is_configured_by_default():
    """Whoever changes a name changes it there too."""
    text = "".join((POLICIES / f"{role}.json").read_text() for role in roles())
    made = configuration.load(None)
    for table in (made.tokens.table, made.concurrency.table):
        assert f':table/{table}"' in text
    assert f':ACCOUNT:{made.dead_letters.queue_name}"' in text
    assert f':alarm:{made.cloudwatch.alarm_prefix}*"' in text
    assert f':dashboard/{made.cloudwatch.dashboard}*"' in text
    assert f':parameter{made.ecs.handover_prefix}/*"' in text
