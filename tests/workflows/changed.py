"""Workflows changed as they must not be: what runs already would do something else than it did.

For test_changed.py. `Same…` changes nothing: that a subclass is replayed is no difference.
"""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.recovery_schedule import RecoveryInput
    from policy import semaphore as rules
    from policy import sweep
    from policy.fleet import FleetState
    from policy.messages import Allot
    from policy.semaphore_state import SemaphoreState
    from workflows.options import ONE_TRY

from workflows.fleet import Fleet
from workflows.job_messages import JobInput, JobResult
from workflows.recovery import Recovery, RecoveryResult
from workflows.repo_semaphore import GRANTS_AT_ONCE, RepoSemaphore
from workflows.runner_job import RunnerJob


class _Job(RunnerJob):
    @workflow.init
    def __init__(self, job: JobInput) -> None:
        super().__init__(job)


@workflow.defn(name="RunnerJob")
class SameJob(_Job):
    @workflow.init
    def __init__(self, job: JobInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: JobInput) -> JobResult:
        return await super().run(job)


@workflow.defn(name="RunnerJob")
class JobWithATimer(_Job):
    """Sleeps a moment before it begins."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: JobInput) -> JobResult:
        await workflow.sleep(1)
        return await super().run(job)


@workflow.defn(name="RunnerJob")
class JobThatTellsByActivity(_Job):
    """Gives its permit back by another command."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: JobInput) -> JobResult:
        return await super().run(job)

    async def _release(self, lease: str) -> None:
        await workflow.execute_activity("tell_semaphore", lease, start_to_close_timeout=ONE_TRY)


@workflow.defn(name="RepoSemaphore")
class SameSemaphore(RepoSemaphore):
    @workflow.init
    def __init__(self, state: SemaphoreState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: SemaphoreState) -> None:
        await super().run(state)


@workflow.defn(name="RepoSemaphore")
class SemaphoreWithATimer(RepoSemaphore):
    """Sleeps a moment before it begins."""

    @workflow.init
    def __init__(self, state: SemaphoreState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: SemaphoreState) -> None:
        await workflow.sleep(1)
        await super().run(state)


@workflow.defn(name="RepoSemaphore")
class SemaphoreThatReportsFirst(RepoSemaphore):
    """Sends the same in another order."""

    @workflow.init
    def __init__(self, state: SemaphoreState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: SemaphoreState) -> None:
        await super().run(state)

    async def _turn(self) -> None:
        grants = rules.repeat(self._state) + self._take_inbox()
        grants += rules.grants(self._state, self._now(), GRANTS_AT_ONCE)
        sends = [self._grant(grant) for grant in grants]
        sends += [self._nudge(job) for job in sweep.nudges(self._state, self._now())]
        if rules.report_due(self._state, self._now()):
            sends.insert(0, self._report(rules.report(self._state, self._now())))
        await asyncio.gather(*sends)


@workflow.defn(name="Fleet")
class SameFleet(Fleet):
    @workflow.init
    def __init__(self, state: FleetState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: FleetState) -> None:
        await super().run(state)


@workflow.defn(name="Fleet")
class FleetWithATimer(Fleet):
    """Sleeps a moment before it begins."""

    @workflow.init
    def __init__(self, state: FleetState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: FleetState) -> None:
        await workflow.sleep(1)
        await super().run(state)


@workflow.defn(name="Fleet")
class FleetThatAllotsBackwards(Fleet):
    """Sends the same in another order."""

    @workflow.init
    def __init__(self, state: FleetState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: FleetState) -> None:
        await super().run(state)

    async def _deliver(self, allots: list[Allot]) -> None:
        await super()._deliver(allots[::-1])


@workflow.defn(name="Recovery")
class SameRecovery(Recovery):
    @workflow.run
    async def run(self, order: RecoveryInput) -> RecoveryResult:
        return await super().run(order)


@workflow.defn(name="Recovery")
class RecoveryWithATimer(Recovery):
    """Sleeps a moment before it begins."""

    @workflow.run
    async def run(self, order: RecoveryInput) -> RecoveryResult:
        await workflow.sleep(1)
        return await super().run(order)


@workflow.defn(name="Recovery")
class RecoveryThatPaysDeliveriesFirst(Recovery):
    """Does the same in another order."""

    @workflow.run
    async def run(self, order: RecoveryInput) -> RecoveryResult:
        return await super().run(order)

    async def _letters(self, room: int, open_since: float) -> int:
        await super()._deliveries(room, 1, open_since)
        return await super()._letters(room, open_since)

    async def _deliveries(self, room: int, points: int, open_since: float) -> int:
        return room
