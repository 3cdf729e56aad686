"""A parent as a program: starts a Temporal server on FOLDER and dies of SIGKILL at a MOMENT.

The moment is `serving`, `starting` (it has said where), or `spawning`: it is a process, no more.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from embedded.temporal_server import TemporalServer

spawn = asyncio.create_subprocess_exec


async def spawn_and_die(*command: Any, **how: Any) -> Any:
    """In place of asyncio's."""
    await spawn(*command, **how)
    os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, moment: str) -> None:
    """Start; die."""
    if moment == "spawning":
        asyncio.create_subprocess_exec = spawn_and_die
    told = folder / "temporal.json"
    former = told.read_bytes() if told.exists() else b""
    starting = asyncio.create_task(TemporalServer(folder, ui=False).start())
    if moment != "starting":
        await starting
    while not told.exists() or told.read_bytes() in (former, b""):  # noqa: ASYNC110
        await asyncio.sleep(0.005)  # files have no event
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
