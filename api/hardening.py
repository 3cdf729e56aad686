"""What stands between the server and the application, for every route alike."""

from collections.abc import Callable

from starlette.types import ASGIApp

from api.forwarded import Forwarded, networks
from api.request_caps import RequestCaps
from api.security_headers import SecurityHeaders
from settings import GatewayTable


def hardened(app: ASGIApp, gateway: GatewayTable, turned_away: Callable[[str], None]) -> ASGIApp:
    """From outside in: who the client is, the headers of every answer, what a request may be.

    Around the application and not among its own middleware, so that its answers to its own
    failures have the headers too.
    """
    caps = RequestCaps(
        app,
        webhook_bytes=gateway.max_body_bytes,
        header_bytes=gateway.max_header_bytes,
        turned_away=turned_away,
    )
    return Forwarded(SecurityHeaders(caps), networks(gateway.trusted_proxies))
