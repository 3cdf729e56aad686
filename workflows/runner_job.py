"""RunnerJob: one queued job, from its webhook to the end of the runner launched for it."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.dead_letters import DeadLetter, DeadLetterActivities
    from activities.errors import (
        GITHUB_INVALID,
        GITHUB_REFUSED,
        LAUNCH_REFUSED,
        LAUNCH_UNAVAILABLE,
        TOKEN_DEFERRED,
        TOKEN_MISSING,
    )
    from activities.jobs import JobActivities, JobQuestion
    from activities.runners import LaunchRequest, RetireRequest, RunnerActivities
    from activities.tokens import TokenActivities, TokenRequest
    from activities.workflows import Permit, WorkflowActivities
    from policy import job as rules
    from policy import names, priority
    from policy.captions import LONGEST
    from policy.job import Step
    from policy.job_state import JobState
    from policy.limits import org_of
    from policy.messages import Acquire, Claim, Granted, Release
    from workflows.alarm import Alarm
    from workflows.job_messages import (
        JobCompleted,
        JobInProgress,
        JobInput,
        JobResult,
        RunnerBusy,
        RunnerGone,
    )
    from workflows.options import HEARTBEAT, ONE_TRY, PATIENT, TOKEN_AND_LAUNCH
    from workflows.patches import asks_first, hears_late
    from workflows.send import send

T = TypeVar("T")
LONGEST_PAUSE = 10  # times the first one


@workflow.defn(name="RunnerJob")
class RunnerJob:
    """Waits for a permit, launches a runner, follows it, gives the permit back."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        """Signals that came with the start are handled before `run`."""
        now = workflow.now().timestamp()
        self._job = job
        self._state = JobState(queued_at=job.queued_at or now, admitted=job.admitted)
        self._since = now
        self._why = "it begins"
        self._news = False
        self._unwanted: list[str] = []  # leases to give back at once
        self._alarm = Alarm()
        if job.asked:
            rules.asked(self._state, now)

    @workflow.run
    async def run(self, job: JobInput) -> JobResult:
        """Decide, act, wait, until the job needs no more of us."""
        while True:
            self._news = False
            await self._return_unwanted()
            if self._state.took_late and hears_late():
                rules.heard_late(self._state)
            if rules.may_have_run(self._state) and not asks_first():
                self._state.unserved = False
            step = rules.decide(self._state, job.patience, workflow.now().timestamp())
            self._why = step.why
            workflow.set_current_details(f"{self._state.phase}: {step.why}")
            match step.do:
                case rules.END:
                    return await self._end(step.outcome)
                case rules.WAIT:
                    await self._wait(step)
                case rules.ACQUIRE:
                    await self._acquire()
                case rules.RELEASE:
                    lease = self._state.lease
                    await self._release(lease)
                    rules.released(self._state, lease)
                case rules.TOKEN:
                    await self._token()
                case rules.LAUNCH:
                    await self._launch()
                case rules.RETIRE:
                    await self._retire()
                case _:
                    await self._look_up()

    @workflow.signal
    def granted(self, grant: Granted) -> None:
        """A lease from the semaphore."""
        unwanted = rules.granted(self._state, grant.lease, workflow.now().timestamp())
        if unwanted:
            self._unwanted.append(unwanted)
        self._news = True

    @workflow.signal
    def job_in_progress(self, event: JobInProgress) -> None:
        """GitHub's event, from the gateway."""
        rules.in_progress(self._state, event.runner_name, workflow.now().timestamp())
        rules.runner_busy(self._state, event.runner_name, self._job.job_id)
        self._news = True

    @workflow.signal
    def job_completed(self, event: JobCompleted) -> None:
        """GitHub's event, from the gateway."""
        now = workflow.now().timestamp()
        rules.completed(self._state, event.conclusion, event.runner_name, now)
        rules.runner_busy(self._state, event.runner_name, self._job.job_id)
        self._news = True

    @workflow.signal
    def runner_busy(self, event: RunnerBusy) -> None:
        """Our runner took a job, says GitHub's event of that job."""
        rules.runner_busy(self._state, event.runner_name, event.job_id)
        self._news = True

    @workflow.signal
    def runner_gone(self, event: RunnerGone) -> None:
        """Our runner has ended, says who ran it."""
        now = workflow.now().timestamp()
        rules.runner_gone(self._state, event.runner_name, self._job.patience, now, event.why)
        self._news = True

    @workflow.signal
    def nudge(self) -> None:
        """The semaphore that watches over us says that it is time to look at the clock."""
        rules.nudged(self._state, workflow.now().timestamp())
        self._news = True

    @workflow.query
    def explain(self) -> dict[str, Any]:
        """What the job waits for, and all that is known of it."""
        state = self._state
        now = workflow.now().timestamp()
        return {
            "repo": self._job.repo,
            "job_id": self._job.job_id,
            "priority": self._job.priority,
            "state": state.phase,
            "runner": {"name": state.runner_name, "state": state.runner},
            "why": self._why,
            "permit": "held" if state.lease else "waiting" if state.waiting_since else "none",
            "waited_seconds": round((state.first_granted_at or now) - self._since, 3),
            "launches": state.launches,
            "not_before": state.not_before,
            "reasons": state.reasons,
            "semaphore": names.semaphore_id(self._job.repo),
        }

    @workflow.query
    def claim(self) -> Claim:
        """What a semaphore without memory must know of us."""
        state = self._state
        return Claim(
            workflow.info().workflow_id,
            state.lease,
            state.granted_at,
            bool(state.waiting_since),
            self._job.priority,
            state.queued_at,
            state.not_before,
        )

    async def _wait(self, step: Step) -> None:
        self._alarm.set(None if step.backstop else step.until)
        try:
            await workflow.wait_condition(lambda: self._news or self._alarm.rang)
        except asyncio.CancelledError:
            # An operator cancelled the workflow: see the runner off, give the permit back, end.
            self._state.stop_asked = True

    async def _finish(self, act: Awaitable[T]) -> T:
        """Carry an act to its end even if the workflow is cancelled meanwhile."""
        task = asyncio.ensure_future(act)
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():
                    raise
                self._state.stop_asked = True
                if task.done():
                    return task.result()

    async def _acquire(self) -> None:
        state = self._state
        request = Acquire(
            workflow.info().workflow_id, self._job.priority, state.queued_at, state.not_before
        )
        if not await self._finish(send(names.semaphore_id(self._job.repo), "acquire", request)):
            await self._tell(Permit(self._job.repo, acquire=request))
        if not state.lease:
            rules.asked(state, workflow.now().timestamp())

    async def _release(self, lease: str) -> None:
        message = Release(
            workflow.info().workflow_id, lease, self._state.runner_seconds, self._state.conclusion
        )
        if not await self._finish(send(names.semaphore_id(self._job.repo), "release", message)):
            await self._tell(Permit(self._job.repo, release=message))

    async def _return_unwanted(self) -> None:
        while self._unwanted:
            await self._release(self._unwanted.pop())

    async def _tell(self, permit: Permit) -> None:
        await self._finish(
            workflow.execute_activity_method(
                WorkflowActivities.tell_semaphore,
                permit,
                start_to_close_timeout=ONE_TRY,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=PATIENT,
                summary="ask for the permit" if permit.acquire else "give the permit back",
            )
        )

    async def _token(self) -> None:
        try:
            await self._finish(
                workflow.execute_activity_method(
                    TokenActivities.acquire_runner_token,
                    TokenRequest(self._job.repo),
                    task_queue=names.GITHUB_TASK_QUEUE,
                    start_to_close_timeout=ONE_TRY,
                    heartbeat_timeout=HEARTBEAT,
                    schedule_to_close_timeout=TOKEN_AND_LAUNCH,
                    retry_policy=PATIENT,
                    summary=self._job.repo[:LONGEST],
                    priority=Priority(
                        priority_key=1 + priority.level(self._job.priority),
                        fairness_key=org_of(self._job.repo)[:64],
                    ),
                )
            )
        except ActivityError as error:
            self._hold_up(error)
        else:
            rules.token_ready(self._state)

    async def _launch(self) -> None:
        state = self._state
        name = names.runner_name(self._job.job_id, state.launches + 1)
        request = LaunchRequest(
            workflow.info().workflow_id,
            self._job.repo,
            name,
            self._job.labels,
            token_ready=state.token_ready,
            unserved=state.unserved,
            again=name == state.runner_name,
            granted_at=0.0 if state.launches else state.granted_at,
        )
        rules.launching(state, name, workflow.now().timestamp())
        try:
            await self._finish(
                workflow.execute_activity_method(
                    RunnerActivities.launch_runner,
                    request,
                    start_to_close_timeout=ONE_TRY,
                    heartbeat_timeout=HEARTBEAT,
                    schedule_to_close_timeout=TOKEN_AND_LAUNCH,
                    retry_policy=PATIENT,
                    summary=name,
                )
            )
        except ActivityError as error:
            kind = _type_of(error)
            if kind == TOKEN_MISSING:
                rules.token_missing(state)
                return
            if kind in (TOKEN_DEFERRED, GITHUB_REFUSED):
                rules.launch_undone(state)
                self._hold_up(error)
                return
            if kind == LAUNCH_UNAVAILABLE:
                rules.launch_undone(state)
                self._no_room(error)
                return
            if kind not in (LAUNCH_REFUSED, GITHUB_INVALID):
                # Nobody knows whether it started. If it did, and works, it is followed as usual.
                state.reasons = [*state.reasons, str(error.cause)][-5:]
                await self._retire()
                return
            rules.launch_failed(
                state, str(error.cause), self._job.patience, workflow.now().timestamp()
            )

    def _hold_up(self, error: ActivityError) -> None:
        """There is no token for now. What a repair can mend is waited for, not given up."""
        cause = error.cause
        pause = self._pause()
        if _type_of(error) == TOKEN_DEFERRED and isinstance(cause, ApplicationError):
            pause = float(cause.details[0])
        why = f"no runner token: {cause or error}"
        rules.hold_up(self._state, why, workflow.now().timestamp() + pause)

    def _no_room(self, error: ActivityError) -> None:
        """The provider has none: others may try meanwhile, for their runners may be other ones."""
        why = f"no room for its runner: {error.cause or error}"
        rules.hold_up(self._state, why, workflow.now().timestamp() + self._pause())

    def _pause(self) -> float:
        """Seconds that a job steps back when it cannot have a token, or a place, at all."""
        return self._job.patience.unavailable * min(LONGEST_PAUSE, 2**self._state.held_up_times)

    async def _retire(self) -> None:
        state = self._state
        result = "unknown"
        try:
            answer = await self._finish(
                workflow.execute_activity_method(
                    RunnerActivities.retire_runner,
                    RetireRequest(self._job.repo, state.runner_name),
                    start_to_close_timeout=ONE_TRY,
                    heartbeat_timeout=HEARTBEAT,
                    retry_policy=PATIENT,
                    summary=state.runner_name,
                )
            )
            result = answer.result
        except ActivityError as error:
            # GitHub does not say: it is left alone, and asked about again later.
            state.reasons = [*state.reasons, str(error.cause)][-5:]
        rules.retired(state, result, self._job.patience, workflow.now().timestamp())

    async def _look_up(self) -> None:
        now = workflow.now().timestamp()
        try:
            record = await self._finish(
                workflow.execute_activity_method(
                    JobActivities.look_up_job,
                    JobQuestion(self._job.repo, self._job.job_id),
                    task_queue=names.GITHUB_TASK_QUEUE,
                    start_to_close_timeout=ONE_TRY,
                    heartbeat_timeout=HEARTBEAT,
                    schedule_to_close_timeout=TOKEN_AND_LAUNCH,
                    retry_policy=PATIENT,
                    summary=f"job {self._job.job_id} at GitHub",
                )
            )
        except ActivityError:
            rules.looked_up(self._state, "", "", now)
        else:
            rules.looked_up(self._state, record.status, record.conclusion, now, record.runner_name)

    async def _end(self, outcome: str) -> JobResult:
        state, job = self._state, self._job
        reason = state.failure
        if outcome == "expired":
            reason = "queued for longer than GitHub keeps a job"
        if outcome in ("failed", "expired"):
            letter = DeadLetter(
                id=f"job-{job.repo.replace('/', '-')}-{job.job_id}",
                kind="job",
                reason=reason,
                at=workflow.now().timestamp(),
                next_step=(
                    "mend the cause, then re-run the job at GitHub; if GitHub shows it queued"
                    " still, cancel its run first"
                ),
                repo=job.repo,
                job_id=job.job_id,
                cause=outcome,
            )
            await self._finish(
                workflow.execute_activity_method(
                    DeadLetterActivities.record_dead_letter,
                    letter,
                    start_to_close_timeout=ONE_TRY,
                    heartbeat_timeout=HEARTBEAT,
                    retry_policy=PATIENT,
                    summary=outcome,
                )
            )
        await self._return_unwanted()
        return JobResult(
            outcome=outcome,
            conclusion=state.conclusion,
            waited=round(max(0.0, (state.first_granted_at or self._since) - self._since), 3),
            ran=round(state.runner_seconds, 3),
            runner=state.runner_name,
            launches=state.launches,
            reason=reason,
        )


def _type_of(error: ActivityError) -> str:
    return (error.cause.type or "") if isinstance(error.cause, ApplicationError) else ""
