"""AWS for the doctor."""

from tests.activities.conftest import aws, hub, one_site

__all__ = ["aws", "hub", "one_site"]
