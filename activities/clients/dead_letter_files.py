"""Dead letters as files: one JSON document each, written whole or not at all."""

import asyncio
import hashlib
import json
import logging
import re
import secrets
from dataclasses import asdict
from pathlib import Path

from activities.dead_letters import DeadLetter

logger = logging.getLogger(__name__)


class DeadLetterFiles:
    """The adapter of the port activities/dead_letters.py for one machine."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when the first letter comes."""
        self._folder = folder

    async def put(self, letter: DeadLetter) -> None:
        """Keep the letter under its id."""
        await asyncio.to_thread(self._write, letter)

    async def all(self) -> list[DeadLetter]:
        """All letters, the oldest first."""
        return await asyncio.to_thread(self._read)

    async def get(self, id_: str) -> DeadLetter | None:
        """The letter of this id, if there is one."""
        path = self._folder / f"{_name(id_)}.json"
        return await asyncio.to_thread(lambda: _letter(path) if path.is_file() else None)

    async def remove(self, id_: str) -> bool:
        """Delete the letter; whether there was one."""
        return await asyncio.to_thread(_unlink, self._folder / f"{_name(id_)}.json")

    def _write(self, letter: DeadLetter) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = _name(letter.id)
        # A name of its own: the same letter may be written twice at once.
        unfinished = self._folder / f".{name}.{secrets.token_hex(4)}.unfinished"
        unfinished.write_text(json.dumps(asdict(letter), indent=1), encoding="utf-8")
        unfinished.replace(self._folder / f"{name}.json")

    def _read(self) -> list[DeadLetter]:
        if not self._folder.is_dir():
            return []
        found = (_letter(path) for path in self._folder.glob("[!.]*.json"))
        return sorted((letter for letter in found if letter), key=lambda le: le.at)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _name(id_: str) -> str:
    """A file's name for an id; ids come from payloads, so no path escapes and none collide."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", id_).lstrip(".")[:150]
    if plain and plain == id_:
        return plain
    return f"{plain}-{hashlib.sha256(id_.encode()).hexdigest()[:16]}"


def _letter(path: Path) -> DeadLetter | None:
    """One letter; what somebody has damaged must not hide the others."""
    try:
        return DeadLetter(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        logger.warning("the dead letter %s cannot be read: %s", path, error)
        return None
