"""Who may do what at the admin interface: keys with a name, a scope and perhaps an end."""

import math
from dataclasses import dataclass
from typing import Literal

Scope = Literal["read", "operate"]
READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class AdminKey:
    """One key as the configuration knows it: never the key itself."""

    name: str
    hash: str  # SHA-256, hexadecimal
    scope: Scope = "operate"
    not_after: float = math.inf  # epoch seconds


def wanted(method: str) -> Scope:
    """The scope that a request of this method takes: looking takes `read`."""
    return "read" if method in READING else "operate"


def may(scope: Scope, method: str) -> bool:
    """Whether the scope is enough: `operate` is for everything, `read` for looking."""
    return scope == "operate" or wanted(method) == "read"
