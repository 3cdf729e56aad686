"""A worker's life as a program: launches one runner and is killed: FOLDER WORDS SCRIPT MOMENT."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from activities.clients.process_launcher import ProcessLauncher
from activities.runner_environment import RunnerHome
from tests.activities.launching import TOKEN, request


def kill_me() -> None:
    """As the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: str, words: str, script: str, moment: str) -> None:
    """Launch; die at the moment, or after it."""
    event, _, end = moment.partition(" ")
    launcher = ProcessLauncher(
        Path(folder),
        ["/bin/sh", "-c", script],
        home=RunnerHome("http://github.test", "http://api.github.test"),
        environment={"WORDS": words},
    )

    def look(name: str, arguments: tuple[object, ...]) -> None:
        if name == event and str(arguments[0]).endswith(end):
            kill_me()

    sys.addaudithook(look)
    await launcher.launch(request(), TOKEN)
    if moment == "launched":
        kill_me()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
