"""AWS, for identities at the admin interface."""

from tests.activities.conftest import aws

__all__ = ["aws"]
