"""GitHub's signature: HMAC-SHA256 over the raw body, compared in constant time."""

import hashlib
import hmac

PREFIX = "sha256="


def sign(secret: str, body: bytes) -> str:
    """The value of X-Hub-Signature-256 for this body."""
    return PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(secret: str, body: bytes, header: str | None) -> bool:
    """Whether the header is the body's signature; an empty secret verifies nothing."""
    given = (header or "").encode("utf-8", "surrogateescape")
    return bool(secret) and hmac.compare_digest(sign(secret, body).encode(), given)
