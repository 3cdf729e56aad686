"""Dead letters on SQS: what only a queue does, on moto's server over HTTP."""

import asyncio
import json
import secrets

import pytest

from activities.clients import dead_letter_queue
from activities.clients.aws import Aws, AwsError
from activities.clients.dead_letter_sqs import DeadLetterSQS
from activities.dead_letters import UNREADABLE, LettersUnavailable
from embedded import ports
from tests.activities.test_dead_letters import letter


@pytest.fixture
async def name(aws: Aws) -> str:
    """A queue of its own."""
    made = f"letters-{secrets.token_hex(4)}"
    assert await dead_letter_queue.make(aws.sqs(), made) is True
    return made


@pytest.fixture
async def url(aws: Aws, name: str) -> str:
    """Its address."""
    return await dead_letter_queue.url_of(aws.sqs(), name)


async def attributes(aws: Aws, url: str) -> dict[str, str]:
    """What SQS says of the queue."""
    ask = aws.sqs().get_queue_attributes
    return (await asyncio.to_thread(ask, QueueUrl=url, AttributeNames=["All"]))["Attributes"]


async def test_the_queue_is_made_once(aws, name, url):
    """Kept as long as SQS keeps anything, sealed; a second time nothing is changed."""
    made = await attributes(aws, url)
    assert made["MessageRetentionPeriod"] == "1209600"
    assert made["MaximumMessageSize"] == "1048576"
    assert made["SqsManagedSseEnabled"] == "true"
    assert await dead_letter_queue.make(aws.sqs(), name) is False
    assert await dead_letter_queue.wrong(aws.sqs(), url) == ""


async def test_a_queue_that_would_lose_letters_is_known(aws, name, url):
    """By a redrive policy, or by a delay."""
    client = aws.sqs()
    arn = (await attributes(aws, url))["QueueArn"]
    other = f"{name}-source"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})
    made = client.create_queue(QueueName=other, Attributes={"RedrivePolicy": policy})["QueueUrl"]
    assert "redrive policy" in await dead_letter_queue.wrong(client, made)
    client.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "30"})
    assert "delays" in await dead_letter_queue.wrong(client, url)
    with pytest.raises(AwsError, match=r"SQS queue .*: .*NonExistentQueue|QueueDoesNotExist"):
        await dead_letter_queue.wrong(client, f"{url}-none")


async def test_two_gateways_put_one_letter(aws, name, url):
    """Two messages, one letter; when it is removed no message is left."""
    for gateway in (DeadLetterSQS(aws.sqs(), name), DeadLetterSQS(aws.sqs(), "", url)):
        await gateway.put(letter(at=1000.0))
        await gateway.put(letter(at=1001.0))
    assert (await attributes(aws, url))["ApproximateNumberOfMessages"] == "4"
    letters = DeadLetterSQS(aws.sqs(), name)
    (found,) = await letters.all()
    assert (found.times, found.first_at, found.at) == (2, 1000.0, 1001.0)
    assert await letters.remove(found.id)
    assert (await attributes(aws, url))["ApproximateNumberOfMessages"] == "0"


async def test_after_a_look_everything_is_to_be_seen(aws, name, url):
    """Nothing stays hidden: any other reader has it at once."""
    letters = DeadLetterSQS(aws.sqs(), name)
    for n in range(25):
        await letters.put(letter(f"delivery-{n}"))
    assert len(await letters.all()) == 25
    assert await letters.remove("delivery-3")
    seen = await attributes(aws, url)
    assert seen["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert seen["ApproximateNumberOfMessages"] == "24"


async def test_a_look_that_is_broken_off_lets_go(aws, name, url):
    """An operator who presses Ctrl-C hides no letter."""
    letters = DeadLetterSQS(aws.sqs(), name)
    for n in range(12):
        await letters.put(letter(f"delivery-{n}"))

    async def hidden() -> int:
        return int((await attributes(aws, url))["ApproximateNumberOfMessagesNotVisible"])

    look = asyncio.create_task(letters.all())
    while not await hidden():
        assert not look.done()
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    assert len(await DeadLetterSQS(aws.sqs(), name).all()) == 12


async def test_what_is_no_letter_is_listed_as_such(aws, name, url):
    """Somebody else's message: shown with its number, purged by it."""
    sent = aws.sqs().send_message(QueueUrl=url, MessageBody="hello")["MessageId"]
    letters = DeadLetterSQS(aws.sqs(), name)
    await letters.put(letter(at=1e12))
    unreadable, good = await letters.all()
    assert (unreadable.id, unreadable.kind, good.id) == (
        f"message-{sent}",
        UNREADABLE,
        letter().id,
    )
    assert unreadable.at > 1e9
    assert f"purge message-{sent}" in unreadable.next_step
    assert await letters.remove(unreadable.id)
    assert [le.id for le in await letters.all()] == [letter().id]


async def test_a_queue_with_a_smaller_limit_takes_what_it_can(aws, name, url):
    """A letter over the queue's own limit loses its payload, not itself."""
    limit = {"MaximumMessageSize": "4096"}
    aws.sqs().set_queue_attributes(QueueUrl=url, Attributes=limit)
    letters = DeadLetterSQS(aws.sqs(), name)
    await letters.put(letter("small", payload={"x": "y"}))
    await letters.put(letter("large", 1001.0, payload={"x": "y" * 5000}))
    small, large = await letters.all()
    assert (small.payload, large.payload) == ({"x": "y"}, {})
    assert "redeliver it at GitHub" in large.next_step


async def test_without_the_queue_or_aws_it_is_said_in_one_line(aws, name, url):
    """With the cause and the mend."""
    with pytest.raises(LettersUnavailable, match=r"it does not exist: run penstock setup"):
        await DeadLetterSQS(aws.sqs(), f"{name}-none").put(letter())
    gone = DeadLetterSQS(aws.sqs(), name)
    await gone.put(letter())
    aws.sqs().delete_queue(QueueUrl=url)
    with pytest.raises(LettersUnavailable, match=r"run penstock setup, or set dead_letters"):
        await gone.put(letter())
    nobody = Aws("eu-central-1", f"http://127.0.0.1:{ports.free('127.0.0.1', 0)}")
    with pytest.raises(LettersUnavailable, match=r"EndpointConnectionError.*check \[aws\]"):
        await DeadLetterSQS(nobody.sqs(), name).all()
