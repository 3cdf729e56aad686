"""The Fleet's figures as they are shown: one reading each, for /admin and for `penstock`.

Who has Temporal alone reads by the same functions as a gateway does, so that no two doors can
disagree. Jobs are in job_list.py and explain.py, dead letters behind their port.
"""

from typing import Any

from api.fleet_client import FleetClient


async def status(fleet: FleetClient) -> dict[str, Any]:
    """Mode, limits, every repository's permits, the last ten changes."""
    return await fleet.status()


async def repos(fleet: FleetClient) -> list[dict[str, Any]]:
    """Every repository's permits, by name."""
    found: list[dict[str, Any]] = (await fleet.status())["repos"]
    return sorted(found, key=lambda repo: repo["repo"])


async def limits(fleet: FleetClient) -> dict[str, Any]:
    """The limits and thresholds in force."""
    return (await fleet.status())["limits"]


async def draining(fleet: FleetClient) -> dict[str, Any]:
    """What runs, what waits, and when it will have ended."""
    return await fleet.drain_status()


async def audit(fleet: FleetClient) -> list[dict[str, Any]]:
    """The last fifty changes by whatever door, the oldest first."""
    return await fleet.audit()
