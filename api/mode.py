"""The Fleet's mode as the gateway sees it: at most a second old, and known without a worker."""

import asyncio
import time
from dataclasses import dataclass

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from policy import names

FRESH_SECONDS = 1.0
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
        self._read_at = -FRESH_SECONDS
        self._lock = asyncio.Lock()
        self.reachable = True

    async def current(self) -> ModeView:
        """The mode; the last one known while Temporal does not answer."""
        if time.monotonic() - self._read_at < FRESH_SECONDS:
            return self._view
        async with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                await self._read()
        return self._view

    async def reread(self) -> ModeView:
        """The mode as it is now, whatever was read before."""
        self._read_at = -FRESH_SECONDS
        return await self.current()

    async def _read(self) -> None:
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
        self._read_at = time.monotonic()
