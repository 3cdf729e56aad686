"""Publishes what runs, repository by repository, for those who cannot ask Temporal.

A row is read before its semaphore is asked, and is written only if it is that row still. So what
is written is always newer than what it replaces, whoever else publishes, and however slowly
(docs/decisions/0009-concurrency-table.md). Nothing is remembered that matters: a publisher that
begins anew looks at all, and mends whatever one that died has left.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError, RPCStatusCode

from policy import concurrency, names
from policy.concurrency import NOTHING, Hint, Picture, Row
from policy.limits import Limits

logger = logging.getLogger(__name__)

QUERY_TIMEOUT = timedelta(seconds=10)
AT_ONCE = 10  # semaphores asked, rows written
WHOLE_SECONDS = 60.0  # from one look at everything to the next
LIMITS = ("max_runners", "max_repo_share", "default", "repos")


class TableUnavailable(Exception):
    """The table cannot be read or written; the message names it and the cause in one line."""


class Table(Protocol):
    """A row for each repository; each write replaces one certain version of its row."""

    async def rows(self) -> dict[str, Row]:
        """All rows by repository, as they are now. Raises TableUnavailable."""
        ...

    async def write(self, row: Row, replaced: int) -> bool:
        """Write the row; False if the version `replaced` (0: none) is no longer there.

        Raises TableUnavailable.
        """
        ...


class Publisher:
    """Looks at the semaphores and writes what differs."""

    def __init__(
        self,
        client: Client,
        table: Table,
        clock: Callable[[], float],
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        """`clock` gives epoch seconds."""
        self._client = client
        self._table = table
        self._clock = clock
        self._whole_seconds = whole_seconds
        self._whole_at = 0.0
        self._hints: dict[str, Hint] = {}
        self._unsure: set[str] = set()  # asked or written in vain: to be looked at again
        self._lanes = asyncio.Semaphore(AT_ONCE)

    async def look(self) -> int:
        """Look where the Fleet says that something changed, once a minute everywhere.

        The answer is how many rows were written. Raises TableUnavailable and RPCError.
        """
        now = self._clock()
        rows = await self._table.rows()
        word = await self._word()
        hints, limits = word or (self._hints, None)
        whole = now >= self._whole_at
        repos = set(self._unsure)
        if whole:
            repos |= await self._running()
            repos |= {row.repo for row in rows.values() if row.running or row.waiting}
        if limits:
            repos |= {
                repo
                for repo in rows.keys() | hints.keys()
                if concurrency.is_due(
                    rows.get(repo),
                    hints.get(repo, NOTHING),
                    self._hints.get(repo, NOTHING),
                    limits.repo_cap(repo),
                    now,
                )
            }
        self._hints = hints
        self._unsure |= repos
        ends = await asyncio.gather(
            *(
                self._publish(repo, rows.get(repo), limits.repo_cap(repo) if limits else None)
                for repo in sorted(repos)
            ),
            return_exceptions=True,  # the next look begins when all of this one have ended
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        if whole:
            self._whole_at = now + self._whole_seconds
        return ends.count(True)

    async def _publish(self, repo: str, row: Row | None, limit: int | None) -> bool:
        """Whether a row was written."""
        async with self._lanes:
            try:
                picture = await self._picture(repo)
            except (RPCError, WorkflowQueryFailedError) as error:
                # One that cannot answer holds up no other; its row stays as it is.
                logger.info("the semaphore of %s cannot be asked now: %s", repo, error)
                return False
            if picture is None:
                return False
            new = concurrency.next_row(row, repo, picture, limit, self._clock())
            wrote = new is not None and await self._table.write(new, row.version if row else 0)
        if new is None or wrote:
            self._unsure.discard(repo)
        return wrote

    async def _picture(self, repo: str) -> Picture | None:
        """What is true of the repository; None while nobody knows."""
        try:
            state: dict[str, Any] = await self._client.get_workflow_handle(
                names.semaphore_id(repo)
            ).query(
                "state",
                args=[0],  # no waiter by name
                result_type=dict[str, Any],
                reject_condition=QueryRejectCondition.NOT_OPEN,
                rpc_timeout=QUERY_TIMEOUT,
            )
        except WorkflowQueryRejectedError as error:
            if error.status == WorkflowExecutionStatus.COMPLETED:
                return Picture(0, 0)  # it ends only when it is idle
            return await self._left_behind(repo)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return await self._left_behind(repo)
        # A semaphore that has lost its memory asks all jobs first what they hold.
        settled = state.get("settled", True)
        return Picture(state["in_use"], state["waiting"], state["epoch"]) if settled else None

    async def _left_behind(self, repo: str) -> Picture | None:
        """Of a semaphore that somebody ended: nothing runs, or it will soon be started again."""
        query = (
            f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"
            f" AND PenstockRepo='{repo}'"
        )
        jobs = await self._client.count_workflows(query, rpc_timeout=QUERY_TIMEOUT)
        return None if jobs.count else Picture(0, 0)

    async def _word(self) -> tuple[dict[str, Hint], Limits] | None:
        """The Fleet's word on every repository, and the limits; None while it does not answer."""
        try:
            status: dict[str, Any] = await self._client.get_workflow_handle(names.FLEET_ID).query(
                "status", result_type=dict[str, Any], rpc_timeout=QUERY_TIMEOUT
            )
        except (RPCError, WorkflowQueryFailedError) as error:
            logger.info("the Fleet cannot be asked now: %s", error)
            return None
        hints = {one["repo"]: Hint(one["running"], one["waiting"]) for one in status["repos"]}
        return hints, Limits(**{key: status["limits"][key] for key in LIMITS})

    async def _running(self) -> set[str]:
        """The repositories whose semaphore runs."""
        query = f"WorkflowType='{names.REPO_SEMAPHORE}' AND ExecutionStatus='Running'"
        return {names.repo_of(one.id) async for one in self._client.list_workflows(query)}
