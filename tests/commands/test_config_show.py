"""`penstock config show`: every value, where it comes from, and no secret."""

import json
from pathlib import Path

import yaml

import cli
from settings import Settings
from tests.commands.snapshot import same

TOML = """
state_dir = "state"
[limits]
max_runners = 12
repos = { "acme/api" = 3 }
[gateway]
webhook_secret = "secret-of-the-file"
owners = ["acme"]
[[gateway.admin_keys]]
name = "ann"
hash = "0000000000000000000000000000000000000000000000000000000000000000"
scope = "read"
[runner]
command = ["run", "--token", "ghp_secret0123456789012345"]
environment = { MAVEN_PASSWORD = "secret-of-maven" }
[tokens]
encryption_keys = { a = "secret-key-a" }
[aws]
endpoint_url = "https://user:secret-of-user@aws.example.org"
"""


def show(capsys, *options) -> str:
    assert cli.run_command(["config", "show", *options]) == 0
    return capsys.readouterr().out


def test_values_with_their_origins(tmp_path, monkeypatch, capsys):
    """File, environment over file, entries of a table merged; nothing secret in any form."""
    monkeypatch.chdir(tmp_path)
    Path("penstock.toml").write_text(TOML, encoding="utf-8")
    monkeypatch.setenv("PENSTOCK_GATEWAY__PORT", "9000")
    monkeypatch.setenv("PENSTOCK_LIMITS__MAX_RUNNERS", "14")
    monkeypatch.setenv("penstock_limits__repos", '{"acme/web": 2}')
    monkeypatch.setenv("PENSTOCK_GITHUB", '{"token": "secret-of-github", "mode": "jit"}')
    said = show(capsys, "--changed")
    same("config-show", said)
    same("config-show-yaml", show(capsys, "--changed", "-o", "yaml"))
    for text in (said, show(capsys), show(capsys, "-o", "json"), show(capsys, "-o", "yaml")):
        assert "secret-" not in text
        assert "ghp_" not in text


def test_every_key_is_there_and_all_are_defaults_without_any_configuration(
    tmp_path, monkeypatch, capsys
):
    """A new key cannot be forgotten: the list is made from the settings themselves."""
    monkeypatch.chdir(tmp_path)
    found = json.loads(show(capsys, "-o", "json"))
    assert found == yaml.safe_load(show(capsys, "-o", "yaml"))
    assert {one["origin"] for one in found} == {"default"}
    keys = {one["key"] for one in found}
    for table, field in Settings.model_fields.items():
        for key in getattr(field.annotation, "model_fields", {}):
            name = f"{table}.{key}"
            assert any(one == name or one.startswith(f"{name}.") for one in keys)
