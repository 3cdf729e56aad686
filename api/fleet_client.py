"""The workflow `fleet` seen from outside: its queries, signals and update, with clear errors."""

import asyncio
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.silence import cause
from policy import names
from policy.fleet import ModeChange, Rebuild
from policy.limits import Limits, LimitsChange

T = TypeVar("T")
PATIENCE_SECONDS = 8.0
SIGNALS = {"normal": "resume", "draining": "drain", "maintenance": "maintenance"}


class FleetUnavailable(Exception):
    """The Fleet does not answer; the message says what to look at."""


class LimitsRefused(Exception):
    """The Fleet refused a change of limits whole; the message says why."""


class LimitsChanged(LimitsRefused):
    """They are no longer those that the change was made for; `digest` is of those in force."""

    def __init__(self, said: str, digest: str) -> None:
        super().__init__(said)
        self.digest = digest


class FleetClient:
    """What gateway and command line ask of the Fleet."""

    def __init__(self, client: Client) -> None:
        self._fleet = client.get_workflow_handle(names.FLEET_ID)

    async def status(self) -> dict[str, Any]:
        """The query `status`."""
        return await self._query("status", dict[str, Any])

    async def drain_status(self) -> dict[str, Any]:
        """The query `drain_status`."""
        return await self._query("drain_status", dict[str, Any])

    async def set_mode(self, mode: str, change: ModeChange) -> None:
        """The signal drain, resume or maintenance."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._fleet.signal(SIGNALS[mode], change)
        except (RPCError, TimeoutError) as error:
            raise await self._unavailable(error) from None

    async def rebuild(self, wish: Rebuild) -> None:
        """The signal rebuild: the Fleet asks every semaphore anew."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._fleet.signal("rebuild", wish)
        except (RPCError, TimeoutError) as error:
            raise await self._unavailable(error) from None

    async def audit(self) -> list[dict[str, Any]]:
        """The query `audit`: changes that operators made, the oldest first."""
        return await self._query("audit", list[dict[str, Any]])

    async def set_limits(self, change: LimitsChange) -> Limits:
        """The update `set_limits`."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._fleet.execute_update(  # pyright: ignore[reportUnknownMemberType]
                    "set_limits", change, result_type=Limits
                )
        except WorkflowUpdateFailedError as error:
            raise _refusal(error.cause) from None
        except RPCTimeoutOrCancelledError as error:
            # The SDK's word for both: our patience has ended, or whoever asked has gone.
            asking = asyncio.current_task()
            if asking and asking.cancelling():
                raise asyncio.CancelledError from None
            raise await self._unavailable(error) from None
        except (RPCError, TimeoutError) as error:
            raise await self._unavailable(error) from None

    async def _query(self, name: str, kind: type[T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._fleet.query(name, result_type=kind)
        except (RPCError, TimeoutError, WorkflowQueryFailedError) as error:
            raise await self._unavailable(error) from None

    async def _unavailable(self, error: Exception) -> FleetUnavailable:
        if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
            return FleetUnavailable("no Fleet runs yet: start a worker (penstock worker)")
        return FleetUnavailable(f"the Fleet does not answer: {await cause(self._fleet)}")


def _refusal(cause: BaseException) -> LimitsRefused:
    if not isinstance(cause, ApplicationError):
        return LimitsRefused(str(cause))
    if cause.type == "LimitsMoved" and cause.details:
        return LimitsChanged(cause.message, str(cause.details[0]))
    return LimitsRefused(cause.message)
