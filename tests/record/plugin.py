"""A pytest plugin: after each test, keep the histories of its Temporal server that show a path.

The smallest history of a path wins. A history with a secret in it fails its test, and is not kept.
"""

import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.client import Client

from checker import Evidence
from checker.export import export
from checker.history import History
from checker.laws.secrets import no_secret
from demo.evidence import secrets_of
from demo.site import Site
from tests.record import corpus
from tests.record.paths import PATHS
from tests.record.run import Run

SHOWS = {path.name: path.what for path in PATHS}
BY_NAME = {path.name: path for path in PATHS}
_kept: dict[str, tuple[int, History]] = {}  # by path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Anew, or only what is missing."""
    parser.addoption("--record-missing", action="store_true", help="keep what is recorded already")


@pytest.fixture(autouse=True)
def _recorded_client(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("client") if "client" in request.fixturenames else None


@pytest.fixture(autouse=True)
def _recorded_site(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("site") if "site" in request.fixturenames else None


@pytest.fixture(autouse=True)
async def _recorded(
    _recorded_client: Client | None,
    _recorded_site: Site | None,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncGenerator[None]:
    """Set up before the workers and torn down after them, while the server still runs.

    And before what `monkeypatch` changed is as it was: where a test changed what workflows go by,
    as times, its histories replay with these changes only.
    """
    before = constants()
    yield
    if _recorded_client is None or before.items() - constants().items():
        return
    histories = await export(_recorded_client)
    canaries = await secrets_of(_recorded_site) if _recorded_site else []
    assert no_secret(Evidence(histories, canaries=canaries)) == []
    for history in histories:
        keep(history)


def constants() -> dict[str, object]:
    """What workflows go by: the constants of their policy."""
    return {
        f"{module}.{name}": value
        for module, content in list(sys.modules.items())
        if module.startswith(("policy.", "workflows.")) and module != "policy.recovery"
        for name, value in list(vars(content).items())
        if name.isupper() and isinstance(value, (int, float, str))
    }


def keep(history: History) -> None:
    """Look which paths a history shows, and keep it for those that have no smaller one."""
    run = Run(history)
    size = 0
    for path in PATHS:
        if path.type == run.type and path.shows(run):
            size = size or len(corpus.packed(history))
            if path.name not in _kept or size < _kept[path.name][0]:
                _kept[path.name] = (size, history)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was found; a path that nothing showed is a failure of its own."""
    release = corpus.current()
    found = {name: (SHOWS[name], history) for name, (_, history) in _kept.items()}
    if session.config.getoption("--record-missing") and release in corpus.releases():
        found |= _recorded_before(release)
    corpus.write(release, found)
    if len(found) < len(SHOWS) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _recorded_before(release: str) -> dict[str, tuple[str, History]]:
    """What the release's part holds of the paths that still are, and still are shown."""
    found: dict[str, tuple[str, History]] = {}
    for entry in corpus.manifest(release):
        history = corpus.load(corpus.FOLDER / release / entry.file)
        if entry.path in BY_NAME and BY_NAME[entry.path].shows(Run(history)):
            found[entry.path] = (SHOWS[entry.path], history)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what is recorded and what is not."""
    release = corpus.current()
    there = {entry.path for entry in corpus.manifest(release)}
    terminalreporter.section(f"{len(there)} of {len(SHOWS)} paths of {release} are recorded")
    for name, what in SHOWS.items():
        if name not in there:
            terminalreporter.write_line(f"not shown: {name}: {what}")
