"""GitHub's signature by one of several secrets."""

from api.signature import sign, verify

BODY = b"Hello, World!"
DOCUMENTED = "It's a Secret to Everybody"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_documented_example():
    """GitHub's documentation, "Validating webhook deliveries"."""
    assert sign(DOCUMENTED, BODY) == SIGNATURE
    assert verify([DOCUMENTED], BODY, SIGNATURE)


def test_any_of_several_secrets_is_good():
    """The old and the new while one replaces the other; no other."""
    secrets = ["new", DOCUMENTED]
    assert verify(secrets, BODY, sign("new", BODY))
    assert verify(secrets, BODY, SIGNATURE)
    assert not verify(secrets, BODY, sign("other", BODY))
    assert not verify(secrets, BODY + b"!", SIGNATURE)


def test_nothing_verifies_nothing():
    """No secret, an empty one, no header."""
    assert not verify([], BODY, SIGNATURE)
    assert not verify([""], BODY, sign("", BODY))
    assert not verify([DOCUMENTED], BODY, None)
    assert not verify([DOCUMENTED], BODY, "sha256=é")
