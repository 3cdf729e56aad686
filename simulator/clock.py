"""The simulator's clock: real time plus what a test has added to it."""

import time
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """Epoch seconds; `offset` ages tokens and windows, JWTs and the Date header see `skew`."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.skew = 0.0

    def now(self) -> float:
        """Epoch seconds on which everything but App JWTs is judged."""
        return time.time() + self.offset

    def jwt_now(self) -> float:
        """Epoch seconds on which App JWTs are judged.

        Clients sign by the real clock: ageing tokens by `offset` must not break their signatures.
        """
        return time.time() + self.skew

    def date_header(self) -> str:
        """The Date header, from which a client may learn the skew."""
        return formatdate(self.jwt_now(), usegmt=True)


def stamp(at: float) -> str:
    """GitHub's way to write an instant: UTC, whole seconds, Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_or_none(at: float | None) -> str | None:
    """The same, of an instant that may not have come."""
    return None if at is None else stamp(at)
