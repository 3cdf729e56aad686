"""A timer that is set again without being started again: each start costs an action."""

import asyncio
from datetime import timedelta

from temporalio import workflow


class Alarm:
    """Rings once, at or before the time asked for; ask again after it rang."""

    def __init__(self) -> None:
        """No alarm is set."""
        self._at = 0.0
        self._sleep: asyncio.Task[None] | None = None

    @property
    def rang(self) -> bool:
        """Whether the time has come."""
        return self._sleep is not None and self._sleep.done()

    def set(self, at: float | None) -> None:
        """Ring by `at` (epoch seconds), or not at all.

        A timer that is running and rings earlier is kept: the loop that wakes will look and set
        it again, which is cheaper than a cancelled timer for each change of mind.
        """
        if self.rang:
            self._sleep = None
        if at is None or (self._sleep is not None and self._at <= at):
            return
        if self._sleep is not None:
            self._sleep.cancel()
        self._at = at
        pause = timedelta(seconds=max(0.001, at - workflow.now().timestamp()))
        self._sleep = asyncio.create_task(workflow.sleep(pause))
