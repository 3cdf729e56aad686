"""Whose address it is: the nearest one that is no proxy of ours."""

import pytest

from api.forwarded import Forwarded, address, client_of, networks

OURS = networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])

CLIENTS = [
    # peer, what it says, the client
    ("203.0.113.5", [], "203.0.113.5"),
    ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["1.1.1.1", " 198.51.100.1 "], "198.51.100.1"),
    ("10.0.0.1", ["1.1.1.1", "198.51.100.1", "10.9.9.9", "192.0.2.7"], "198.51.100.1"),
    ("10.0.0.1", ["10.0.0.2", "10.0.0.3"], "10.0.0.2"),
    ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
    ("10.0.0.1", ["[2001:db9::1]:4711"], "2001:db9::1"),
    ("10.0.0.1", ["2001:DB9:0:0::1"], "2001:db9::1"),
    ("2001:db8::1", ["198.51.100.1"], "198.51.100.1"),
    ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("::ffff:203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
    ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
    # What is no address is nobody's: the proxy that passed it on is as far as we see.
    ("10.0.0.1", ["198.51.100.1", "unknown"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1", "x' OR 1=1", "10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", [""], "10.0.0.1"),
    ("10.0.0.1", ["1.2.3.4.5", "fe80::1%<script>"], "fe80::1"),
    ("a socket's path", ["198.51.100.1"], "a socket's path"),
]


@pytest.mark.parametrize(("peer", "hops", "client"), CLIENTS)
def test_the_nearest_stranger_is_the_client(peer, hops, client):
    """Read from the right, past our own proxies."""
    assert client_of(peer, hops, OURS) == client


@pytest.mark.parametrize(
    "text", ["", "  ", "host", "[::1", "1.2.3.4:x:y", "01.2.3.4", "1.2.3.4/8"]
)
def test_what_is_no_address_is_none(text):
    """Nothing of it reaches a log or a limit."""
    assert address(text) in (None, address("::1") if text == "[::1" else None)


def test_a_network_is_written_out():
    """A network with bits of a host is a mistake."""
    with pytest.raises(ValueError, match="host bits"):
        networks(["10.0.0.1/8"])


SCHEMES = [
    ("203.0.113.5", [b"https"], "http"),
    ("10.0.0.1", [b"https"], "https"),
    ("10.0.0.1", [b"https, http"], "http"),
    ("10.0.0.1", [b"http", b"https"], "https"),
    ("10.0.0.1", [b"gopher"], "http"),
    ("10.0.0.1", [], "http"),
]


@pytest.mark.parametrize(("peer", "said", "scheme"), SCHEMES)
async def test_the_scheme_is_our_proxys_last_word(peer, said, scheme):
    """A stranger cannot say that it came by https."""
    seen = {}

    async def app(scope, _receive, _send):
        seen.update(scope)

    headers = [(b"x-forwarded-proto", value) for value in said]
    scope = {"type": "http", "client": (peer, 4711), "scheme": "http", "headers": headers}
    await Forwarded(app, OURS)(scope, None, None)
    assert seen["scheme"] == scheme
    assert seen["client"] == (peer, 4711)
