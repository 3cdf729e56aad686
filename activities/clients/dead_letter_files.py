"""Dead letters as files: one JSON document each, written whole or not at all.

A file is written beside its place, brought to the disk, then renamed: a crash leaves the old
letter or the new one. Its modification time is the time the letter began (`since`), so that a page
of letters is found without reading all. Processes that write the same letter at once take turns by
a lock in the folder `.locks`; nothing else is locked.
"""

import asyncio
import errno
import fcntl
import hashlib
import logging
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from activities.dead_letters import (
    LISTED,
    UNREADABLE,
    DeadLetter,
    Key,
    LettersUnavailable,
    Page,
    from_json,
    joined,
    to_json,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
LONGEST_NAME = 150
LOCKS = 64
RECOUNT = 200  # letters that this process adds before it counts the folder anew
ROUNDING_SECONDS = 0.001  # a file's time is not exactly its letter's
LEFT_OVER_SECONDS = 3600.0  # an unfinished file as old as this belongs to nobody


class DeadLetterFiles:
    """The adapter of the port activities/dead_letters.py for one machine."""

    settle_seconds = 1.0

    def __init__(
        self, folder: Path, most: int = LISTED, *, clock: Callable[[], float] = time.time
    ) -> None:
        """The folder is made when the first letter comes. Of more than `most` none is kept."""
        self._folder = folder
        self._most = most
        self._clock = clock
        self._counted = most  # so that the first new letter counts
        # Its own threads: a slow disk must not hold up what else runs in threads.
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="dead-letters")

    async def put(self, letter: DeadLetter) -> None:
        """As the port says. At the cap known letters count on, new ones are not taken."""
        await self._do(lambda: self._write(letter))

    async def all(self) -> list[DeadLetter]:
        """As the port says."""
        return (await self.page(None, LISTED)).letters

    async def page(self, after: Key | None, most: int) -> Page:
        """As the port says. It reads these letters and no others."""
        return await self._do(lambda: self._page(after, most))

    async def get(self, id_: str) -> DeadLetter | None:
        """As the port says."""
        return await self._do(lambda: _letter(self._path(id_)))

    async def remove(self, id_: str) -> bool:
        """As the port says."""
        return bool(await self.purge([id_]))

    async def purge(self, ids: Collection[str] = (), before: float = 0.0) -> list[str]:
        """As the port says."""
        return await self._do(lambda: self._purge(list(ids), before))

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            mend = "make room on its disk" if full else "mend the folder, or its rights"
            said = f"{self._folder}: {error.strerror or error}: {mend}"
            raise LettersUnavailable(said) from None

    def _path(self, id_: str) -> Path:
        return self._folder / f"{_name(id_)}.json"

    def _write(self, letter: DeadLetter) -> None:
        path = self._path(letter.id)
        self._prepare()
        with self._turn(path.name):
            known = _letter(path)
            if known is None:
                self._make_room()
            elif known.kind != UNREADABLE:
                letter = joined(known, letter)
            _put(path, to_json(letter), letter.since)

    def _prepare(self) -> None:
        if self._folder.is_dir():
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def _turn(self, name: str) -> Generator[None]:
        """One writer of this letter at a time, of all processes. A dead one holds nothing."""
        locks = self._folder / ".locks"
        locks.mkdir(exist_ok=True, mode=0o700)
        number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % LOCKS
        descriptor = os.open(locks / f"{number:02d}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_room(self) -> None:
        """Raise LettersUnavailable at the cap. Exact at the cap, approximate before it."""
        if self._counted >= self._most or self._counted % RECOUNT == 0:
            self._sweep_left_overs()
            self._counted = len(self._files())
        if self._counted >= self._most:
            raise LettersUnavailable(
                f"{self._folder}: it is full ({self._most} letters): penstock dead-letters replay"
                " or purge"
            )
        self._counted += 1

    def _sweep_left_overs(self) -> None:
        """What a process that was killed had not finished.

        By the time of the file's last change: its modification time is its letter's, so that of an
        old letter it is long ago while the file is being written.
        """
        for path in self._folder.glob(".*.unfinished"):
            with suppress(FileNotFoundError):
                if path.stat().st_ctime < self._clock() - LEFT_OVER_SECONDS:
                    path.unlink()

    def _files(self) -> list[tuple[float, str]]:
        """Times and names of the letters' files, the oldest first."""
        found: list[tuple[float, str]] = []
        if not self._folder.is_dir():
            return found
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):  # settled meanwhile
                        found.append((entry.stat().st_mtime, entry.name))
        return sorted(found)

    def _page(self, after: Key | None, most: int) -> Page:
        files = self._files()
        letters: list[DeadLetter] = []
        end = math.inf
        for began, name in files:
            if began > end:
                break
            if after and began < after[0] - ROUNDING_SECONDS:
                continue
            letter = _letter(self._folder / name)
            if letter and (after is None or letter.key > after):
                letters.append(letter)
                if len(letters) == most + 1:  # and whatever has the time of this one
                    end = began + ROUNDING_SECONDS
        letters.sort(key=lambda le: le.key)
        return Page(letters[:most], len(files), len(letters) > most)

    def _purge(self, ids: list[str], before: float) -> list[str]:
        gone = [id_ for id_ in ids if _unlink(self._path(id_))]
        # What began later was not refused before then either.
        for began, name in self._files() if before else ():
            if began >= before:
                break
            letter = _letter(self._folder / name)
            if letter and letter.at < before and _unlink(self._folder / name):
                gone.append(letter.id)
        return gone


def _put(path: Path, text: str, at: float) -> None:
    # A name of its own: whoever else writes must not meet it.
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.unfinished")
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.utime(unfinished, (at, at))
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too
    finally:
        os.close(folder)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _name(id_: str) -> str:
    """A file's name for an id; ids come from payloads, so no path escapes and none collide."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", id_).lstrip(".")
    if plain and plain == id_ and len(plain) <= LONGEST_NAME:
        return plain
    return f"{plain[: LONGEST_NAME - 17]}-{hashlib.sha256(id_.encode()).hexdigest()[:16]}"


def _letter(path: Path) -> DeadLetter | None:
    """One letter, or what can be said of a damaged one; None if there is no file."""
    at = 0.0
    try:
        at = path.stat().st_mtime
        letter = from_json(path.read_text(encoding="utf-8"))
        if _name(letter.id) == path.stem:
            return letter
        why = f"it holds the letter {letter.id[:LONGEST_NAME]}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = str(error)
    logger.warning("the dead letter %s cannot be read: %s", path, why)
    return DeadLetter(
        id=path.stem,
        kind=UNREADABLE,
        reason=f"the file {path.name} cannot be read: {why}",
        at=at,
        next_step=f"look at {path}; then: penstock dead-letters purge {path.stem}",
    )
