"""Dead letters as files: whole or not at all, whatever happens to the writer, disk or folder."""

import asyncio
import json
import os
import signal
import stat
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from activities.clients.dead_letter_files import LEFT_OVER_SECONDS, DeadLetterFiles
from activities.dead_letters import UNREADABLE, LettersUnavailable
from tests.activities.test_dead_letters import HOSTILE, letter

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Not there yet."""
    return tmp_path / "below" / "dead-letters"


@pytest.fixture
def letters(folder) -> DeadLetterFiles:
    """An empty store."""
    return DeadLetterFiles(folder)


def names(folder: Path) -> list[str]:
    """What lies in the folder, locks aside."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


async def script(text: str, *arguments: object) -> asyncio.subprocess.Process:
    """Another Python process on the same folder."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", text, *map(str, arguments)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_no_id_leaves_the_folder(letters, folder, tmp_path):
    """Ids come from payloads: each has its own file, inside."""
    for at, id_ in enumerate(HOSTILE):
        await letters.put(letter(id_, 1000.0 + at))
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".locks" not in path.parts]
    assert len(files) == len(HOSTILE)
    assert {path.parent for path in files} == {folder}


async def test_payloads_are_for_the_operator_alone(letters, folder):
    """The folder is closed to others."""
    await letters.put(letter())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_damaged_letter_is_listed_as_such_and_hides_no_other(letters, folder):
    """Each names its file and what to do; purging it works; a new word of it replaces it."""
    await letters.put(letter())
    good = json.dumps(asdict(letter("another")))
    texts = {"cut": '{"id": ', "list": "[]", "other": '{"x": 1}', "bytes": "\x00", "copy": good}
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "latin.json").write_bytes(b'{"id": "\xff"}')
    (folder / "folder.json").mkdir()
    (folder / "note.txt").write_text("by hand")
    found = {le.id: le for le in await letters.all()}
    assert found.pop(letter().id) == letter()
    assert set(found) == {*texts, "latin", "folder"}
    for id_, unreadable in found.items():
        assert unreadable.kind == UNREADABLE
        assert f"{id_}.json cannot be read" in unreadable.reason
        assert f"purge {id_}" in unreadable.next_step
        assert (await letters.get(id_)).kind == UNREADABLE
    await letters.put(letter("cut", 5.0))
    assert await letters.get("cut") == letter("cut", 5.0)
    assert await letters.remove("list") is True
    gone = await letters.purge(["bytes", "latin", "other", "copy"])
    assert sorted(gone) == ["bytes", "copy", "latin", "other"]
    assert {le.id for le in await letters.all()} == {letter().id, "cut", "folder"}


WRITES = """
import asyncio, sys
from pathlib import Path
from activities.clients.dead_letter_files import DeadLetterFiles
from activities.dead_letters import DeadLetter

async def main():
    letters = DeadLetterFiles(Path(sys.argv[1]))
    first, number = int(sys.argv[2]), int(sys.argv[3])
    for n in range(first, first + number):
        for id_ in ("same", f"own-{n}"):
            payload = {"x": "y" * 9000}
            await letters.put(DeadLetter(id_, "delivery", "r", 1000.0 + n, payload=payload))
        print(n, flush=True)

asyncio.run(main())
"""


async def test_two_processes_at_once_lose_nothing(letters, folder):
    """Neither a letter nor a count."""
    writers = [await script(WRITES, folder, 1000 * n, 40) for n in (1, 2)]
    for writer in writers:
        await writer.communicate()
        assert writer.returncode == 0
    assert (await letters.get("same")).times == 80
    assert (await letters.page(None, 1)).total == 81
    assert not [name for name in names(folder) if not name.endswith(".json")]


async def test_a_writer_killed_in_the_middle_leaves_whole_letters(letters, folder):
    """Every letter that it said it had kept is there; what it had not finished goes in time."""
    said: list[int] = []
    for round_ in range(8):
        writer = await script(WRITES, folder, 1000 * round_, 10_000)
        for _ in range(3 + round_):
            said.append(int(await writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in (await writer.communicate())[0].splitlines()]
    found = await letters.all()
    assert all(le.kind == "delivery" and len(le.payload["x"]) == 9000 for le in found)
    assert {f"own-{n}" for n in said} <= {le.id for le in found}
    (folder / ".same.00000000.unfinished").write_text('{"id": ')  # in case it met none
    later = DeadLetterFiles(folder, clock=lambda: time.time() + LEFT_OVER_SECONDS + 1)
    await later.put(letter("next"))
    assert not list(folder.glob(".*.unfinished"))


async def test_a_file_that_is_being_written_is_no_left_over(letters, folder):
    """However long ago its letter began, which is its modification time."""
    await letters.put(letter("first"))
    written = folder / ".old.00000000.unfinished"
    written.write_text("{}")
    os.utime(written, (1000.0, 1000.0))
    await DeadLetterFiles(folder).put(letter("second"))
    assert written.exists()


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from activities.clients.dead_letter_files import DeadLetterFiles
from activities.dead_letters import DeadLetter, LettersUnavailable

async def main():
    letters = DeadLetterFiles(Path(sys.argv[1]))
    small = DeadLetter("small", "delivery", "r", 1.0)
    await letters.put(small)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # no file can grow beyond it
    for id_ in ("large", "small"):
        try:
            await letters.put(DeadLetter(id_, "delivery", "r", 2.0, payload={"x": "y" * 9000}))
        except LettersUnavailable as error:
            print(error)
    await letters.put(DeadLetter("another", "delivery", "r", 3.0))

asyncio.run(main())
"""


async def test_a_file_that_cannot_be_written_harms_no_other(letters, folder):
    """The old letter stays, nothing unfinished is left, and it is said in one line."""
    writer = await script(FULL, folder)
    said = (await writer.communicate())[0].decode()
    assert writer.returncode == 0
    assert said.count("File too large") == 2
    assert [(le.id, le.at) for le in await letters.all()] == [("small", 1.0), ("another", 3.0)]
    assert names(folder) == ["another.json", "small.json"]


async def test_a_folder_that_is_none_is_said_in_one_line(tmp_path):
    """With the cause and the mend."""
    (tmp_path / "dead-letters").write_text("a file")
    letters = DeadLetterFiles(tmp_path / "dead-letters")
    with pytest.raises(LettersUnavailable, match=r"dead-letters: File exists: mend the folder"):
        await letters.put(letter())
    assert await letters.all() == []


async def test_at_the_cap_new_letters_are_not_taken(folder):
    """Known ones count on; room made is used; nothing that was promised is dropped."""
    letters = DeadLetterFiles(folder, most=5)
    for n in range(5):
        await letters.put(letter(f"delivery-{n}", 1000.0 + n))
    with pytest.raises(LettersUnavailable, match=r"it is full \(5 letters\): penstock dead-lett"):
        await letters.put(letter("one-more", 2000.0))
    await letters.put(letter("delivery-2", 2001.0))
    assert (await letters.get("delivery-2")).times == 2
    assert [le.id for le in await letters.all()] == [f"delivery-{n}" for n in range(5)]
    await DeadLetterFiles(folder).remove("delivery-0")
    await letters.put(letter("one-more", 2002.0))
    assert (await letters.page(None, 1)).total == 5
    with pytest.raises(LettersUnavailable):
        await DeadLetterFiles(folder, most=5).put(letter("two-more", 2003.0))


async def test_ten_thousand_letters_are_listed_by_the_page(letters, folder):
    """A page reads its own letters alone; a list is bounded; purging by age finds the old."""
    folder.mkdir(parents=True)
    for n in range(10_200):
        path = folder / f"delivery-{n:05d}.json"
        path.write_text(json.dumps(asdict(letter(path.stem, 1000.0 + n))))
        os.utime(path, (1000.0 + n, 1000.0 + n))
    page = await letters.page((9_999.0, "delivery-08999"), 3)
    assert (page.total, page.more) == (10_200, True)
    assert [le.id for le in page.letters] == [f"delivery-{n:05d}" for n in (9000, 9001, 9002)]
    assert len(await letters.all()) == 10_000
    with pytest.raises(LettersUnavailable):
        await letters.put(letter("one-more"))
    assert len(await letters.purge(before=1300.0)) == 300
    assert (await letters.page(None, 1)).letters[0].id == "delivery-00300"
