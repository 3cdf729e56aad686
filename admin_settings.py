"""The part of the configuration that says who is let in at the admin interface (settings.py)."""

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from policy.access import AdminKey
from policy.iam import PATTERN, IamRules

HEX = set("0123456789abcdef")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def check_hash(value: str) -> str:
    """The hash of a key; ValueError with the mend if it is none."""
    if len(value) != 64 or not set(value) <= HEX:
        raise ValueError("it must be 64 hexadecimal digits: penstock admin-key create")
    return value


class AdminKeyTable(_Table):
    """One key of `[[gateway.admin_keys]]`: who has it, and what it is good for."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")
    hash: str
    scope: Literal["read", "operate"]
    not_after: date | datetime | None = None  # a date is meant to its end, in UTC

    @field_validator("hash")
    @classmethod
    def _hash(cls, value: str) -> str:
        return check_hash(value)

    @property
    def key(self) -> AdminKey:
        """As policy wants it."""
        return AdminKey(self.name, self.hash, self.scope, _end_of(self.not_after))


class IamTable(_Table):
    """`[gateway.iam]`: AWS identities that are let in, and where AWS is asked who they are."""

    arns: list[str] = Field(default_factory=list[str])  # may operate
    read_arns: list[str] = Field(default_factory=list[str])
    sts_url: str
    server_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}$")

    @field_validator("arns", "read_arns")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        for pattern in value:
            if not PATTERN.fullmatch(pattern):
                raise ValueError(
                    f"{pattern!r} must be like arn:aws:iam::123456789012:role/ops*: the account"
                    " in digits, * and ? only after it"
                )
        return value

    @field_validator("sts_url")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        secure = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in LOOPBACK  # a stand-in for tests
        )
        if not secure or not parts.hostname or parts.path not in ("", "/") or "@" in parts.netloc:
            raise ValueError("it must be like https://sts.eu-central-1.amazonaws.com")
        if parts.query or parts.fragment or parts.port == 0:  # `port` itself refuses what is none
            raise ValueError("it must end with the host")
        return value.rstrip("/")

    @property
    def rules(self) -> IamRules:
        """As policy wants them."""
        parts = urlsplit(self.sts_url)
        host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
        return IamRules(host, self.server_id, tuple(self.arns), tuple(self.read_arns))


def _end_of(given: date | datetime | None) -> float:
    if given is None:
        return math.inf
    if not isinstance(given, datetime):
        given = datetime.combine(given, time(), UTC) + timedelta(days=1)
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
