"""Heartbeats for every activity, so that one whose worker was killed is soon tried again."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

# The first after three seconds: what is quick, as nearly all is, costs no heartbeat at all.
EVERY_SECONDS = 3.0


class Heartbeats(Interceptor):
    """For a worker's list of interceptors."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the base class names it
    ) -> ActivityInboundInterceptor:
        """Wrap the execution of activities."""
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - as above
        beating = asyncio.create_task(_beat())
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()


async def _beat() -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        activity.heartbeat()
