"""Temporal servers that are gone after the test, whoever started them."""

import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from embedded import temporal_server
from embedded.temporal_server import TemporalServer


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncGenerator[Callable[..., TemporalServer]]:
    """Make servers on one folder, each on a port that no other test wants."""
    made: list[TemporalServer] = []
    folder = tmp_path / "state"

    def make(**how: Any) -> TemporalServer:
        made.append(TemporalServer(folder, **{"ui": False, "port": 0, **how}))
        return made[-1]

    yield make
    left = temporal_server.read(folder)
    if left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(left.pid, signal.SIGKILL)
    for server in made:
        await server.stop()
