"""The Fleet's mode as the gateway sees it, known without a worker.

Read once a second while webhooks come, beside them: none waits for it unless what is known is a
little older. The Fleet counts on every gateway having heard within GATEWAYS_HEAR_SECONDS.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from policy import names

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
STALE_SECONDS = 1.25
ASK_SECONDS = 2.0


@dataclass(frozen=True)
class ModeView:
    """A mode, since when (epoch seconds), and why."""

    mode: str = "normal"
    since: float = 0.0
    reason: str = ""


class ModeWatch:
    """Reads the memo of the workflow `fleet`; many callers share one reading."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._view = ModeView()
        self._read_at = -STALE_SECONDS
        self._reading: asyncio.Task[None] | None = None
        self.reachable = True

    async def current(self) -> ModeView:
        """The mode; the last one known while Temporal does not answer."""
        age = time.monotonic() - self._read_at
        if age >= FRESH_SECONDS:
            reading = self._begin()
            if age >= STALE_SECONDS:
                await asyncio.shield(reading)
        return self._view

    async def reread(self) -> ModeView:
        """The mode as it is now, whatever was read before."""
        if self._reading:
            await asyncio.shield(self._reading)  # it may have been asked too early
        await asyncio.shield(self._begin())
        return self._view

    def _begin(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._ended)
        return self._reading

    def _ended(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        if not reading.cancelled() and (error := reading.exception()):
            logger.error("the mode cannot be read: %r", error)

    async def _read(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                description = await self._client.get_workflow_handle(names.FLEET_ID).describe()
                memo = await description.memo()
        except (RPCError, TimeoutError) as error:
            missing = isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND
            self.reachable = missing
        else:
            self.reachable = True
            self._view = ModeView(
                str(memo.get("mode", "normal")),
                float(memo.get("since", 0.0)),
                str(memo.get("reason", "")),
            )
        self._read_at = began
