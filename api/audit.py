"""The audit line: one for each change that somebody asked this gateway for, refused ones too.

Logger `penstock.audit`, one line of key=value, values quoted as JSON where they are not plain
words, so that nobody's reason can forge a second line. The Fleet keeps the last fifty changes that
it made (GET /admin/audit); what is asked here and refused is in the log alone.
"""

import json
import logging
import re
from dataclasses import dataclass

logger = logging.getLogger("penstock.audit")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@*+-]+")
LONGEST = 500


@dataclass
class Record:
    """One request, as it becomes known what it is."""

    client: str
    what: str  # the request's method and path, until a route knows better
    why: str = ""
    actor: str = ""
    key: str = ""  # the key's name, or the AWS identity
    scope: str = ""
    result: str = ""  # `accepted`, `unchanged`, `refused`
    status: int = 0

    def write(self) -> None:
        """Into the log."""
        result = self.result or ("accepted" if self.status < 400 else "refused")
        said = {**vars(self), "result": result}
        line = " ".join(f"{name}={_value(value)}" for name, value in said.items())
        level = logging.INFO if self.status < 400 else logging.WARNING
        logger.log(level, "%s", line)


def _value(value: object) -> str:
    said = str(value)[:LONGEST]
    return said if _PLAIN.fullmatch(said) else json.dumps(said)
