"""The second line of defence: what looks like a secret, or is a known one, is not written."""

import base64
import io
import json
import logging

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from activities.redaction import HIDDEN, RedactingFormatter, guard_logs, redacted, remember

PEM = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    .decode()
)
JWT = jwt.encode({"iss": "1"}, "a key that is long enough for HS256", algorithm="HS256")
SECRETS = [
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
    f"ghs_4242_{JWT}-and-more_with.dots",
    "github_pat_11ABCDEFG0123456789_abcdefghijklmnopqrstuvwxyz",
    JWT,
    PEM,
    PEM[:600],
]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_hidden(secret):
    """In the middle of a text; the rest stays."""
    said = redacted(f"before {secret} after")
    assert said.startswith("before ")
    assert HIDDEN in said
    for part in (secret, secret[8:40], secret[-30:]):
        assert part.strip() not in said or not part.strip()


def test_headers_and_configurations_are_hidden():
    """A bearer of any form; GitHub's answers, also quoted once more."""
    assert "abc.def-123_xyz" not in redacted("Authorization: Bearer abc.def-123_xyz")
    config = base64.b64encode(b'{".runner": "eyJBZ2VudElkIjogN30="}').decode()
    assert config not in redacted(f"config {config} end")
    assert redacted(f"config {config} end").endswith(" end")
    for space in ("", " "):
        for field in ("token", "encoded_jit_config"):
            answer = json.dumps({field: "AABF3JGZDX3P5PMEXLND6TS6FCWO6", "n": 1}).replace(
                ": ", f":{space}"
            )
            for text in (answer, json.dumps({"body": answer}), repr(answer.encode())):
                assert "AABF3" not in redacted(text)
                assert '"n' in redacted(text).replace("\\", "")


def test_ordinary_words_stay():
    """Nothing that an operator reads is lost."""
    said = "POST /repos/acme/api/actions/runners/registration-token: 403 Resource not accessible"
    assert redacted(said) == said


def test_a_known_secret_is_hidden_whatever_it_looks_like():
    """A registration token has no form of its own; too short a one would hide words."""
    remember("AABBCCDDEEFFGGHHIIJJ")
    remember("AABBCCDDEEFFGGHHIIJJ-and-longer")
    remember("short")
    assert redacted("x AABBCCDDEEFFGGHHIIJJ-and-longer y") == f"x {HIDDEN} y"
    assert redacted("in short") == "in short"


def test_the_secrets_of_the_configuration_are_never_forgotten():
    """A thousand tokens later; of those the oldest is."""
    remember("a-secret-of-the-configuration", lasting=True)
    for number in range(1001):
        remember(f"a-token-of-github-{number:04}-")
    assert redacted("x a-secret-of-the-configuration y") == f"x {HIDDEN} y"
    assert redacted("x a-token-of-github-1000- y") == f"x {HIDDEN} y"
    assert redacted("x a-token-of-github-0000- y") != f"x {HIDDEN} y"


def test_no_line_of_a_log_shows_a_secret():
    """Message, arguments and traceback."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        guard_logs()
        guard_logs()
        assert isinstance(handler.formatter, RedactingFormatter)
        try:
            raise ValueError(SECRETS[0])
        except ValueError:
            logging.getLogger("a.test").exception("could not use %s", SECRETS[2])
    finally:
        root.removeHandler(handler)
    said = stream.getvalue()
    assert "could not use" in said
    assert "Traceback" in said
    assert not any(secret in said for secret in SECRETS)


def test_libraries_do_not_write_down_what_goes_over_the_wire():
    """At DEBUG botocore tells bodies, signatures and session tokens."""
    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.DEBUG)
        guard_logs()
        for name in ("botocore.endpoint", "botocore.auth", "urllib3.connectionpool", "httpcore"):
            assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
        assert logging.getLogger("activities.meter").isEnabledFor(logging.DEBUG)
    finally:
        root.setLevel(level)
