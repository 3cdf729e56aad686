"""`penstock doctor`: good where all is well; where not, one line with the cause and the mend."""

import json
import time
from email.utils import formatdate

import pytest

import settings as configuration
from activities.clients import dead_letter_queue, dynamodb_table
from activities.clients.github import Credentials
from activities.clients.github.survey import Survey
from activities.clients.sealing import new_key
from commands.checks import github
from commands.doctor import examine
from demo.site import APP_ID
from policy import names
from tests.activities.hub import PAT
from tests.activities.scripted import scripted
from tests.e2e.process import PENSTOCK, run
from wiring_metrics import make_alarms, make_dashboard

APP = {"name": "Penstock", "events": ["workflow_job"]}
HOOK = {
    "url": "https://ci.example.org/webhooks/github",
    "content_type": "json",
    "secret": "********",
    "insecure_ssl": "0",
}
INSTALLED = {
    "id": 7,
    "account": {"login": "Acme"},
    "permissions": {"administration": "write", "actions": "read", "metadata": "read"},
    "suspended_at": None,
}
ACCESS = (201, {}, {"token": "ghs_x", "expires_at": "2999-01-01T00:00:00Z"})
RATES = {"resources": {"core": {"limit": 5000, "remaining": 4000}, "search": {}}}
OK = [(200, {}, APP), (200, {}, HOOK), (200, {}, [{"status_code": 200, "status": "OK"}])]
REST = [(200, {}, [INSTALLED]), ACCESS, (200, {}, RATES)]


async def findings(hub, github_, scope="repository", paused=None, **how):
    """What is found at a scripted GitHub: by what was looked at, state and words."""
    side = hub.side(url=github_.url, **how)
    return {
        found.what: (found.state, found.said)
        async for found in github.look(Survey(side.client), scope, paused)
    }


async def test_all_is_well(hub):
    """Nothing but good."""
    async with scripted(*OK, *REST) as github_:
        found = await findings(hub, github_)
    assert {state for state, _ in found.values()} == {"good"}
    assert set(found) == {
        *("GitHub credentials", "clock", "events", "webhook", "deliveries"),
        *("permissions in acme", "limits of acme"),
    }


def with_(base, **changes):
    """The same but for these."""
    return {**base, **changes}


WRONG = {
    "credentials": (
        [(401, {}, {"message": "A JSON web token could not be decoded"})],
        ("GitHub credentials", "bad", "github.app_id"),
    ),
    "events": (
        [(200, {}, with_(APP, events=["push"])), *OK[1:], *REST],
        ("events", "bad", "Workflow job"),
    ),
    "no hook": ([OK[0], (404, {}, {}), OK[2], *REST], ("webhook", "warning", "has none")),
    "hook elsewhere": (
        [OK[0], (200, {}, with_(HOOK, url="https://ci.example.org/hook")), OK[2], *REST],
        ("webhook", "bad", "does not end in /webhooks/github"),
    ),
    "hook as a form": (
        [OK[0], (200, {}, with_(HOOK, content_type="form")), OK[2], *REST],
        ("webhook", "bad", "wants json"),
    ),
    "hook without secret": (
        [OK[0], (200, {}, {k: v for k, v in HOOK.items() if k != "secret"}), OK[2], *REST],
        ("webhook", "bad", "gateway.webhook_secret_file"),
    ),
    "hook without certificate": (
        [OK[0], (200, {}, with_(HOOK, insecure_ssl="1")), OK[2], *REST],
        ("webhook", "bad", "certificate"),
    ),
    "another secret": (
        [
            *OK[:2],
            (200, {}, [{"status_code": 401, "status": "Invalid HTTP Response: 401"}]),
            *REST,
        ],
        ("deliveries", "bad", "secret is not the gateway's"),
    ),
    "drained": (
        [*OK[:2], (200, {}, [{"status_code": 503}, {"status_code": 200}]), *REST],
        ("deliveries", "warning", "1 of the last 2 failed"),
    ),
    "timed out": (
        [*OK[:2], (200, {}, [{"status_code": 0, "status": "timed out"}]), *REST],
        ("deliveries", "warning", "timed out"),
    ),
    "nothing sent": ([*OK[:2], (200, {}, []), *REST], ("deliveries", "warning", "nothing")),
    "installed nowhere": (
        [*OK, (200, {}, [])],
        ("installations", "bad", "install it in an organization"),
    ),
    "suspended": (
        [*OK, (200, {}, [with_(INSTALLED, suspended_at="2026-01-01T00:00:00Z")])],
        ("permissions in acme", "bad", "unsuspend"),
    ),
    "permission": (
        [*OK, (200, {}, [with_(INSTALLED, permissions={"actions": "read"})]), *REST[1:]],
        ("permissions in acme", "bad", "administration is none, wants write"),
    ),
    "no limits": (
        [*OK, *REST[:2], (404, {}, {"message": "Rate limiting is not enabled."})],
        ("limits of acme", "good", "counts no calls"),
    ),
    "little left": (
        [*OK, *REST[:2], (200, {}, {"resources": {"core": {"limit": 5000, "remaining": 900}}})],
        ("limits of acme", "warning", "core 900 of 5000"),
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
async def test_what_is_wrong_is_said_with_its_mend(hub, case):
    """In one line."""
    answers, (what, state, words) = case
    async with scripted(*answers) as github_:
        found = await findings(hub, github_)
    assert found[what][0] == state
    assert words in found[what][1]
    assert all("\n" not in said for _, said in found.values())


async def test_whom_github_keeps_waiting_is_not_asked_for(hub):
    """The rest is; a person's calls count together, so that there nothing is asked."""
    paused = {"acme": 1_800_000_000.0}
    async with scripted(*OK, REST[0]) as github_:
        found = await findings(hub, github_, paused=paused)
        assert found["limits of acme"][0] == "warning"
        assert "until 08:00:00 UTC" in found["limits of acme"][1]
        assert found["permissions in acme"][0] == "good"
        asked = len(github_.asked)
        found = await findings(hub, github_, paused=paused, credentials=Credentials(token=PAT))
        assert list(found) == ["GitHub"]
        assert len(github_.asked) == asked


async def test_a_clock_that_is_off_is_a_warning(hub):
    """Penstock allows for it."""
    late = {"Date": formatdate(hub.clock() + 900, usegmt=True)}
    async with scripted((200, late, APP), *OK[1:], *REST) as github_:
        # The later answers have no Date: what was learnt stays.
        found = await findings(hub, github_)
    assert found["clock"][0] == "warning"
    assert "behind" in found["clock"][1]


@pytest.mark.parametrize(
    ("headers", "state", "words"),
    [
        ({"X-OAuth-Scopes": "repo, admin:org"}, "good", "repo"),
        ({"X-OAuth-Scopes": "read:user"}, "bad", "lacks the scope repo"),
        ({}, "skipped", "fine-grained"),
    ],
)
async def test_a_persons_token(hub, headers, state, words):
    """Classic ones tell their scopes, fine-grained ones nothing."""
    async with scripted((200, headers, {"login": "ada"}), (200, {}, RATES)) as github_:
        found = await findings(hub, github_, credentials=Credentials(token=PAT))
    assert found["GitHub credentials"] == ("good", "user ada")
    assert found["permissions"][0] == state
    assert words in found["permissions"][1]
    assert found["webhook"][0] == "skipped"


async def test_the_whole_of_a_running_penstock_is_good(penstock):
    """Against the simulated GitHub and a real Temporal server, by a process of its own."""
    stack = await penstock()
    await stack.site.jobs("acme/api")
    await stack.site.wait("all_completed")
    found = {f.what: f async for f in examine(stack.settings)}
    bad = [f for f in found.values() if f.state in ("bad", "warning")]
    assert bad == []
    assert found["workers"].said == "1 poll"
    assert found["AWS"].state == "skipped"
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    await fleet.signal("cool_down", args=["acme", time.time() + 600])
    found = {f.what: f async for f in examine(stack.settings)}
    assert "not asked" in found["limits of acme"].said


async def test_nothing_there_is_said_part_by_part(tmp_path):
    """No credentials, no Temporal: exit 1, a line each, and nothing is started."""
    here = {"PENSTOCK_STATE_DIR": str(tmp_path)}
    code, said = await run(*PENSTOCK, "doctor", "-o", "json", **here)
    assert code == 1
    found = {one["what"]: one for one in json.loads(said)}
    assert found["configuration"]["state"] == "bad"
    assert "webhook_secret" in found["configuration"]["said"]
    assert found["GitHub"]["state"] == "skipped"
    assert "penstock dev" in found["Temporal"]["said"]
    code, said = await run(*PENSTOCK, "doctor", **here)
    assert code == 1
    assert "bad  configuration: gateway.webhook_secret is missing" in said
    assert said.rstrip().endswith("2 bad")


async def test_aws_is_looked_at_where_it_is_used(aws, tmp_path, hub):
    """Keys, table, secrets: each with its mend."""
    keys = tmp_path / "keys"
    keys.write_text(f"new {new_key()}\nold {new_key()}\n")

    async def look(**tokens):
        made = configuration.load(
            None,
            state_dir=tmp_path,
            aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
            tokens={"store": "dynamodb", "encryption_keys_file": keys, **tokens},
            github={"app_id": APP_ID, "private_key_secret": "no-such-secret"},
        )
        return {f.what: f async for f in examine(made)}

    found = await look(table="doctors-table")
    assert found["AWS"].said.startswith("arn:aws:")
    assert found["Secrets Manager"].state == "bad"
    assert "secretsmanager:GetSecretValue" in found["Secrets Manager"].said
    assert found["encryption keys"].said == "new seals"
    assert found["table doctors-table"].said == "it does not exist: run penstock setup"
    assert await dynamodb_table.make(aws.dynamodb(), "doctors-table")
    assert (await look(table="doctors-table"))["table doctors-table"].state == "good"
    keys.write_text("a-canary short\n")
    assert (await look(table="doctors-table"))["encryption keys"].state == "bad"


async def test_the_queue_of_the_dead_letters_is_looked_at(aws, tmp_path):
    """There, and such that it keeps what it is given."""
    name = "doctors-letters"
    made = configuration.load(
        None,
        state_dir=tmp_path,
        aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
        dead_letters={"store": "sqs", "queue_name": name},
    )

    async def look():
        return {f.what: f async for f in examine(made)}[f"queue {name}"]

    assert (await look()).said == "it does not exist: run penstock setup"
    assert await dead_letter_queue.make(aws.sqs(), name)
    assert (await look()).state == "good"
    url = await dead_letter_queue.url_of(aws.sqs(), name)
    aws.sqs().set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "5"})
    assert "take that off, or name another queue" in (await look()).said


async def test_ecs_is_looked_at_where_runners_are_tasks(aws, tmp_path):
    """The cluster, each task definition once, and the container in it."""
    client = aws.ecs()

    async def look(**ecs):
        made = configuration.load(
            None,
            state_dir=tmp_path,
            aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
            runner={"launcher": "ecs"},
            ecs={"cluster": "doctors", "task_definition": "doctors-runner", **ecs},
        )
        return {f.what: f async for f in examine(made)}

    found = await look()
    assert found["cluster doctors"].said == "there is no such cluster: set ecs.cluster"
    assert "register it" in found["task definition doctors-runner"].said
    client.create_cluster(clusterName="doctors")
    client.register_task_definition(
        family="doctors-runner",
        containerDefinitions=[{"name": "runner", "image": "runner", "memory": 128}],
    )
    found = await look(profiles=[{"labels": ["gpu"], "container": "gpu"}])
    assert found["cluster doctors"].state == "good"
    found = await look(profiles=[{"labels": ["gpu"], "cpu": "4096"}])
    assert found["task definition doctors-runner"].said == "container runner"
    found = await look(container="another")
    assert "no container 'another'" in found["task definition doctors-runner"].said
    found = await look(capacity_providers=["FARGATE"])
    assert found["ECS"].said.startswith("ecs.subnets is missing")


async def test_the_alarms_are_looked_at_where_cloudwatch_is_told(aws, tmp_path):
    """A fleet is served without them: a warning, with the mend."""
    made = configuration.load(
        None,
        state_dir=tmp_path,
        aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
        cloudwatch={"enabled": True, "alarm_prefix": "doctors-", "dashboard": "Doctors"},
    )

    async def look():
        return {f.what: f async for f in examine(made)}["CloudWatch Penstock"]

    found = await look()
    assert found.state == "warning"
    said = "alarm doctors-high-queue-depth: new and 6 more: run penstock setup"
    assert found.said == said
    assert await make_alarms(made)
    assert (await look()).said == "dashboard Doctors: new: run penstock setup"
    assert await make_dashboard(made)
    assert (await look()).state == "good"


async def test_the_table_of_what_runs_is_looked_at(aws, tmp_path):
    """Where it is published."""
    made = configuration.load(
        None,
        state_dir=tmp_path,
        aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
        concurrency={"enabled": True, "table": "doctors-concurrency"},
    )

    async def look():
        return {f.what: f async for f in examine(made)}["table doctors-concurrency"]

    assert (await look()).said == "it does not exist: run penstock setup"
    kind = dynamodb_table.CONCURRENCY
    assert await dynamodb_table.ensure(aws.dynamodb(), "doctors-concurrency", kind)
    assert ((await look()).state, (await look()).said) == ("good", "written every 5 s")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_DEFAULT_REGION", "", "a region"),
        ("AWS_PROFILE", "no-such-profile", "no-such-profile"),
    ],
)
async def test_an_aws_that_cannot_even_be_asked_is_said(tmp_path, monkeypatch, name, value, words):
    """No region, no such profile: a line each, with the mend, and no traceback."""
    for one in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(one, raising=False)
    if value:
        monkeypatch.setenv(name, value)
    for one in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(one, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = tmp_path / "keys"
    keys.write_text(f"new {new_key()}\n")
    made = configuration.load(
        None, state_dir=tmp_path, tokens={"store": "dynamodb", "encryption_keys_file": keys}
    )
    found = {f.what: f async for f in examine(made)}
    assert found["GitHub"].state == "skipped"
    assert words in found["GitHub"].said
    assert "set aws.region" in found["GitHub"].said
    assert any(f.state == "bad" and "aws.region" in f.said for f in found.values())
    assert all("\n" not in f.said for f in found.values())
