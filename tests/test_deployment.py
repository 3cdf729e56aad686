"""docker-compose.yml and the Makefile say nothing that the code does not know."""

import re
from pathlib import Path

import typer
import yaml

import cli
from settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def _services():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_every_penstock_variable_is_a_setting():
    """No name that nothing reads."""
    seen = 0
    for service in ("setup", "gateway", "worker"):
        for name in _services()[service]["environment"]:
            if not name.startswith("PENSTOCK_") or name == "PENSTOCK_CONFIG":
                continue
            fields = Settings.model_fields
            for part in name.removeprefix("PENSTOCK_").lower().split("__"):
                assert part in fields, name
                model = fields[part].annotation
                fields = getattr(model, "model_fields", {})
            seen += 1
    assert seen >= 18


def test_every_command_exists():
    """The services run commands of the command line, and publish the port they listen on."""
    commands = set(typer.main.get_command(cli.app).commands)
    for service in ("setup", "gateway", "worker"):
        (command,) = _services()[service]["command"]
        assert command in commands
    gateway = _services()["gateway"]
    assert gateway["ports"] == [f"8080:{gateway['environment']['PENSTOCK_GATEWAY__PORT']}"]


def test_secrets_and_volumes_are_declared():
    """What a service mounts is declared below."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        named = {v.split(":")[0] for v in service.get("volumes", []) if not v.startswith(".")}
        assert named <= set(compose["volumes"])


def test_no_lock_file_names_a_registry():
    """Hashes and versions, no address."""
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        assert "--index-url" not in text
        assert re.search(r"^temporalio==", text, re.MULTILINE)
