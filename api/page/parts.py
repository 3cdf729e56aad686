"""What the page's routes need of the gateway."""

import asyncio
from dataclasses import dataclass

from api.access import Access
from api.fleet_client import FleetClient
from api.mode import ModeWatch
from api.page.feed import Feed
from api.page.render import Renderer, Sections
from api.page.sessions import Sessions


@dataclass(frozen=True)
class Parts:
    """Made once, in `build`."""

    access: Access
    sessions: Sessions
    fleet: FleetClient
    mode: ModeWatch
    feed: Feed
    render: Renderer
    sections: Sections
    stopping: asyncio.Event
