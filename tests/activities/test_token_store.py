"""The token store: what memory and DynamoDB must do alike, and what only DynamoDB can do wrong."""

import asyncio
import json
import uuid

import pytest

from activities.clients import dynamodb_table
from activities.clients.aws import Aws, AwsError
from activities.clients.dynamodb_store import DynamoDBStore
from activities.clients.sealing import Sealer, new_key
from activities.errors import Deferred
from activities.meter import Budget, Call, Meter
from activities.token_store import Change, MemoryStore, StoreUnavailable
from policy.token_bucket import Rate

NOW = 2_000_000.0
CANARY = "an-unmistakable-runner-token"


class Clock:
    """Time by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Epoch seconds."""
        return self.now


@pytest.fixture
async def table(aws: Aws) -> str:
    """A new table."""
    name = f"tokens-{uuid.uuid4()}"
    assert await dynamodb_table.make(aws.dynamodb(), name)
    return name


@pytest.fixture(params=["memory", "dynamodb"])
def make(request, aws, table):
    """Makes stores on the same records, as workers have them."""
    clock, keys = Clock(), {"k1": new_key()}
    memory = MemoryStore(clock)

    def one():
        if request.param == "memory":
            return memory
        return DynamoDBStore(aws.dynamodb(), table, Sealer(keys), clock)

    one.clock = clock
    return one


async def test_what_was_written_is_read(make):
    """By every worker; absent keys are left out."""
    store = make()
    change = Change("a#b", 0, {"x": 1.5, "y": {"z": [1]}}, CANARY, NOW + 60)
    assert await store.write([change])
    (found,) = (await make().read("a#b", "none", "a#b")).values()
    assert (found.version, found.value) == (change.next_version, {"x": 1.5, "y": {"z": [1]}})
    assert (found.secret, found.expires_at) == (CANARY, NOW + 60)
    assert CANARY not in repr(found)
    assert CANARY not in repr(change)


async def test_a_change_of_an_old_version_changes_nothing(make):
    """All or none."""
    store = make()
    assert await store.write([Change("a", 0, {"n": 1}, "", NOW + 60)])
    old = (await store.read("a"))["a"]
    assert await store.write([Change("a", old.version, {"n": 2}, "", NOW + 60)])
    for version in (old.version, 0, old.version + 5):
        changes = [Change("b", 0, {}, "", NOW + 60), Change("a", version, {"n": 9}, "", NOW + 60)]
        assert not await store.write(changes)
    found = await store.read("a", "b")
    assert {key: record.value for key, record in found.items()} == {"a": {"n": 2}}


async def test_what_has_expired_is_gone_whether_deleted_or_not(make):
    """Moto, like DynamoDB for days, keeps it; a record made anew is never taken for the old."""
    store = make()
    assert await store.write([Change("a", 0, {"n": 1}, CANARY, NOW + 60)])
    old = (await store.read("a"))["a"]
    make.clock.now = NOW + 60
    assert await store.read("a") == {}
    assert not await store.write([Change("a", old.version, {"n": 9}, "", NOW + 90)])
    assert await store.write([Change("a", 0, {"n": 2}, "", NOW + 120)])
    assert not await store.write([Change("a", old.version, {"n": 9}, "", NOW + 120)])
    assert (await store.read("a"))["a"].value == {"n": 2}


async def test_of_writers_at_once_one_wins(make):
    """However many."""
    store = make()
    writes = (make().write([Change("a", 0, {"n": n}, "", NOW + 60)]) for n in range(8))
    assert sum(await asyncio.gather(*writes)) == 1
    assert len(await store.read("a")) == 1


async def test_a_bucket_is_exact_across_workers(make):
    """Five workers at once on a budget of ten: ten calls pass, not one more."""
    budget = Budget(Rate(10, 60.0), None)
    meters = [Meter(make(), budget, make.clock) for _ in range(5)]
    calls = [
        meter.admit(Call(f"installation:{n}", "acme/api", "GET", pays=True))
        for n, meter in enumerate(meters * 6)
    ]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(end, Exception) for end in ends) == 10
    assert {type(end) for end in ends if isinstance(end, Exception)} == {Deferred}


async def test_secrets_lie_sealed_and_what_cannot_be_opened_counts_as_none(aws, table):
    """No scan shows a token; a key that is gone, or another record's value, opens nothing."""
    clock, first, second = Clock(), new_key(), new_key()
    client = aws.dynamodb()
    store = DynamoDBStore(client, table, Sealer({"k1": first}), clock)
    await store.write([Change("a", 0, {"minted_at": 1.0}, CANARY, NOW + 60)])
    items = (await asyncio.to_thread(client.scan, TableName=table))["Items"]
    assert CANARY not in json.dumps(items)
    assert items[0]["expiresAt"] == {"N": str(int(NOW + 60))}
    assert items[0]["secret"]["S"].startswith("v1.k1.")
    rotated = DynamoDBStore(client, table, Sealer({"k2": second, "k1": first}), clock)
    record = (await rotated.read("a"))["a"]
    assert record.secret == CANARY
    await rotated.write([Change("a", record.version, record.value, CANARY, NOW + 60)])
    items = (await asyncio.to_thread(client.scan, TableName=table))["Items"]
    assert items[0]["secret"]["S"].startswith("v1.k2.")
    assert (await store.read("a"))["a"].secret == "", "the old key alone opens it no more"
    moved = {**items[0], "cacheKey": {"S": "b"}}
    await asyncio.to_thread(client.put_item, TableName=table, Item=moved)
    assert (await rotated.read("b"))["b"].secret == ""


async def test_a_table_that_is_not_there_is_named(aws):
    """The error says which; no credential in it."""
    store = DynamoDBStore(aws.dynamodb(), "none-such", Sealer({"k": new_key()}), Clock())
    for ask in (store.read("a"), store.write([Change("a", 0, {}, "", NOW)])):
        with pytest.raises(StoreUnavailable, match="none-such: ResourceNotFound") as caught:
            await ask
        assert "AKIA" not in str(caught.value)


async def test_an_aws_that_is_not_there_is_told(monkeypatch):
    """A connection that is refused is no crash."""
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}.items():
        monkeypatch.setenv(name, value)
    nowhere = Aws("eu-central-1", "http://127.0.0.1:9")
    store = DynamoDBStore(nowhere.dynamodb(), "t", Sealer({"k": new_key()}), Clock())
    with pytest.raises(StoreUnavailable, match="EndpointConnectionError"):
        await store.read("a")
    with pytest.raises(AwsError, match="Secrets Manager, key"):
        await nowhere.secret("key")
    with pytest.raises(AwsError, match="STS"):
        await nowhere.caller()


async def test_a_table_is_made_once_and_looked_at(aws, table):
    """A second setup changes nothing; what is wrong is said."""
    client = aws.dynamodb()
    assert not await dynamodb_table.make(client, table)
    assert await dynamodb_table.wrong(client, table) == ""
    assert await dynamodb_table.wrong(client, "none-such") == "it does not exist"
    described = (await asyncio.to_thread(client.describe_table, TableName=table))["Table"]
    assert described["KeySchema"] == [{"AttributeName": "cacheKey", "KeyType": "HASH"}]
    await asyncio.to_thread(
        client.create_table,
        TableName=f"other-{table}",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert "partition key" in await dynamodb_table.wrong(client, f"other-{table}")


async def test_a_table_whose_making_was_cut_short_is_made_ready(aws, table):
    """There is one, but nothing expires in it: the next setup mends that."""
    client = aws.dynamodb()
    off = {"Enabled": False, "AttributeName": "expiresAt"}
    await asyncio.to_thread(
        client.update_time_to_live, TableName=table, TimeToLiveSpecification=off
    )
    assert await dynamodb_table.wrong(client, table) == "its TTL is not on expiresAt"
    assert await dynamodb_table.make(client, table)
    assert await dynamodb_table.wrong(client, table) == ""


async def test_a_secret_of_secrets_manager(aws):
    """By name; one that holds no text is refused."""
    client = aws.secretsmanager()
    for name, how in (("pem", {"SecretString": " a key \n"}), ("raw", {"SecretBinary": b"x"})):
        await asyncio.to_thread(client.create_secret, Name=f"{name}-{id(how)}", **how)
        if name == "pem":
            assert await aws.secret(f"{name}-{id(how)}") == "a key"
        else:
            with pytest.raises(AwsError, match="no text"):
                await aws.secret(f"{name}-{id(how)}")
    with pytest.raises(AwsError, match="ResourceNotFound"):
        await aws.secret("none-such")
    assert (await aws.caller()).startswith("arn:aws:")
