"""Recovery: one run of what pays refused and lost webhooks, and tidies up what is left over.

A Temporal Schedule (activities/recovery_schedule.py) begins one every two minutes. What a run
leaves to the next one is its result: Temporal hands it over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.lost_runners import LostOrder, LostResult, LostRunnerActivities
    from activities.orphans import OrphanActivities, OrphansOrder, OrphansResult
    from activities.queued_jobs import QueuedJobActivities, QueuedOrder, QueuedResult
    from activities.recovery import FleetView, LettersOrder, LettersResult, RecoveryActivities
    from activities.recovery_schedule import RecoveryInput
    from activities.redelivery import Redelivered, RedeliveryActivities, RedeliveryOrder
    from policy import names
    from policy.recovery import Checkpoint
    from workflows.options import HEARTBEAT, ONCE, RECOVERY_PART

A = TypeVar("A")
R = TypeVar("R")
SHARE = 3  # of the points: a third each for the logs, the queued jobs, and what is left over


@dataclass
class RecoveryResult:
    """What one run did, and what the next one must know."""

    mode: str = "unknown"
    room: int = 0  # for new jobs, when it began
    letters_replayed: int = 0
    letters_left: int = 0
    deliveries_redelivered: int = 0
    deliveries_owed: int = 0  # asked for again, or not due yet, or without room
    deliveries_written_off: int = 0  # older than three days
    jobs_started: int = 0  # queued at GitHub, without a workflow
    jobs_ended: int = 0  # queued at GitHub, though their workflow has ended
    repositories_looked_at: int = 0
    repositories_known: int = 0
    runners_stopped: int = 0
    runners_removed: int = 0  # at GitHub, where there was no process
    runners_busy: int = 0  # left alone
    runners_suspected: int = 0  # to be looked at again
    jobs_told: int = 0  # that their runner is gone
    points: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    checkpoint: Checkpoint = field(default_factory=Checkpoint)

    @property
    def said(self) -> str:
        """In one line."""
        done = [
            (self.letters_replayed, "letters replayed"),
            (self.deliveries_redelivered, "deliveries sent again"),
            (self.jobs_started, "lost jobs started"),
            (self.runners_stopped, "runners stopped"),
            (self.runners_removed, "registrations removed"),
            (self.jobs_told, "jobs told of a lost runner"),
        ]
        parts = [f"{number} {what}" for number, what in done if number]
        parts += [f"{part}: {'; '.join(lines)}" for part, lines in self.failures.items()]
        return " · ".join(parts) or "nothing to do"


@workflow.defn(name="Recovery")
class Recovery:
    """One part after the other; whatever stops one, the others go on."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self._result = RecoveryResult()

    @workflow.run
    async def run(self, order: RecoveryInput) -> RecoveryResult:
        """Ask how much there is room for, pay, look for what was lost, tidy up."""
        result = self._result
        result.checkpoint = _former()
        points = order.points
        fleet = await self._part("fleet", RecoveryActivities.ask_fleet, FleetView())
        result.mode, result.room = fleet.mode, fleet.room
        room = await self._letters(fleet.room, fleet.open_since)
        room = await self._deliveries(room, points // SHARE, fleet.open_since)
        if room:
            await self._queued(room, points - result.points - points // SHARE)
        await self._orphans(points - result.points)
        await self._lost()
        workflow.set_current_details(f"mode {result.mode}: {result.said}")
        return result

    async def _letters(self, room: int, open_since: float) -> int:
        result, before = self._result, self._result.checkpoint
        done = await self._part(
            "letters",
            RecoveryActivities.replay_letters,
            LettersResult(before.letters),
            LettersOrder(room, before.letters, open_since),
        )
        result.letters_replayed, result.letters_left = done.replayed, done.left
        before.letters = done.tried
        self._note("letters", done.failures)
        return room - done.admitted

    async def _deliveries(self, room: int, points: int, open_since: float) -> int:
        result, before = self._result, self._result.checkpoint
        done = await self._part(
            "deliveries",
            RedeliveryActivities.redeliver,
            Redelivered(
                before.logs, before.hooks_after, owed=sum(len(x.debts) for x in before.logs)
            ),
            RedeliveryOrder(room, points, before.logs, before.hooks_after, open_since),
            names.GITHUB_TASK_QUEUE,
        )
        result.deliveries_redelivered, result.deliveries_owed = done.sent, done.owed
        result.deliveries_written_off = done.written_off
        before.logs, before.hooks_after = done.logs, done.after
        self._note("deliveries", done.failures, done.points)
        return room - done.admitted

    async def _queued(self, room: int, points: int) -> None:
        result, before = self._result, self._result.checkpoint
        done = await self._part(
            "queued jobs",
            QueuedJobActivities.start_queued_jobs,
            QueuedResult(before.repo, before.run),
            QueuedOrder(room, points, before.repo, before.run),
            names.GITHUB_TASK_QUEUE,
        )
        result.jobs_started, result.jobs_ended = done.started, done.ended
        result.repositories_looked_at, result.repositories_known = done.looked, done.known
        before.repo, before.run = done.repo, done.run
        self._note("queued jobs", done.failures, done.points)

    async def _orphans(self, points: int) -> None:
        result, before = self._result, self._result.checkpoint
        done = await self._part(
            "runners",
            OrphanActivities.see_off_orphans,
            OrphansResult(before.scope, before.suspects),
            OrphansOrder(points, before.scope, before.suspects),
            names.GITHUB_TASK_QUEUE,
        )
        result.runners_stopped, result.runners_removed = done.stopped, done.removed
        result.runners_busy, result.runners_suspected = done.busy, len(done.suspects)
        before.scope, before.suspects = done.scope, done.suspects
        self._note("runners", done.failures, done.points)

    async def _lost(self) -> None:
        before = self._result.checkpoint
        done = await self._part(
            "lost runners",
            LostRunnerActivities.tell_of_lost_runners,
            LostResult(before.missing),
            LostOrder(before.missing),
        )
        self._result.jobs_told = done.told
        before.missing = done.missing
        self._note("lost runners", done.failures)

    async def _part(
        self,
        name: str,
        activity: Callable[..., Any],
        otherwise: R,
        order: object = None,
        task_queue: str = names.TASK_QUEUE,
    ) -> R:
        """What a part answers; if it fails, that is noted, and `otherwise` stands for it."""
        workflow.set_current_details(f"mode {self._result.mode}; at work: {name}")
        try:
            return await workflow.execute_activity_method(
                activity,
                args=[] if order is None else [order],
                task_queue=task_queue,
                start_to_close_timeout=RECOVERY_PART,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=ONCE,
                summary=name,
            )
        except ActivityError as error:
            self._note(name, [f"failed: {error.cause or error}"])
            return otherwise

    def _note(self, part: str, failures: list[str], points: int = 0) -> None:
        self._result.points += points
        if failures:
            self._result.failures.setdefault(part, []).extend(failures)


def _former() -> Checkpoint:
    """The last run's; a fresh one if there is none, or none that this code understands."""
    try:
        former = workflow.get_last_completion_result(RecoveryResult)
    except Exception:  # whatever it is: a recovery that starts anew is better than none
        workflow.logger.warning("the last recovery's checkpoint cannot be read; starting anew")
        return Checkpoint()
    return former.checkpoint if former else Checkpoint()
