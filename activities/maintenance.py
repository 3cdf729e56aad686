"""What an operator may ask for in an emergency."""

import asyncio
import logging

from temporalio import activity

from activities.runners import Launcher

logger = logging.getLogger(__name__)


class MaintenanceActivities:
    """Acts on all runners at once."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    @activity.defn(name="stop_runners")
    async def stop_runners(self) -> int:
        """Stop every runner, busy or not; how many. Their jobs fail at GitHub.

        One that cannot be stopped does not save the others; it is named in the log.
        """
        alive = [runner.name for runner in await self._launcher.all() if runner.alive]
        stops = (self._launcher.stop(name) for name in alive)
        ends = await asyncio.gather(*stops, return_exceptions=True)
        for name, end in zip(alive, ends, strict=True):
            if isinstance(end, BaseException):
                logger.error("the runner %s could not be stopped: %s", name, end)
        return len(alive)
