"""Telling those who wait that something changed, so that nobody sleeps and looks again."""

import asyncio
from collections.abc import Callable


class Changes:
    """Wakes waiters; their conditions must be cheap, for each is asked again at each change."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def tell(self) -> None:
        """Something changed."""
        for event in self._waiting:
            event.set()

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until the condition holds, `timeout` seconds at most; say whether it does."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    event.clear()
                    await event.wait()
        except TimeoutError:
            return condition()
        finally:
            self._waiting.discard(event)
        return True
