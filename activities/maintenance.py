"""What an operator may ask for in an emergency."""

from temporalio import activity

from activities.runners import Launcher


class MaintenanceActivities:
    """Acts on all runners at once."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    @activity.defn(name="stop_runners")
    async def stop_runners(self) -> int:
        """Stop every runner, busy or not; how many. Their jobs fail at GitHub."""
        alive = [runner for runner in await self._launcher.all() if runner.alive]
        for runner in alive:
            await self._launcher.stop(runner.name)
        return len(alive)
