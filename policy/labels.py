"""Which labels a job may ask for, and so which its runner gets."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def unknown(labels: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The labels that no pattern (`*` and `?` as in a shell) allows; case does not count."""
    known = [pattern.lower() for pattern in patterns]
    return [label for label in labels if not any(fnmatchcase(label.lower(), one) for one in known)]
