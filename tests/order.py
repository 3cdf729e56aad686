"""Which test runs when, and where: a plugin that tests/conftest.py brings in.

Long tests go first, so that no worker of pytest-xdist is left alone with one at the end. Each of
them is dealt out alone; of the other folders whole files are, for their tests share fixtures.
Coverage is measured where it is demanded, in the tests of `policy/`: elsewhere it costs a third
of the processor's time and adds nothing.
"""

from pathlib import PurePosixPath
from typing import Any

import pytest

LONG_FIRST = (
    *("chaos", "e2e", "workflows"),
    *("page", "api", "activities", "commands", "embedded", "simulator"),
)
ONE_BY_ONE = ("chaos", "e2e", "workflows")


def folder_of(nodeid: str) -> str:
    """`e2e` of `tests/e2e/test_x.py::test_y`."""
    return PurePosixPath(nodeid.split("::", maxsplit=1)[0]).parent.name


def rank(nodeid: str) -> int:
    """The lower, the sooner."""
    folder = folder_of(nodeid)
    return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)


def unit(nodeid: str) -> str:
    """What is dealt out at once: a test, or its file."""
    return nodeid if folder_of(nodeid) in ONE_BY_ONE else nodeid.split("::", maxsplit=1)[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort, and keep the order within a folder."""
    items.sort(key=lambda item: rank(item.nodeid))


class Coverage:
    """Stops it before the first test, starts it again with the first one of `policy/`.

    Twice a process, and not around each test (`no_cover`): once in some thousand times
    CPython 3.11 takes a tracer's coming badly ("Exception ignored in PyEval_SetTrace").
    """

    def __init__(self) -> None:
        """It runs, as pytest-cov has started it."""
        self._runs = True
        self._met = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What comes after the first test of `policy/` is measured too: that is little."""
        self._met = self._met or folder_of(item.nodeid) == "policy"
        measuring = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
        if measuring is None or self._runs == self._met:
            return
        self._runs = self._met
        (measuring.resume if self._met else measuring.pause)()


def pytest_configure(config: pytest.Config) -> None:
    """One for each process."""
    config.pluginmanager.register(Coverage())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out units in this order, to whoever is free."""
    from xdist.scheduler import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    config.option.loadscopereorder = False
    return Units(config, log)
