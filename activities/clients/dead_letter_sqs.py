"""Dead letters in an SQS queue, for gateways and workers on several machines.

A queue is no table: letters are looked at by receiving all of them and letting go of them at once.
So one look at the queue serves listing, finding and deleting. Several messages may hold one
letter (two gateways refused the same event): they are one letter here, and are deleted together.
Who looks while another process does waits for what that one holds, for some seconds; the numbers
by which it knows are SQS's approximate ones.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from activities.clients import dead_letter_queue
from activities.clients.aws import AwsError, told
from activities.dead_letters import (
    LARGEST,
    LISTED,
    UNREADABLE,
    DeadLetter,
    Key,
    LettersUnavailable,
    Page,
    from_json,
    merged,
    to_json,
)

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

T = TypeVar("T")
BATCH = 10  # SQS's own limit, of all its batches
LANES = 8  # receiving at once, where there is much
Count = Literal["ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessages"]
HIDDEN: Count = "ApproximateNumberOfMessagesNotVisible"
VISIBLE: Count = "ApproximateNumberOfMessages"
HIDDEN_SECONDS = 30  # what a look holds comes back by itself if its process dies
POLL_SECONDS = 1  # only a long poll asks all of SQS's servers
PAUSES = (1.0, 2.0, 4.0)  # at most, before looking again while another process looks
LISTENS = 3  # after a pause, for so many times as long at most, until the other has let go
LISTENS_SECONDS = 0.3  # from one question to the next, at most
MARGIN = 1024


@dataclass
class _Look:
    """What one look has seen: the letters by message, and the handles it holds."""

    seen: dict[str, DeadLetter] = field(default_factory=dict[str, DeadLetter])
    held: dict[str, str] = field(default_factory=dict[str, str])
    gone: dict[str, None] = field(default_factory=dict[str, None])  # ids deleted

    @property
    def letters(self) -> dict[str, DeadLetter]:
        """One letter an id."""
        copies: defaultdict[str, list[DeadLetter]] = defaultdict(list)
        for letter in self.seen.values():
            copies[letter.id].append(letter)
        return {id_: merged(found) for id_, found in copies.items()}

    def take(self, messages: "Iterable[MessageTypeDef]") -> int:
        """Note what was received; how many of them this round had not."""
        fresh = 0
        for message in messages:
            id_, handle = message.get("MessageId", ""), message.get("ReceiptHandle", "")
            fresh += id_ not in self.held
            self.held[id_] = handle
            self.seen[id_] = _letter(message)
        return fresh


Choice = Callable[[dict[str, DeadLetter]], Collection[str]]


class DeadLetterSQS:
    """The adapter of the port activities/dead_letters.py for many machines."""

    settle_seconds = 60.0  # each purge receives all letters, which costs and hides them meanwhile

    def __init__(self, client: "SQSClient", name: str, url: str = "") -> None:
        """The queue is found by its name, unless its address is given."""
        self._client = client
        self._name = name
        self._url = url
        self._largest = 0
        self._turn = asyncio.Lock()  # looks of one process would hide letters from each other
        self._next: asyncio.Task[_Look] | None = None  # a look that has not begun yet
        self._threads = ThreadPoolExecutor(LANES + 2, thread_name_prefix="dead-letters")

    async def put(self, letter: DeadLetter) -> None:
        """As the port says: one message more; they are counted when they are looked at."""
        url = await self._address()
        body = to_json(letter, self._largest)
        await self._do(lambda: self._client.send_message(QueueUrl=url, MessageBody=body))

    async def all(self) -> list[DeadLetter]:
        """As the port says."""
        return (await self.page(None, LISTED)).letters

    async def page(self, after: Key | None, most: int) -> Page:
        """As the port says. Beyond LISTED messages it is some of them."""
        found = (await self._letters()).values()
        left = sorted((le for le in found if not after or le.key > after), key=lambda le: le.key)
        return Page(left[:most], len(found), len(left) > most)

    async def get(self, id_: str) -> DeadLetter | None:
        """As the port says."""
        return (await self._letters()).get(id_)

    async def remove(self, id_: str) -> bool:
        """As the port says."""
        return bool(await self.purge([id_]))

    async def purge(self, ids: Collection[str] = (), before: float = 0.0) -> list[str]:
        """As the port says."""
        wanted = set(ids)

        def choose(letters: dict[str, DeadLetter]) -> list[str]:
            return [le.id for le in letters.values() if le.id in wanted or le.at < before]

        if not wanted and not before:
            return []
        # Not broken off with its caller: what it holds it must let go.
        look = await asyncio.shield(asyncio.create_task(self._look(choose)))
        return list(look.gone)

    async def _letters(self) -> dict[str, DeadLetter]:
        """All of them; who asks while a look waits for its turn shares it."""
        if self._next is None:
            self._next = asyncio.create_task(self._look())
        return (await asyncio.shield(self._next)).letters

    async def _look(self, choose: Choice | None = None) -> _Look:
        """Look at all letters; delete those that are chosen."""
        look = _Look()
        async with self._turn:
            if choose is None:
                self._next = None  # who asks from now on wants a newer one
            url = await self._address()
            for pause in (*PAUSES, 0.0):
                try:
                    alone = await self._receive_all(url, look)
                    if choose:
                        await self._delete(url, look, choose(look.letters))
                finally:
                    await asyncio.shield(self._let_go(url, look))
                if alone or not pause:
                    break
                await self._others_turn(url, look, pause)
        return look

    async def _others_turn(self, url: str, look: _Look, pause: float) -> None:
        """Leave the queue to whoever looks at it now, however long that takes where all is slow.

        Two that took fixed turns would share the letters each time, and neither see all.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(random.uniform(0.1, pause))  # noqa: S311 - no secret
        until = loop.time() + LISTENS * pause
        while loop.time() < until and await self._held_by_others(url, look):  # noqa: ASYNC110
            await asyncio.sleep(random.uniform(0.05, LISTENS_SECONDS))  # noqa: S311

    async def _receive_all(self, url: str, look: _Look) -> bool:
        """Receive until nothing new comes; whether nobody else held anything meanwhile."""
        lanes, alone = 1, not await self._held_by_others(url, look)
        while len(look.held) < LISTED:
            fresh = await asyncio.gather(*(self._receive(url, look) for _ in range(lanes)))
            if not sum(fresh):
                # Whoever held the rest may have let it go a moment ago: then it is to be seen.
                return alone and not await self._held_by_others(url, look, VISIBLE)
            alone = not await self._held_by_others(url, look) and alone
            lanes = LANES
        return alone

    async def _receive(self, url: str, look: _Look) -> int:
        """One batch; how many of it are new."""
        receiving = asyncio.ensure_future(
            self._do(
                lambda: self._client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=BATCH,
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=POLL_SECONDS,
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            )
        )
        try:
            answer = await asyncio.shield(receiving)
        except asyncio.CancelledError:
            look.take((await receiving).get("Messages", []))  # to be let go, like all others
            raise
        return look.take(answer.get("Messages", []))

    async def _held_by_others(self, url: str, look: _Look, *also: Count) -> bool:
        """Whether more messages are hidden, or in these states `also`, than this look holds."""
        keys: list[Count] = [HIDDEN, *also]
        answer = await self._do(
            lambda: self._client.get_queue_attributes(QueueUrl=url, AttributeNames=keys)
        )
        told = answer.get("Attributes", {})
        return sum(int(told.get(key, 0)) for key in keys) > len(look.held)

    async def _delete(self, url: str, look: _Look, ids: Collection[str]) -> None:
        chosen = set(ids)
        doomed = [message for message in look.held if look.seen[message].id in chosen]
        for batch in _batches(doomed):
            answer = await self._do(
                lambda batch=batch: self._client.delete_message_batch(
                    QueueUrl=url,
                    Entries=[
                        {"Id": str(n), "ReceiptHandle": look.held[message]}
                        for n, message in enumerate(batch)
                    ],
                )
            )
            for entry in answer.get("Successful", []):
                message = batch[int(entry["Id"])]
                del look.held[message]
                look.gone[look.seen[message].id] = None
            if answer.get("Failed"):
                raise LettersUnavailable(f"SQS queue {self._name}: it did not delete all: again")

    async def _let_go(self, url: str, look: _Look) -> None:
        """Nothing stays hidden because it was looked at."""
        held, look.held = look.held, {}
        await asyncio.gather(
            *(
                self._do(
                    lambda batch=batch: self._client.change_message_visibility_batch(
                        QueueUrl=url,
                        Entries=[
                            {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                            for n, handle in enumerate(batch)
                        ],
                    )
                )
                for batch in _batches(held.values())
            )
        )

    async def _address(self) -> str:
        if not self._largest:
            try:
                url = self._url or await dead_letter_queue.url_of(self._client, self._name)
            except AwsError as error:
                raise LettersUnavailable(_with_mend(str(error))) from None
            if not url:
                raise LettersUnavailable(
                    f"SQS queue {self._name}: it does not exist: run penstock setup"
                )
            key = "MaximumMessageSize"
            answer = await self._do(
                lambda: self._client.get_queue_attributes(QueueUrl=url, AttributeNames=[key])
            )
            limit = int(answer.get("Attributes", {}).get(key, dead_letter_queue.SMALLEST_MESSAGE))
            self._url, self._largest = url, max(1, min(LARGEST, limit - MARGIN))
        return self._url

    async def _do(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except (ClientError, BotoCoreError) as error:
            said = f"SQS queue {self._url or self._name}: {told(error)}"
            raise LettersUnavailable(_with_mend(said)) from None


def _with_mend(said: str) -> str:
    if any(code in said for code in dead_letter_queue.MISSING):
        return f"{said}: run penstock setup, or set dead_letters.queue_url right"
    if "AccessDenied" in said:
        return f"{said}: the role wants what docs/dead-letters.md lists"
    return f"{said}: check [aws] and the network; penstock doctor looks at both"


def _batches(items: Iterable[str]) -> list[list[str]]:
    every = list(items)
    return [every[start : start + BATCH] for start in range(0, len(every), BATCH)]


def _letter(message: "MessageTypeDef") -> DeadLetter:
    """The message's letter, or what can be said of a message that holds none."""
    try:
        return from_json(message.get("Body", ""))
    except ValueError as error:
        id_ = f"message-{message.get('MessageId', '')}"
        return DeadLetter(
            id=id_,
            kind=UNREADABLE,
            reason=f"the message {message.get('MessageId')} cannot be read: {error}",
            at=float(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000,
            next_step=f"look at it in the queue; then: penstock dead-letters purge {id_}",
        )
