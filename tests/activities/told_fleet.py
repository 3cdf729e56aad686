"""A Fleet that answers what it was told to."""

from typing import Any

from temporalio import workflow


@workflow.defn(name="Fleet")
class ToldFleet:
    """Remembers how it was asked."""

    @workflow.init
    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._asked: list[bool] = []

    @workflow.run
    async def run(self, told: dict[str, Any]) -> None:
        """For ever."""
        await workflow.wait_condition(lambda: not told)

    @workflow.query
    def gauges(self, estimate: bool) -> dict[str, Any]:
        """The answer; without the estimate if that is not wanted."""
        self._asked.append(estimate)
        return {key: v for key, v in self._told.items() if estimate or key != "drain"}

    @workflow.query
    def asked(self) -> list[bool]:
        """Whether the estimate was wanted, time after time."""
        return self._asked
