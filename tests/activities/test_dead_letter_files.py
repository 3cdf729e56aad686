"""Dead letters as files: each kept once, whole, and inside its folder."""

import asyncio
import stat

import pytest
from temporalio.testing import ActivityEnvironment

from activities.clients.dead_letter_files import DeadLetterFiles
from activities.dead_letters import DeadLetter, DeadLetterActivities


def letter(id_: str = "job-acme-api-1", at: float = 1.0, **more) -> DeadLetter:
    """A letter."""
    return DeadLetter(id_, "job", "a reason", at, **more)


@pytest.fixture
def letters(tmp_path):
    """An empty store."""
    return DeadLetterFiles(tmp_path / "below" / "dead-letters")


async def test_none_is_none(letters):
    """Before the first letter there is not even a folder."""
    assert await letters.all() == []


async def test_letters_come_back_as_they_were_the_oldest_first(letters, tmp_path):
    """Every field, in another process's life too."""
    late = letter("b", 2.5, payload={"job": {"id": 7, "name": "ünïcode\n"}}, repo="acme/api")
    early = letter("a", 1.5, next_step="wait", job_id="7")
    for each in (late, early):
        await ActivityEnvironment().run(DeadLetterActivities(letters).record_dead_letter, each)
    again = DeadLetterFiles(tmp_path / "below" / "dead-letters")
    assert await again.all() == [early, late]


async def test_the_same_event_is_kept_once(letters):
    """The later word replaces the earlier one."""
    await letters.put(letter(at=1.0))
    await letters.put(letter(at=2.0))
    assert await letters.all() == [letter(at=2.0)]


async def test_the_same_event_many_times_at_once(letters):
    """One letter, whole; nothing unfinished is left."""
    await asyncio.gather(*(letters.put(letter(at=float(n))) for n in range(50)))
    (kept,) = await letters.all()
    assert kept == letter(at=kept.at)
    assert [path.name for path in letters._folder.iterdir()] == ["job-acme-api-1.json"]


HOSTILE = ["../../escape", "/etc/passwd", ".hidden", "...", "", "a/b", "a_b", "a\x00b", "ä", "ö"]
HOSTILE += ["x" * 400 + "1", "x" * 400 + "2", "con*?", "new\nline", "A", "B"]


async def test_no_id_leaves_the_folder_or_hides_another(letters, tmp_path):
    """Ids come from payloads: each has its own file, inside."""
    for at, id_ in enumerate(HOSTILE):
        await letters.put(letter(id_, float(at)))
    assert [found.id for found in await letters.all()] == HOSTILE
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(HOSTILE)
    assert {path.parent for path in files} == {letters._folder}


async def test_a_damaged_letter_hides_no_other(letters, caplog):
    """It is named in the log."""
    await letters.put(letter())
    for name, text in {"cut": '{"id": ', "list": "[]", "other": '{"x": 1}'}.items():
        (letters._folder / f"{name}.json").write_text(text)
    (letters._folder / ".unfinished.json").write_text("{")
    (letters._folder / "note.txt").write_text("by hand")
    assert await letters.all() == [letter()]
    assert all(f"{name}.json" in caplog.text for name in ("cut", "list", "other"))


async def test_payloads_are_for_the_operator_alone(letters):
    """The folder is closed to others."""
    await letters.put(letter())
    assert stat.S_IMODE(letters._folder.stat().st_mode) == 0o700
