"""Dead letters as files: one JSON document each, written whole or not at all."""

import asyncio
import json
import re
from dataclasses import asdict
from pathlib import Path

from activities.dead_letters import DeadLetter


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

    def _write(self, letter: DeadLetter) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Ids come from payloads: what is not plain becomes an underscore, so no path escapes.
        name = re.sub(r"[^A-Za-z0-9._-]", "_", letter.id).lstrip(".")[:150]
        unfinished = self._folder / f".{name}.unfinished"
        unfinished.write_text(json.dumps(asdict(letter), indent=1), encoding="utf-8")
        unfinished.replace(self._folder / f"{name}.json")

    def _read(self) -> list[DeadLetter]:
        if not self._folder.is_dir():
            return []
        texts = (path.read_text(encoding="utf-8") for path in self._folder.glob("[!.]*.json"))
        return sorted((DeadLetter(**json.loads(text)) for text in texts), key=lambda le: le.at)
