"""A parent as a program: starts a Temporal server on FOLDER and dies of SIGKILL at a MOMENT.

The moment is `serving` or `starting`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from embedded.temporal_server import TemporalServer


async def main(folder: Path, moment: str) -> None:
    """Start; die."""
    starting = asyncio.create_task(TemporalServer(folder, ui=False).start())
    if moment == "serving":
        await starting
    while not (folder / "temporal.json").exists():  # noqa: ASYNC110 - files have no event
        await asyncio.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
