"""Failed sign-ins, limited for each client address: who guesses is soon refused unheard.

Each failure takes one from the address's token bucket (policy/token_bucket.py). While the bucket
is empty nothing from there is looked at, a right key included: an answer would tell that it is
right. Successes take nothing.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field

from policy import token_bucket
from policy.token_bucket import Deferred, Rate

KEPT = 10_000  # addresses; the one whose failure is the longest ago is forgotten first
NETWORK = 64  # bits of an IPv6 address: whoever has one has the rest of its network too


@dataclass
class Attempts:
    """The failures of each address, within memory that does not grow."""

    rate: Rate
    kept: int = KEPT
    arrivals: OrderedDict[str, float] = field(default_factory=OrderedDict[str, float])


def shut(attempts: Attempts, address: str, now: float) -> float:
    """For how many seconds nothing from this address is heard; 0 if it is."""
    taken = token_bucket.take(attempts.arrivals.get(_place(address), 0.0), attempts.rate, now)
    return taken.retry_after if isinstance(taken, Deferred) else 0.0


def failed(attempts: Attempts, address: str, now: float) -> None:
    """Note a failure; one that was under way when the address was shut takes nothing."""
    place = _place(address)
    taken = token_bucket.take(attempts.arrivals.get(place, 0.0), attempts.rate, now)
    if isinstance(taken, Deferred):
        return
    attempts.arrivals[place] = taken.arrival
    attempts.arrivals.move_to_end(place)
    if len(attempts.arrivals) > attempts.kept:
        attempts.arrivals.popitem(last=False)


def _place(address: str) -> str:
    """What counts as one client: an IPv4 address, an IPv6 network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a UNIX socket, or a proxy's own word
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, NETWORK), strict=False))
