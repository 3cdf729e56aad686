"""AWS identities at /admin: moto's STS for those that are let in, stand-ins for refusals."""

import asyncio
import base64
import json
from contextlib import AsyncExitStack, asynccontextmanager

import boto3
import pytest

from activities.clients import sts as adapter
from activities.clients.sts import signed_headers
from policy.iam import write
from tests.api.gate import Gate
from tests.api.sts import ANSWER, REFUSAL, sts
from tests.e2e.process import PENSTOCK, run

SERVER = "penstock.test"
ROLE = "arn:aws:iam::123456789012:role/ops-eu"
OPERATE = ["arn:aws:iam::123456789012:role/ops*"]
READ = ["arn:aws:sts::123456789012:user/moto"]  # as moto names whoever has a key
SESSION = "arn:aws:sts::123456789012:assumed-role/ops-eu/ann"


def iam(url: str, **more) -> dict:
    """The configuration: `[gateway.iam]`, and no key at all."""
    table = {"sts_url": url, "server_id": SERVER, "arns": OPERATE, "read_arns": READ, **more}
    return {"iam": table, "admin_key_hashes": []}


async def ask(gate, value: str, method: str = "GET", path: str = "jobs"):
    """One request with this Authorization."""
    headers = {"Authorization": value}
    return await gate.http.request(method, f"{gate.url}/admin/{path}", headers=headers)


def signed(url: str, server: str = SERVER, **changed: str | None) -> str:
    """An Authorization by the environment's credentials, with headers changed after signing."""
    headers: dict[str, str] = {}
    for name, value in signed_headers(url, server, "eu-central-1").items():
        new = changed.get(name.lower().replace("-", "_"), value)
        if new is not None:
            headers[name] = new
    return f"Penstock-IAM {write(headers)}"


@pytest.fixture
def assume(aws, monkeypatch):
    """Have the environment be a session of this role."""

    def assumed(role: str) -> None:
        client = boto3.client("sts", endpoint_url=aws.endpoint_url, region_name="eu-central-1")
        got = client.assume_role(RoleArn=role, RoleSessionName="ann")["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", got["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", got["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", got["SessionToken"])

    return assumed


async def test_an_identity_has_the_scope_of_its_pattern(aws, tmp_path, assume):
    """A user may look, a session of a role what its role may; by the command that users have."""
    async with Gate.open(tmp_path, gateway=iam(aws.endpoint_url)) as gate:
        where = ("--sts-url", aws.endpoint_url, "--server-id", SERVER)
        code, said = await run(*PENSTOCK, "admin-key", "iam", *where)
        assert code == 0, said
        user = said.strip()
        assert (await ask(gate, user)).status_code == 200
        refused = await ask(gate, user, "DELETE", "dead-letters/none")
        assert refused.status_code == 403
        assert "scope read" in refused.json()["detail"]
        assume(ROLE)
        code, said = await run(*PENSTOCK, "admin-key", "iam", *where, "-o", "json")
        assert code == 0, said
        role = json.loads(said)["authorization"]
        assert (await ask(gate, role)).status_code == 200
        assert (await ask(gate, role, "DELETE", "dead-letters/none")).status_code == 404
        assume("arn:aws:iam::123456789012:role/guests")
        answer = await ask(gate, signed(aws.endpoint_url))
        assert answer.status_code == 403
        assert "assumed-role/guests/ann is let in by no pattern" in answer.json()["detail"]
        assert (await ask(gate, "Bearer pen_x")).status_code == 401


@asynccontextmanager
async def beside(tmp_path, **how):
    """A gateway and the STS that it asks."""
    async with AsyncExitStack() as held:
        stub = await held.enter_async_context(sts(**how))
        gate = await held.enter_async_context(Gate.open(tmp_path, gateway=iam(stub.url)))
        yield gate, stub


async def test_what_is_not_this_question_to_this_server_is_never_passed_on(aws, tmp_path):
    """401 with the reason, and STS hears nothing."""
    async with beside(tmp_path, text=ANSWER.format(arn=SESSION)) as (gate, stub):
        told = {"method": "POST", "headers": {}, "body": "Action=AssumeRole&Version=2011-06-15"}
        other = base64.b64encode(json.dumps(told).encode()).decode()
        cases = {
            "another host": signed("http://127.0.0.1:1"),
            "a host of the client's choice": signed(stub.url, host="evil.example.org"),
            "a replay for another server": signed(stub.url, "another.example.org"),
            "another server's name put in": signed(
                stub.url, "b.test", x_penstock_server_id=SERVER
            ),
            "an old date": signed(stub.url, x_amz_date="20260101T000000Z"),
            "no date": signed(stub.url, x_amz_date=None),
            "no server": signed(stub.url, x_penstock_server_id=None),
            "another question": f"Penstock-IAM {other}",
            "no base64": "Penstock-IAM ???",
        }
        # A header that was changed after signing is STS's to find; all else is ours.
        passed_on = cases.pop("another server's name put in")
        for case, value in cases.items():
            answer = await ask(gate, value)
            assert answer.status_code == 401, case
            assert "WWW-Authenticate" in answer.headers
            assert "Penstock-IAM" in answer.headers["www-authenticate"]
        assert stub.asked == []
        stub.status, stub.text = 403, REFUSAL.format(code="SignatureDoesNotMatch")
        answer = await ask(gate, passed_on)
        assert answer.status_code == 401
        assert "SignatureDoesNotMatch" in answer.json()["detail"]
        assert len(stub.asked) == 1


async def test_the_question_arrives_as_it_was_signed_and_is_asked_once(aws, tmp_path):
    """Only what was signed is passed on; a good answer counts for a minute, a bad one never."""
    async with beside(tmp_path, text=ANSWER.format(arn=SESSION)) as (gate, stub):
        value = signed(stub.url)
        for _ in range(5):
            assert (await ask(gate, value)).status_code == 200
        (asked,) = stub.asked
        told = json.loads(base64.b64decode(value.split()[1]))
        assert asked.startswith("POST / HTTP/1.1\r\n")
        assert asked.endswith("\r\n\r\nAction=GetCallerIdentity&Version=2011-06-15")
        for name, header in told["headers"].items():
            assert f"{name}: {header}\r\n".lower() in asked.lower()
        stub.status, stub.text = 403, REFUSAL.format(code="ExpiredToken")
        other = signed(stub.url, x_amz_security_token=None)
        for _ in range(2):
            headers = json.loads(base64.b64decode(other.split()[1]))["headers"]
            headers["Authorization"] = headers["Authorization"][:-4] + "0000"
            answer = await ask(gate, f"Penstock-IAM {write(headers)}")
            assert (answer.status_code, "ExpiredToken" in answer.json()["detail"]) == (401, True)
        assert len(stub.asked) == 3


UNAVAILABLE = {
    "an error": {"status": 500, "text": "oops"},
    "throttled": {"status": 400, "text": REFUSAL.format(code="Throttling")},
    "a redirect": {"status": 302, "headers": "Location: http://127.0.0.1:1/\r\n"},
    "no identity": {"status": 200, "text": "<html>a portal</html>"},
    "too long": {"status": 200, "text": "x" * 100_000},
}


@pytest.mark.parametrize("how", UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_an_sts_that_cannot_say_is_503_and_nobody_is_let_in(aws, tmp_path, how):
    """With Retry-After; it is no failed attempt, however often; keys work on."""
    async with beside(tmp_path, **how) as (gate, stub):
        value = signed(stub.url)
        for _ in range(12):
            answer = await ask(gate, value)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"


async def test_an_sts_that_is_down_or_silent_is_503(aws, tmp_path, monkeypatch):
    """After the time that it has."""
    monkeypatch.setattr(adapter, "TIMEOUT_SECONDS", 0.5)
    async with beside(tmp_path, silent=True) as (gate, stub):
        answers = await asyncio.gather(*(ask(gate, signed(stub.url)) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {503}
        assert "does not answer" in answers[0].json()["detail"]
    nobody = "http://127.0.0.1:1"
    async with Gate.open(tmp_path / "down", gateway=iam(nobody)) as gate:
        answer = await ask(gate, signed(nobody))
        assert answer.status_code == 503
        assert "ConnectError" in answer.json()["detail"]


async def test_refused_signatures_are_failed_attempts(aws, tmp_path):
    """Ten, and then STS is not asked for this address any more."""
    async with beside(tmp_path, status=403, text=REFUSAL.format(code="InvalidClientTokenId")) as (
        gate,
        stub,
    ):
        value = signed(stub.url)
        answers = [(await ask(gate, value)).status_code for _ in range(12)]
        assert answers == [401] * 10 + [429] * 2
        assert len(stub.asked) == 10


async def test_without_credentials_the_command_says_what_to_do(tmp_path):
    """One line, exit 1; and exit 2 where it does not know which STS."""
    nothing = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    where = ("--sts-url", "https://sts.eu-central-1.amazonaws.com", "--server-id", SERVER)
    code, said = await run(*PENSTOCK, "admin-key", "iam", *where, **nothing)
    assert (code, said.startswith("penstock: there are no AWS credentials")) == (1, True), said
    assert len(said.splitlines()) == 1
    config = tmp_path / "penstock.toml"
    config.write_text("")
    code, said = await run(*PENSTOCK, "admin-key", "iam", "--config", str(config))
    assert (code, "--sts-url" in said, "[gateway.iam]" in said) == (2, True, True)
