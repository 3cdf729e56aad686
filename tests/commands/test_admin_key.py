"""`penstock admin-key`: what it prints is what the configuration takes."""

import json
import math
import tomllib
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from api import keys
from commands.admin_key import region_of
from commands.every import app_of
from settings import load


def create(*options: str) -> tuple[int, str]:
    """Run the command: exit code and output."""
    found = CliRunner().invoke(app_of(), ["admin-key", "create", *options])
    return found.exit_code, found.output


def test_the_lines_that_are_printed_let_the_key_in(tmp_path):
    """Into a file as they are; the key itself is nowhere in them."""
    code, said = create("--name", "ann", "--scope", "read", "--not-after", "2027-01-01")
    assert code == 0
    key = next(line for line in said.splitlines() if line.startswith("key ")).split()[1]
    toml = said[said.index("[[gateway.admin_keys]]") :]
    assert key not in toml
    config = tmp_path / "penstock.toml"
    config.write_text(toml)
    (known,) = load(config).gateway.all_admin_keys
    assert (known.name, known.scope) == ("ann", "read")
    assert known.not_after == datetime(2027, 1, 2, tzinfo=UTC).timestamp(), "its last day counts"
    assert keys.find([known], key) == known
    assert keys.find([known], key[:-1]) is None
    assert keys.find([known], "") is None


def test_without_options_it_is_good_for_everything():
    """Named by its date."""
    code, said = create("-o", "json")
    told = json.loads(said)
    assert (code, told["scope"], told["name"][:4]) == (0, "operate", "key-")
    assert keys.hash_of(told["key"]) == told["hash"]
    table = tomllib.loads(told["toml"])["gateway"]["admin_keys"][0]
    assert table == {name: told[name] for name in ("name", "hash", "scope")}
    assert load(gateway={"admin_keys": [table]}).gateway.all_admin_keys[0].not_after == math.inf


@pytest.mark.parametrize(
    ("option", "value"), [("--scope", "all"), ("--name", "a b"), ("--not-after", "soon")]
)
def test_a_wrong_option_is_named(option, value):
    """Exit 2, and no key is made."""
    code, said = create(option, value)
    assert (code, option in said, "pen_" in said) == (2, True, False)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sts.eu-central-1.amazonaws.com", "eu-central-1"),
        ("https://sts-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://sts.amazonaws.com", "us-east-1"),
        ("https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", "us-east-1"),
    ],
)
def test_the_region_is_in_the_address(url, region):
    """That of the global endpoint where the address names none."""
    assert region_of(url) == region
