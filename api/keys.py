"""Admin keys: 256 random bits, of which the configuration holds the hash alone."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from policy.access import AdminKey

PREFIX = "pen_"


def create() -> tuple[str, str]:
    """A new key, and the hash to put into the configuration."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, hash_of(key)


def hash_of(key: str) -> str:
    """SHA-256: enough for a random key of 256 bits, which nobody can guess or remember."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def find(keys: Iterable[AdminKey], given: str) -> AdminKey | None:
    """The key that was given, expired or not.

    Every hash is compared, whichever fits, so that the time tells nothing of which one was near.
    """
    digest = hash_of(given)
    found = [key for key in keys if hmac.compare_digest(key.hash, digest)]
    return found[0] if found and given else None
