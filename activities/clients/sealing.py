"""Secrets sealed for a store that others may read: AES-256-GCM, by keys that can be rotated.

Source: NIST SP 800-38D (a random nonce of 96 bits; a key is changed long before 2³² messages). The
record's key is authenticated along, so that a sealed value moved to another record does not open.
"""

import base64
import binascii
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES = 32, 12
VERSION = "v1"


class BadKey(Exception):
    """An encryption key that is none; the message names its id and never the key."""


class Sealer:
    """Seals with the first key, opens with any: so a new key is put in front, the old one kept."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys`: id → 32 bytes in base64, in order. Raises BadKey."""
        if not keys:
            raise BadKey("there is no encryption key: penstock token-key create")
        self._keys: dict[str, AESGCM] = {}
        for key_id, text in keys.items():
            if not key_id or "." in key_id:
                raise BadKey(f"the id {key_id!r} of an encryption key has no name or a dot in it")
            try:
                key = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                raise BadKey(f"the encryption key {key_id!r} is not 32 bytes in base64")
            self._keys[key_id] = AESGCM(key)
        self.current = next(iter(keys))

    def seal(self, text: str, place: str) -> str:
        """The sealed text, with the id of its key; `place` is where it will stand."""
        nonce = os.urandom(NONCE_BYTES)
        head = f"{VERSION}.{self.current}"
        sealed = self._keys[self.current].encrypt(nonce, text.encode(), f"{head}.{place}".encode())
        return f"{head}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str | None:
        """The text; None if its key is gone, or it was changed or moved."""
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        key = self._keys.get(key_id)
        if version != VERSION or key is None:
            return None
        try:
            raw = base64.b64decode(body, validate=True)
            if base64.b64encode(raw).decode() != body:
                return None  # the last character has bits that do not count: one way to write it
            nonce, content = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return key.decrypt(nonce, content, f"{version}.{key_id}.{place}".encode()).decode()
        except (binascii.Error, ValueError, InvalidTag):
            return None


def new_key() -> str:
    """A new key, in base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()
