"""Telling those who wait that something changed, so that nobody sleeps and looks again."""

import asyncio
from collections.abc import Callable


class Changes:
    """Wakes waiters; their conditions must be cheap, for each is asked again at each change."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self._era = 0

    def tell(self) -> None:
        """Something changed."""
        for event in self._waiting:
            event.set()

    def release(self) -> None:
        """Let all who wait now go: what they wait for will not come."""
        self._era += 1
        self.tell()

    async def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until the condition holds, `timeout` seconds at most; say whether it does."""
        event, era = asyncio.Event(), self._era
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout):
                while era == self._era and not condition():
                    event.clear()
                    await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(event)
        return condition()
