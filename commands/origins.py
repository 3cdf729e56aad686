"""Where each value of the configuration comes from, with what is secret hidden."""

import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, SecretStr
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from activities.redaction import redacted
from settings import Settings, file_in_use

HIDDEN = "********"
PREFIX = "PENSTOCK_"
# Tables whose values an operator may well have made secrets of.
SECRETIVE = ("runner.environment", "ecs.environment")
_USER = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@dataclass(frozen=True)
class Entry:
    """One value: its key, and `default`, `file` or `environment` with its name."""

    key: str
    value: Any
    origin: str
    where: str = ""  # the file's path, or the variable's name

    @property
    def shown_origin(self) -> str:
        """In one cell of a table."""
        return f"{self.origin} {self.where}".strip()


def entries(settings: Settings) -> list[Entry]:
    """Every value that is in force, in the order of the tables.

    A table of names that is empty is one entry, and so is a list.
    """
    path = file_in_use()
    by_environment = EnvSettingsSource(Settings)()
    by_file = TomlConfigSettingsSource(Settings, path)() if path else {}
    found: list[Entry] = []
    for key, value in _leaves(settings, ()):
        origin, where = "default", ""
        if _has(by_environment, key):
            origin, where = "environment", _variable(key)
        elif _has(by_file, key):
            origin, where = "file", str(path)
        found.append(Entry(".".join(key), _hidden(".".join(key[:-1]), value), origin, where))
    return found


def _leaves(table: BaseModel, above: tuple[str, ...]) -> Generator[tuple[tuple[str, ...], Any]]:
    for name in type(table).model_fields:
        value: Any = getattr(table, name)
        key = (*above, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, key)
        elif isinstance(value, dict) and value:
            for entry, held in cast(dict[str, Any], value).items():
                yield (*key, entry), held
        else:
            yield key, value


def _has(given: Mapping[str, Any], key: tuple[str, ...]) -> bool:
    here: Any = given
    for part in key:
        if not isinstance(here, Mapping):
            return False
        table = cast(Mapping[str, Any], here)
        found = next((name for name in table if name.lower() == part.lower()), None)
        if found is None:
            return False
        here = table[found]
    return True


def _variable(key: tuple[str, ...]) -> str:
    """The variable that gives it: its own, or that of a table above it."""
    names = {name.upper(): name for name in os.environ}
    for length in range(len(key), 0, -1):
        name = PREFIX + "__".join(key[:length]).upper()
        if name in names:
            return names[name]
    return ""


def _hidden(table: str, value: Any) -> Any:
    """As JSON has it, without what is secret."""
    match value:
        case SecretStr():
            return HIDDEN if value.get_secret_value() else ""
        case BaseModel():
            held = {name: getattr(value, name) for name in type(value).model_fields}
            return {name: _hidden("", one) for name, one in held.items()}
        case dict():
            known = cast(dict[str, Any], value)
            return {name: _hidden("", one) for name, one in known.items()}
        case list():
            return [_hidden(table, one) for one in cast(list[Any], value)]
        case None | bool() | int() | float():
            return value
        case _ if table in SECRETIVE:
            return HIDDEN
        case _:
            return redacted(_USER.sub(HIDDEN, str(value)))
