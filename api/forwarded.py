"""Who the client is, and whether it came by https, where proxies stand in front.

X-Forwarded-For and X-Forwarded-Proto are believed from the networks of `gateway.trusted_proxies`
alone; from anybody else they are a stranger's words. Each proxy appends the address that it saw,
so that the list is read from the right, and the first address that is no proxy of ours is the
client's (developer.mozilla.org, "X-Forwarded-For", selecting an IP address).

Not uvicorn's own middleware: that takes text that is no address for the client's name, and does
not know a proxy's IPv4 address where the listener speaks IPv6 (`::ffff:10.0.0.1`).
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(given: Sequence[str]) -> tuple[Network, ...]:
    """As the configuration has them: `10.0.0.0/8`, or one address. Raises ValueError."""
    return tuple(ip_network(text) for text in given)


def address(text: str) -> Address | None:
    """An address as proxies write it, with a port or without; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def client_of(peer: str, hops: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: of `hops` (as in X-Forwarded-For) and `peer`, the nearest stranger's.

    What is no address ends the search at the proxy that passed it on.
    """
    here = address(peer)
    if here is None:
        return peer
    for hop in reversed(hops):
        before = address(hop)
        if before is None or not _within(here, trusted):
            break
        here = before
    return str(here)


def _within(found: Address, trusted: Sequence[Network]) -> bool:
    return any(found in network for network in trusted)


class Forwarded:
    """ASGI middleware: `scope["client"]` and `scope["scheme"]` are the client's, not a proxy's."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the client in the place of the proxy, if it is one of ours."""
        client = scope.get("client")
        if client:
            peer, port = client
            here = address(peer)
            hops: list[str] = []
            if here and _within(here, self._trusted):
                headers = Headers(scope=scope)
                hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
                # Of several words the last is our own proxy's.
                scheme = ",".join(headers.getlist("x-forwarded-proto")).split(",")[-1].strip()
                if scheme in ("http", "https"):
                    scope["scheme"] = scheme
            found = client_of(peer, hops, self._trusted)
            scope["client"] = (found, port if here and found == str(here) else 0)
        await self._app(scope, receive, send)
