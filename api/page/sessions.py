"""Who is signed in: a signed cookie, of which nothing is kept here.

It is signed with the webhook's secret and the hash of the admin key together: whoever reads one of
them in a configuration cannot make a cookie, every gateway with the same configuration knows it,
and a key that is replaced or removed ends its sessions at once. Scope and expiry are the key's own
as configured now, not as they were at sign-in.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from api.access import Caller, caller_by
from policy.access import AdminKey

SESSION_SECONDS = 8 * 3600.0
COOKIE, SECURE_COOKIE = "penstock", "__Host-penstock"
_VERSION = "1"


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in, and the token that his forms must carry."""

    caller: Caller
    token: str
    ends: float  # epoch seconds

    @property
    def may_operate(self) -> bool:
        """Whether the buttons are for him."""
        return self.caller.scope == "operate"


class Sessions:
    """Makes cookies, and knows its own again."""

    def __init__(self, keys: Sequence[AdminKey], signing: Sequence[str]) -> None:
        """`signing`: the webhook's secrets, the first of which signs and all of which are good."""
        self._keys = {_id(key): key for key in keys}
        self._secrets = tuple(signing) or (secrets.token_hex(32),)

    @property
    def possible(self) -> bool:
        """Whether anybody could sign in."""
        return bool(self._keys)

    def begin(self, key: AdminKey, now: float) -> str:
        """The cookie's value for somebody who gave this key."""
        ends = min(now + SESSION_SECONDS, key.not_after)
        said = ".".join((_VERSION, _id(key), str(int(ends)), secrets.token_hex(8)))
        return f"{said}.{_sign(self._secrets[0], key, 'cookie', said)}"

    def find(self, value: str, now: float) -> Session | None:
        """Whose cookie this is; None if it is nobody's, or not any more."""
        said, _, signature = value.rpartition(".")
        parts = said.split(".")
        key = self._keys.get(parts[1]) if len(parts) == 4 else None
        if key is None or not signature.isascii():
            return None
        good = [
            hmac.compare_digest(_sign(secret, key, "cookie", said), signature)
            for secret in self._secrets
        ]
        if not any(good) or not parts[2].isdecimal():
            return None
        ends = min(float(parts[2]), key.not_after)
        if now >= ends:
            return None
        return Session(caller_by(key), _sign(self._secrets[0], key, "form", said), ends)


def _id(key: AdminKey) -> str:
    return hashlib.sha256(f"penstock page {key.hash}".encode()).hexdigest()[:16]


def _sign(secret: str, key: AdminKey, what: str, said: str) -> str:
    text = f"penstock page {what}\n{key.hash}\n{said}"
    return hmac.new(secret.encode("utf-8", "surrogateescape"), text.encode(), "sha256").hexdigest()
