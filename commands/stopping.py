"""Until somebody stops it."""

import asyncio
import signal


def stop_signal() -> asyncio.Event:
    """Set by SIGTERM or Ctrl-C; each further one cuts short what this task then waits for."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def heard() -> None:
        if stop.is_set() and task:
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard)
    return stop
