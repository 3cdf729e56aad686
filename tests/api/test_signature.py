"""GitHub's signature by one of several secrets."""

import pytest

from activities.redaction import redacted
from api.signature import sign, verify
from tests.api.gate import Gate
from tests.support import deliver, job_payload

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


@pytest.mark.parametrize(
    "header",
    [
        SIGNATURE.upper(),
        SIGNATURE.removeprefix("sha256="),
        SIGNATURE.replace("sha256=", "sha1="),
        f" {SIGNATURE}",
        f"{SIGNATURE} ",
        f"{SIGNATURE}, {SIGNATURE}",
        f"{SIGNATURE}\x00",
        SIGNATURE[:-1],
        SIGNATURE + "7",
        SIGNATURE.replace("7", "\uff17"),  # a digit of another alphabet
        "sha256=",
        "=",
        "\udcff",
    ],
)
def test_a_signature_is_that_one_text(header):
    """Nothing is trimmed, folded or read generously."""
    assert not verify([DOCUMENTED, "other"], BODY, header)


def test_each_secret_is_tried_whichever_fits():
    """The time must not tell which one, or whether any: no early end."""
    tried = []

    class Told(str):
        def encode(self, *_: object) -> bytes:
            tried.append(str(self))
            return str.encode(str(self))

    secrets = [Told("first"), Told("second"), Told("third")]
    assert verify(secrets, BODY, sign("first", BODY))
    assert tried == ["first", "second", "third"]


async def test_a_secret_is_replaced_without_a_lost_delivery(tmp_path):
    """Old and new are good while both are there; then the new one alone; neither is ever shown."""
    old, new = "the-old-webhook-secret", "the-new-webhook-secret"
    accepted = 0

    async def status(gate: Gate, secret: str) -> int:
        nonlocal accepted
        accepted += 1
        job = job_payload("queued", 7200 + accepted)
        return (await deliver(gate.http, gate.url, secret, job)).status_code

    both = {"webhook_secret": f"{new}\n{old}\n"}
    async with Gate.open(tmp_path / "both", gateway=both) as gate:
        assert [await status(gate, secret) for secret in (old, new, "", "other")] == [
            *(200, 200, 401, 401)
        ]
        assert redacted(f"said {old} and {new}") == "said [redacted] and [redacted]"
    async with Gate.open(tmp_path / "new", gateway={"webhook_secret": new}) as gate:
        assert [await status(gate, secret) for secret in (old, new)] == [401, 200]
