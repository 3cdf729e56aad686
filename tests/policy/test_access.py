"""Scopes: who may look, who may act."""

import pytest

from policy.access import AdminKey, may, wanted


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"])
def test_reading_takes_less_than_acting(method: str) -> None:
    """`operate` is for everything, `read` for looking alone."""
    looking = method in ("GET", "HEAD", "OPTIONS")
    assert wanted(method) == ("read" if looking else "operate")
    assert may("operate", method)
    assert may("read", method) == looking


def test_a_key_of_old_may_everything_for_ever() -> None:
    """Those of `admin_key_hashes` have neither scope nor end."""
    key = AdminKey("01234567", "0" * 64)
    assert (key.scope, key.not_after) == ("operate", float("inf"))
