"""stub"""

from typing import Any

from checker.evidence import Evidence


def summary(evidence: Evidence) -> dict[str, Any]:
    """stub"""
    return {}
