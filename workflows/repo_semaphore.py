"""RepoSemaphore: hands out one repository's permits, as many as the Fleet allots it."""

import asyncio
from dataclasses import asdict
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.reaper import Holders, ReaperActivities
    from activities.workflows import Repos, WorkflowActivities
    from policy import captions, messages, names, semaphore_state, sweep
    from policy import semaphore as rules
    from policy.messages import Acquire, Acquires, Allot, Release
    from policy.semaphore import Grant
    from policy.semaphore_state import SemaphoreState
    from workflows import patches
    from workflows.alarm import Alarm
    from workflows.life import Life
    from workflows.options import HEARTBEAT, LONGEST_LOOK, ONE_TRY, PATIENT
    from workflows.send import nudge, send
    from workflows.upgrade import go_on, new_run_due

IDLE_SECONDS = 3600.0
GRANTS_AT_ONCE = 500  # Temporal allows 2,000 pending signals; half of a quarter is plenty


@workflow.defn(name="RepoSemaphore")
class RepoSemaphore:
    """Signals go into an inbox; one loop takes them out, decides and sends in batches."""

    @workflow.init
    def __init__(self, state: SemaphoreState) -> None:
        """`state` is fresh (only the repository's name) or carried over."""
        semaphore_state.reopen(state)
        self._state = state
        self._inbox: list[Acquire | Release | Allot] = []
        self._alarm = Alarm()
        self._life = Life()
        self._again = True
        self._settled = False
        self._look: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, state: SemaphoreState) -> None:
        """Serve until idle for an hour, or until it goes on as a new run."""
        fresh = not state.epoch
        began_at = workflow.info().start_time.timestamp()
        rules.begin(state, self._life.epoch(began_at), self._now())
        if fresh:
            await self._rebuild()
        self._settled = True
        while True:
            self._set_alarm()
            workflow.set_current_details(captions.semaphore_now(state))
            await workflow.wait_condition(self._awake)
            self._again = False
            if self._life.was_reset:
                await self._start_over()
            self._look_at_holders()
            await self._turn()
            if new_run_due():
                # Not "when the inbox is empty": in a storm it never is. It is emptied into the
                # state, and what comes later is carried by Temporal to the next run.
                state.unsaid = [grant.job for grant in self._take_inbox()]
                go_on(semaphore_state.close(state))
            if self._idle() and await self._close():
                return

    @workflow.signal
    def acquire(self, request: Acquire) -> None:
        """A job asks for a permit."""
        self._inbox.append(request)

    @workflow.signal
    def acquire_many(self, requests: Acquires) -> None:
        """Jobs that arrived together ask for a permit each."""
        self._inbox += requests.asks

    @workflow.signal
    def release(self, message: Release) -> None:
        """A job gives its permit back, or leaves the queue."""
        self._inbox.append(message)

    @workflow.signal
    def allot(self, message: Allot) -> None:
        """The Fleet's word on how many permits may be out."""
        self._inbox.append(message)

    @workflow.query
    def state(self, most: int = 1000) -> dict[str, Any]:
        """Holders, the first so many waiters in order, allotment."""
        return {
            "repo": self._state.repo,
            "epoch": self._state.epoch,
            "fleet_epoch": self._state.fleet_epoch,
            "allotment": self._state.allotment,
            "in_use": self._state.in_use,
            "holders": [asdict(lease) for lease in self._state.holders.values()],
            "waiting": len(self._state.waiters),
            "waiters": rules.in_order(self._state, most, self._now()),
            "samples": len(self._state.durations),
            "settled": self._settled,  # not before it knows what running jobs hold
        }

    @workflow.query
    def waiter(self, job: str) -> dict[str, Any]:
        """One job's place in line (1 first; 0 if it does not wait here)."""
        return rules.place(self._state, job, self._now())

    @workflow.query
    def front(self, most: int) -> list[dict[str, Any]]:
        """The first so many waiters in line, each with what decides its place."""
        return rules.front(self._state, most, self._now())

    def _now(self) -> float:
        return workflow.now().timestamp()

    def _awake(self) -> bool:
        return (
            bool(self._inbox)
            or self._again
            or self._life.was_reset
            or self._alarm.rang
            or new_run_due()
        )

    def _set_alarm(self) -> None:
        state, now = self._state, self._now()
        times = [
            rules.next_eligible_at(state, now),
            sweep.next_look_at(state),
            sweep.next_nudge_at(state),
        ]
        if not state.holders and not state.waiters:
            times.append(state.idle_since + IDLE_SECONDS)
        self._alarm.set(min((at for at in times if at is not None), default=None))

    async def _rebuild(self) -> None:
        """No memory: grant nothing before every running job has said what it holds."""
        answer = await workflow.execute_activity_method(
            WorkflowActivities.collect_claims,
            Repos([self._state.repo]),
            start_to_close_timeout=ONE_TRY,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=PATIENT,
            summary="what running jobs hold",
        )
        rules.adopt(self._state, answer.claims, self._now())

    async def _start_over(self) -> None:
        """A reset: what was granted and given back since is true outside and forgotten here."""
        self._life.was_reset = False
        self._settled = False
        rules.start_over(self._state, self._life.epoch(self._now()), self._now())
        await self._rebuild()
        self._settled = True

    def _take_inbox(self) -> list[Grant]:
        """Enter what came; the answer is grants to say again to jobs that asked again."""
        again: list[Grant] = []
        for message in self._inbox:
            if isinstance(message, Acquire):
                repeated = rules.acquire(self._state, message)
                if repeated:
                    again.append(repeated)
            elif isinstance(message, Release):
                rules.release(self._state, message, self._now())
            else:
                thaws = rules.would_thaw(self._state, message) and not patches.stays_frozen()
                rules.allot(self._state, message, thaws=thaws)
        self._inbox.clear()
        return again

    async def _turn(self) -> None:
        """Decide on all that is known, then send it as one batch."""
        grants = rules.repeat(self._state) + self._take_inbox()
        grants += rules.grants(self._state, self._now(), GRANTS_AT_ONCE)
        sends = [self._grant(grant) for grant in grants]
        sends += [self._nudge(job) for job in sweep.nudges(self._state, self._now())]
        if self._state.nudged_in_turns and not patches.nudges_the_rest():
            self._state.nudged_in_turns = False
        if rules.report_due(self._state, self._now()):
            sends.append(self._report(rules.report(self._state, self._now())))
        await asyncio.gather(*sends)

    async def _grant(self, grant: Grant) -> None:
        if not await send(grant.job, "granted", grant.granted):
            # A closed waiter holds nothing: its permit is free for the next at once.
            rules.release(self._state, Release(grant.job, grant.granted.lease), self._now())
            self._again = True

    async def _nudge(self, job: str) -> None:
        if not await nudge(job):
            sweep.nudge_failed(self._state, job, self._now())
            self._again = True

    async def _report(self, report: messages.Report) -> None:
        if not await send(names.FLEET_ID, "report", report):
            await workflow.execute_activity_method(
                WorkflowActivities.ensure_fleet,
                start_to_close_timeout=ONE_TRY,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=PATIENT,
                summary="the Fleet heard no report",
            )
            rules.forget_report(self._state)
            self._again = True

    def _look_at_holders(self) -> None:
        """Sweep, beside the loop: a terminated job gives nothing back by itself."""
        due = sweep.next_look_at(self._state)
        if due is not None and self._now() >= due:
            suspects = sweep.suspects(self._state, self._now())
            self._look = asyncio.create_task(self._reap(suspects))

    async def _reap(self, suspects: list[str]) -> None:
        try:
            answer = await workflow.execute_activity_method(
                ReaperActivities.reap,
                Holders(self._state.repo, suspects),
                start_to_close_timeout=ONE_TRY,
                heartbeat_timeout=HEARTBEAT,
                schedule_to_close_timeout=LONGEST_LOOK,
                retry_policy=PATIENT,
                summary=f"holders: {len(self._state.holders)}",
            )
        except ActivityError:
            return  # GitHub or the provider does not answer: the next look is due later
        sweep.reap(self._state, answer.jobs, self._now())
        self._again = True  # permits may be free, and the next look may be due sooner

    def _idle(self) -> bool:
        state = self._state
        return (
            not (state.holders or state.waiters or self._inbox or self._again)
            and self._now() >= state.idle_since + IDLE_SECONDS
        )

    async def _close(self) -> bool:
        """Tell the Fleet that nothing is kept; False if somebody asked meanwhile."""
        await send(names.FLEET_ID, "report", rules.report(self._state, self._now(), closing=True))
        rules.forget_report(self._state)
        return not self._inbox
