"""GET /admin/audit."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Response

from api import readings
from api.fleet_client import FleetClient
from api.models.audit import AuditPage
from api.paging import Limit, Wanted, cursor_query, cut


def add(routes: APIRouter, fleet: FleetClient) -> None:
    """The routes of this file."""

    @routes.get(
        "/audit",
        summary="Who changed what, when and why",
        response_model=AuditPage,
    )
    async def get_audit(
        response: Response, limit: Limit = 100, cursor: Annotated[str, cursor_query("audit")] = ""
    ) -> dict[str, Any]:
        """Changes of mode and limits by whatever door, the newest first.

        The Fleet keeps the last fifty. What was asked for at a gateway and refused is in the
        gateway's log (logger `penstock.audit`).
        """
        wanted = Wanted("audit", limit, cursor)
        wanted.after()
        seen: Counter[float] = Counter()
        # Entries of one moment are told apart by their place among them, from the newest.
        keyed: list[tuple[list[Any], dict[str, Any]]] = []
        for entry in reversed(await readings.audit(fleet)):
            keyed.append(([-entry["at"], seen[entry["at"]]], entry))
            seen[entry["at"]] += 1
        keyed.sort(key=lambda pair: pair[0])
        page, following = cut(wanted, keyed, lambda pair: pair[0])
        return {
            "audit": [entry for _, entry in page],
            "next": wanted.link(response, following),
        }
