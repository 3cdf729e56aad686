"""AWS, for those who run Penstock as in production."""

from tests.activities.conftest import aws

__all__ = ["aws"]
