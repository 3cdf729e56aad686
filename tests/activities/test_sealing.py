"""Sealed texts: opened by their key and at their place alone."""

import pytest

from activities.clients.sealing import BadKey, Sealer, new_key

CANARY = "an-unmistakable-token"


def test_a_sealed_text_opens_at_its_place():
    """Each sealing is another one."""
    sealer = Sealer({"k": new_key()})
    one, other = sealer.seal(CANARY, "a"), sealer.seal(CANARY, "a")
    assert one != other
    assert CANARY not in one
    assert sealer.open(one, "a") == sealer.open(other, "a") == CANARY
    assert sealer.open(one, "b") is None


@pytest.mark.parametrize(
    "harm", ["", "v1", "v1.k", "v1.k.", "v1.k.!!", "v2.k.AAAA", "v1.none.AAAA"]
)
def test_nonsense_opens_nothing(harm):
    """And raises nothing."""
    assert Sealer({"k": new_key()}).open(harm, "a") is None


def test_every_changed_character_is_seen():
    """Also one of the key's name."""
    sealer = Sealer({"k": new_key(), "l": new_key()})
    sealed = sealer.seal(CANARY, "a")
    assert sealed.endswith("=")  # so that the last character has bits to spare
    for index, character in enumerate(sealed):
        for other in set("ABCDQgw0") - {character}:
            changed = sealed[:index] + other + sealed[index + 1 :]
            assert sealer.open(changed, "a") is None
    assert sealer.open(sealed.replace("v1.k.", "v1.l."), "a") is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "token-key create"),
        ({"k": "AAAA"}, "'k' is not 32 bytes"),
        ({"k": "a-canary-not-base64!"}, "'k' is not 32 bytes"),
        ({"a.b": "AAAA"}, "'a.b'"),
        ({"": "AAAA"}, "has no name"),
    ],
)
def test_a_bad_key_is_named_and_not_shown(keys, said):
    """By its id."""
    with pytest.raises(BadKey, match=said) as caught:
        Sealer(keys)
    assert "canary" not in str(caught.value)
