"""Admin keys: 256 random bits, of which the configuration holds the hash alone."""

import hashlib
import hmac
import secrets
from collections.abc import Callable

from fastapi import Request

from api.problems import Problem

PREFIX = "pen_"


def create() -> tuple[str, str]:
    """A new key, and the hash to put into the configuration."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, hash_of(key)


def hash_of(key: str) -> str:
    """SHA-256: enough for a random key of 256 bits, which nobody can guess or remember."""
    return hashlib.sha256(key.encode()).hexdigest()


def guard(hashes: Callable[[], list[str]]) -> Callable[[Request], str]:
    """A dependency that lets in whoever has a key; its answer names the key, not shows it."""

    def check(request: Request) -> str:
        known = hashes()
        if not known:
            raise Problem(403, "no admin key is configured: penstock admin-key create makes one")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip()
        digest = hash_of(given)
        # Every hash is compared, so that the time tells nothing of which one was near.
        match = [entry for entry in known if hmac.compare_digest(entry, digest)]
        if scheme.lower() != "bearer" or not given or not match:
            raise Problem(401, "give an admin key: Authorization: Bearer KEY")
        return f"key {match[0][:8]}"

    return check
