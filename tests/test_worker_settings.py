"""Which version a worker is: both names or none."""

import pytest
from typer.testing import CliRunner

import settings as configuration
from commands.every import app_of
from settings import InvalidSettings


def test_by_default_workers_have_no_version():
    """Nothing of worker versioning is used."""
    worker = configuration.load().worker
    assert worker.version == ("", "")
    assert worker.deployment is None


def test_with_both_names_a_worker_is_of_a_version():
    """And every workflow stays with the one it began on."""
    named = {"deployment_name": "penstock", "build_id": "2026-11-28.1+a1b2"}
    deployment = configuration.load(worker=named).worker.deployment
    assert deployment is not None
    assert deployment.version.to_canonical_string() == "penstock.2026-11-28.1+a1b2"
    assert deployment.use_worker_versioning
    assert deployment.default_versioning_behavior.name == "PINNED"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deployment_name": "penstock"}, "build_id is missing"),
        ({"build_id": "1"}, "deployment_name is missing"),
        ({"deployment_name": "pen.stock", "build_id": "1"}, "worker.deployment_name"),
        ({"deployment_name": "penstock", "build_id": "a:b"}, "worker.build_id"),
    ],
)
def test_half_a_version_is_refused(given, said):
    """In one line that names the key; Temporal joins both names by a dot."""
    with pytest.raises(InvalidSettings, match=said):
        configuration.load(worker=given)


def test_one_process_alone_has_no_version(monkeypatch):
    """Nobody would promote it: its work would wait for ever."""
    monkeypatch.setenv("PENSTOCK_WORKER__DEPLOYMENT_NAME", "penstock")
    monkeypatch.setenv("PENSTOCK_WORKER__BUILD_ID", "1")
    done = CliRunner().invoke(app_of(), ["dev"])
    assert isinstance(done.exception, InvalidSettings)
    assert "leave it out" in str(done.exception)


@pytest.mark.parametrize("command", ["versions", "promote"])
def test_versions_are_nobodys_without_a_name(command):
    """Before anything is asked."""
    done = CliRunner().invoke(app_of(), [command])
    assert isinstance(done.exception, InvalidSettings)
    assert "worker.deployment_name is missing" in str(done.exception)
