"""The port of the dead letters: what both stores promise, on real files and on SQS by moto."""

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncGenerator

import pytest
from temporalio.testing import ActivityEnvironment

from activities.clients import dead_letter_queue, dead_letter_sqs
from activities.clients.aws import Aws
from activities.clients.dead_letter_files import DeadLetterFiles
from activities.clients.dead_letter_sqs import DeadLetterSQS
from activities.dead_letters import (
    LARGEST,
    DeadLetter,
    DeadLetterActivities,
    DeadLetters,
    Page,
    from_json,
    joined,
    merged,
    to_json,
)


def letter(id_: str = "delivery-acme-api-1-queued", at: float = 1000.0, **more) -> DeadLetter:
    """A letter."""
    return DeadLetter(id_, "delivery", "a reason", at, **more)


class Store:
    """A store, and another view of it, as another process has."""

    def __init__(self, one: DeadLetters, other: DeadLetters) -> None:
        self.one, self.other = one, other


@pytest.fixture(params=["files", "sqs"])
async def store(
    request: pytest.FixtureRequest, tmp_path, aws: Aws, monkeypatch
) -> AsyncGenerator[Store]:
    """Both adapters in turn, empty."""
    if request.param == "files":
        folder = tmp_path / "below" / "dead-letters"
        yield Store(DeadLetterFiles(folder), DeadLetterFiles(folder))
        return
    monkeypatch.setattr(dead_letter_sqs, "POLL_SECONDS", 0)  # moto is one server
    name = f"letters-{secrets.token_hex(4)}"
    assert await dead_letter_queue.make(aws.sqs(), name)
    yield Store(DeadLetterSQS(aws.sqs(), name), DeadLetterSQS(aws.sqs(), name))


async def test_nothing_is_nothing(store):
    """Before the first letter every question has its answer."""
    assert await store.one.all() == []
    assert await store.one.page(None, 10) == Page([], 0)
    assert await store.one.get("none") is None
    assert await store.one.remove("none") is False
    assert await store.one.purge(["none"], before=1e12) == []


async def test_letters_come_back_as_they_were_the_oldest_first(store):
    """Every field, for another process too; a page is a part of the same list."""
    late = letter(
        "delivery-b",
        2000.5,
        next_step="wait",
        repo="acme/api",
        job_id="7",
        payload={"job": {"id": 7, "name": "ünïcode\n\x07 🚀", "deep": [1, None, True]}},
        first_at=1500.25,
        times=3,
        retry_at=2030.5,
        guid="5f0c2a7e-8a43",
        cause="draining",
    )
    early, latest = letter("delivery-a", 1400.5), letter("delivery-c", 2000.75)
    for each in (late, latest, early):
        await ActivityEnvironment().run(DeadLetterActivities(store.one).record_dead_letter, each)
    assert await store.other.all() == [early, late, latest]
    assert await store.other.page(early.key, 1) == Page([late], 3, more=True)
    assert await store.other.page(late.key, 1) == Page([latest], 3)
    assert await store.other.page(latest.key, 5) == Page([], 3)
    assert await store.other.get("delivery-b") == late


async def test_pages_of_letters_of_one_moment(store):
    """By their ids: none comes twice or never, whatever goes meanwhile."""
    ids = ["a", "a b", "a-b", "a.b", "b", "delivery-ä", "z"]
    for id_ in reversed(ids):
        await store.one.put(letter(id_, 1000.25))
    seen: list[str] = []
    after = None
    while True:
        page = await store.one.page(after, 2)
        seen += [le.id for le in page.letters]
        if not page.more:
            break
        after = page.letters[-1].key
        await store.one.remove(seen[-1])
    assert seen == ids


async def test_the_same_event_is_one_letter_that_counts(store):
    """The later word, the first time, and how often; the same word said twice counts once."""
    await store.one.put(letter(at=1000.0))
    await store.one.put(letter(at=1010.0, guid="second"))
    await store.other.put(letter(at=1020.0, guid="third", retry_at=1050.0))
    await store.other.put(letter(at=1020.0, guid="third", retry_at=1050.0))
    (kept,) = await store.one.all()
    assert (kept.first_at, kept.at, kept.times) == (1000.0, 1020.0, 3)
    assert (kept.guid, kept.retry_at) == ("third", 1050.0)
    assert await store.other.get(kept.id) == kept


async def test_many_writers_at_once_lose_nothing(store):
    """Two processes' adapters, one event and others."""
    writers = [store.one, store.other]
    same = [writers[n % 2].put(letter(at=1000.0 + n)) for n in range(20)]
    others = [writers[n % 2].put(letter(f"delivery-{n}", 3000.0 + n)) for n in range(20)]
    await asyncio.gather(*same, *others)
    kept, *rest = await store.one.all()
    assert (kept.times, kept.first_at, kept.at) == (20, 1000.0, 1019.0)
    assert [le.id for le in rest] == [f"delivery-{n}" for n in range(20)]


async def test_a_removed_letter_is_gone_for_all(store):
    """However often it had been put; the others stay."""
    for at in (1000.0, 1001.0, 1002.0):
        await store.one.put(letter(at=at))
    await store.one.put(letter("delivery-other"))
    assert await store.other.remove("delivery-acme-api-1-queued") is True
    assert await store.one.remove("delivery-acme-api-1-queued") is False
    assert [le.id for le in await store.one.all()] == ["delivery-other"]
    await store.one.put(letter(at=5000.0))
    assert (await store.one.get("delivery-acme-api-1-queued")).times == 1


async def test_purge_by_age_goes_by_the_last_refusal(store):
    """What is still being refused is not old; ids and age may be said together."""
    await store.one.put(letter("delivery-old", 1000.0))
    await store.one.put(letter("delivery-again", 1001.0))
    await store.one.put(letter("delivery-again", 9000.0))
    await store.one.put(letter("delivery-new", 9001.0))
    assert await store.other.purge(before=5000.0) == ["delivery-old"]
    assert [le.id for le in await store.one.all()] == ["delivery-again", "delivery-new"]
    gone = await store.other.purge(["delivery-new", "none"], before=9000.5)
    assert sorted(gone) == ["delivery-again", "delivery-new"]
    assert await store.one.all() == []


async def test_looking_hides_nothing(store):
    """Looks at once, in one process and in two, and letters that are put meanwhile."""
    ids = [f"delivery-{n:02d}" for n in range(15)]
    for n, id_ in enumerate(ids):
        await store.one.put(letter(id_, 1000.0 + n))
    first = store.one.page(None, 5)
    looks = [store.one.all(), store.other.all(), first, store.other.get(ids[7])]
    everything, same, page, seventh = await asyncio.gather(*looks)
    assert [le.id for le in everything] == [le.id for le in same] == ids
    assert ([le.id for le in page.letters], page.total) == (ids[:5], 15)
    assert seventh.id == ids[7]
    assert [le.id for le in await store.other.all()] == ids


async def test_a_letter_too_large_keeps_all_but_its_payload(store):
    """And says so."""
    huge = letter(payload={"body": "ü" * LARGEST}, repo="acme/api", job_id="1", guid="g")
    await store.one.put(huge)
    (kept,) = await store.one.all()
    assert kept.payload == {}
    assert "too many to keep: redeliver it at GitHub" in kept.next_step
    assert dataclasses.replace(huge, payload={}, next_step=kept.next_step) == kept


HOSTILE = ["../../escape", "/etc/passwd", ".hidden", "...", "", "a/b", "a_b", "a\x00b", "ä", "ö"]
HOSTILE += ["x" * 400 + "1", "x" * 400 + "2", "con*?", "new\nline", "A", "B"]


async def test_any_id_is_an_id(store):
    """Ids come from payloads: none is another's."""
    for n, id_ in enumerate(HOSTILE):
        await store.one.put(letter(id_, 1000.0 + n))
    assert [found.id for found in await store.other.all()] == HOSTILE
    assert (await store.other.get("x" * 400 + "2")).at == 1000.0 + HOSTILE.index("x" * 400 + "2")
    assert sorted(await store.other.purge(HOSTILE)) == sorted(HOSTILE)


def test_copies_of_one_refusal_count_once():
    """In whatever order they are found."""
    copies = [letter(at=at) for at in (2.0, 1.0, 2.0, 1.0, 3.0, 1.0)]
    assert merged(copies) == merged(reversed(copies)) == letter(at=3.0, first_at=1.0, times=3)


def test_joined_is_the_same_in_any_order():
    """So that it does not matter who came first."""
    letters = [letter(at=at, times=times) for at, times in ((3.0, 1), (1.0, 2), (2.0, 4))]
    one = joined(joined(letters[0], letters[1]), letters[2])
    other = joined(letters[2], joined(letters[1], letters[0]))
    assert one == other == letter(at=3.0, first_at=1.0, times=7)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "1", '{"id": "a"}', "[" * 10**5),
        '{"id": 1, "kind": "job", "reason": "r", "at": 1}',
        '{"id": "a", "kind": "job", "reason": "r", "at": "soon"}',
    ],
)
def test_what_is_no_letter_is_refused(text):
    """With a ValueError, whatever it is."""
    with pytest.raises(ValueError, match=r".+"):
        from_json(text)


def test_a_field_of_a_newer_penstock_is_left_out():
    """The rest of the letter is good."""
    text = to_json(letter()).replace('"kind"', '"unheard_of": [1], "kind"')
    assert from_json(text) == letter()
