"""`[[gateway.admin_keys]]` and `[gateway.iam]`: who is let in, and what would let strangers in."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policy.access import AdminKey
from settings import InvalidSettings, load

CANARY = "an-unmistakable-secret"
HASH = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    """No penstock.toml of the working folder takes part."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def written(tmp_path):
    """Write a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "penstock.toml"
        path.write_text(text)
        return path

    return write


def refusal(**overrides) -> str:
    """The message of a configuration that cannot be used: one line, no secret."""
    with pytest.raises(InvalidSettings) as caught:
        load(**overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert CANARY not in message
    return message


def test_admin_keys_have_names_scopes_and_ends(written):
    """The old list stays: each of its keys may do everything, for ever."""
    other = HASH.replace("0", "f")
    file = written(
        f'[gateway]\nadmin_key_hashes = ["{HASH}", "{HASH}"]\n'
        f'[[gateway.admin_keys]]\nname = "ann"\nhash = "{other}"\nscope = "read"\n'
        "not_after = 2027-01-01T12:00:00Z\n"
    )
    ann, old = load(file).gateway.all_admin_keys
    end = datetime(2027, 1, 1, 12, tzinfo=UTC).timestamp()
    assert ann == AdminKey("ann", other, "read", end)
    assert old == AdminKey(HASH[:8], HASH, "operate")


@pytest.mark.parametrize(
    ("written_end", "end"),
    [
        ('"2027-01-01"', datetime(2027, 1, 2, tzinfo=UTC)),
        ("2027-01-01", datetime(2027, 1, 2, tzinfo=UTC)),
        ('"2027-01-01T12:00:00+02:00"', datetime(2027, 1, 1, 10, tzinfo=UTC)),
        ("2027-01-01T12:00:00", datetime(2027, 1, 1, 12, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_key_is_a_day_or_a_moment(written, written_end, end):
    """A day counts to its end; what names no zone is meant in UTC."""
    file = written(
        f'[[gateway.admin_keys]]\nname = "ann"\nhash = "{HASH}"\nscope = "read"\n'
        f"not_after = {written_end}\n"
    )
    (key,) = load(file).gateway.all_admin_keys
    assert key.not_after == end.timestamp()


KEY = {"name": "ann", "hash": HASH, "scope": "read"}


@pytest.mark.parametrize(
    ("gateway", "names"),
    [
        ({"admin_keys": [{**KEY, "scope": "all"}]}, "gateway.admin_keys.0.scope"),
        ({"admin_keys": [{**KEY, "hash": CANARY}]}, "gateway.admin_keys.0.hash"),
        ({"admin_keys": [{**KEY, "name": "a b"}]}, "gateway.admin_keys.0.name"),
        ({"admin_keys": [{**KEY, "not_after": "soon"}]}, "gateway.admin_keys.0.not_after"),
        ({"admin_keys": [{**KEY, "key": CANARY}]}, "gateway.admin_keys.0.key: there is no such"),
        ({"admin_keys": [KEY, {**KEY, "hash": "a" * 64}]}, "the name 'ann' is there twice"),
        ({"admin_keys": [KEY, {**KEY, "name": "bob"}]}, "the hash"),
        ({"admin_keys": [KEY], "admin_key_hashes": [HASH]}, "the hash"),
        ({"admin_failures_per_minute": 0}, "gateway.admin_failures_per_minute"),
    ],
)
def test_a_wrong_admin_key_is_named(gateway, names):
    """One line, and never what may be the key itself."""
    assert names in refusal(gateway=gateway)


IAM = {"sts_url": "https://sts.eu-central-1.amazonaws.com/", "server_id": "penstock.example.org"}
ROLE = "arn:aws:iam::123456789012:role/ops*"


def test_aws_identities_are_patterns_of_an_account():
    """The host is what a client must sign for."""
    rules = load(gateway={"iam": {**IAM, "arns": [ROLE]}}).gateway.iam.rules
    assert rules.host == "sts.eu-central-1.amazonaws.com"
    assert (rules.operate, rules.read) == ((ROLE,), ())
    for url, host in (
        ("https://STS.example.org:443", "sts.example.org"),
        ("https://sts.example.org:8443", "sts.example.org:8443"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
    ):
        assert load(gateway={"iam": {**IAM, "sts_url": url}}).gateway.iam.rules.host == host
    assert load().gateway.iam is None


@pytest.mark.parametrize(
    ("iam", "names"),
    [
        ({"arns": ["*"]}, "gateway.iam.arns"),
        ({"arns": ["arn:aws:iam::*:role/ops"]}, "gateway.iam.arns"),
        ({"arns": ["arn:aws:iam::123456789012:role/[ab]"]}, "gateway.iam.arns"),
        ({"read_arns": ["arn:aws:s3:::bucket"]}, "gateway.iam.read_arns"),
        ({"sts_url": "http://sts.amazonaws.com"}, "gateway.iam.sts_url"),
        ({"sts_url": "https://sts.amazonaws.com/path"}, "gateway.iam.sts_url"),
        ({"sts_url": "https://sts.amazonaws.com?x=1"}, "gateway.iam.sts_url"),
        ({"sts_url": "https://ann@sts.amazonaws.com"}, "gateway.iam.sts_url"),
        ({"sts_url": "sts.amazonaws.com"}, "gateway.iam.sts_url"),
        ({"sts_url": "https://sts.amazonaws.com:99999"}, "gateway.iam.sts_url"),
        ({"server_id": ""}, "gateway.iam.server_id"),
        ({"server_id": "a\nb"}, "gateway.iam.server_id"),
    ],
)
def test_what_would_let_strangers_in_is_refused(iam, names):
    """Another account, plain HTTP, a place of somebody else's."""
    assert names in refusal(gateway={"iam": {**IAM, **iam}})
