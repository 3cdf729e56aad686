"""From a decided event to durable workflows: start, acquire, signal. All of it idempotent."""

import asyncio
import time
from collections import OrderedDict
from typing import TypeVar

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.asking import Asking
from api.calls import AlreadyStarted, Calls, search_attributes
from policy import captions, names
from policy.admission import JobEvent
from policy.captions import Caption
from policy.job import Patience
from policy.limits import org_of
from policy.messages import Acquire
from policy.priority_rules import Classified, Priorities, classify
from workflows.runner_job import (
    JobCompleted,
    JobInProgress,
    JobInput,
    RunnerBusy,
    RunnerJob,
)

T = TypeVar("T")
REMEMBERED = 10_000  # job ids a gateway keeps in mind, to save calls; never to decide alone


class Starter:
    """Needs a client and nothing else: what it does not remember it asks Temporal."""

    def __init__(
        self, client: Client, patience: Patience, priorities: Priorities, *, eager: bool
    ) -> None:
        """`eager`: a worker with this very client takes the first workflow task at once."""
        self._client = client
        self._calls = Calls(client, eager=eager)
        self._asking = Asking(self._calls)
        self._patience = patience
        self._priorities = priorities
        self._flights: dict[str, asyncio.Task[str]] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._busy: OrderedDict[str, asyncio.Task[bool]] = OrderedDict()  # by runner name
        self._repos: OrderedDict[str, str] = OrderedDict()  # job id → owner/repo

    def classify(self, event: JobEvent) -> Classified:
        """The priority that the job gets, and why."""
        return classify(event, self._priorities)

    def knows(self, event: JobEvent) -> bool:
        """Whether this gateway remembers the job as started: another `queued` is a duplicate."""
        workflow_id = names.runner_job_id(event.repo, event.job_id)
        return workflow_id in self._done or workflow_id in self._flights

    async def start(self, event: JobEvent) -> str:
        """`accepted`, or `duplicate` if the job is known; durable when this returns.

        Identical deliveries that come at once share one flight; its outcome counts for one of
        them, the others are duplicates.
        """
        workflow_id = names.runner_job_id(event.repo, event.job_id)
        if workflow_id in self._done:
            return "duplicate"
        flight = self._flights.get(workflow_id)
        if flight:
            await asyncio.shield(flight)
            return "duplicate"
        flight = asyncio.create_task(self._start(workflow_id, event))
        self._flights[workflow_id] = flight
        flight.add_done_callback(lambda done: self._landed(workflow_id, done))
        # Shielded: a caller that runs into its deadline does not take the others with it.
        outcome = await asyncio.shield(flight)
        _remember(self._done, workflow_id, None)
        return outcome

    def _landed(self, workflow_id: str, flight: asyncio.Task[str]) -> None:
        self._flights.pop(workflow_id, None)
        # Looked at here, for whoever waited may have run into its deadline and left.
        if not flight.cancelled():
            flight.exception()

    async def tell(self, event: JobEvent, *, claims: bool, admits: bool = True) -> str:
        """Signal the job's workflow, and the workflow whose runner it is, if that is another.

        `claims`: its workflow begins with this word, if there is none yet; `admits`: the fleet
        takes new work, so that such a job counts as admitted.
        """
        workflow_id = names.runner_job_id(event.repo, event.job_id)
        signal, message = "job_in_progress", JobInProgress(event.runner_name)
        if event.action == "completed":
            signal, message = "job_completed", JobCompleted(event.conclusion, event.runner_name)
        if claims:
            job, caption = self._job(event, asked=False)
            job.admitted = admits
            told = await self._begin_with(job, caption, signal, message)
        else:
            told = await self._signal(workflow_id, signal, message)
        launched_for = names.job_of_runner(event.runner_name)
        if launched_for and launched_for != event.job_id:
            told = await self._tell_owner(launched_for, event) or told
        return "accepted" if told else "duplicate"

    async def _tell_owner(self, launched_for: str, event: JobEvent) -> bool:
        """Tell the job that a runner was launched for what it took: once, for it takes one job.

        Begin and end of a short job come at once: the second shares the first's flight.
        """
        name = event.runner_name
        flight = self._busy.get(name)
        if flight is None:
            flight = asyncio.create_task(self._runner_busy(launched_for, event))
            _remember(self._busy, name, flight)
            flight.add_done_callback(lambda done: _succeeded(done) or self._busy.pop(name, None))
        return await asyncio.shield(flight)

    async def _runner_busy(self, launched_for: str, event: JobEvent) -> bool:
        owner = await self._workflow_of(launched_for, event)
        message = RunnerBusy(event.runner_name, event.job_id)
        return bool(owner) and await self._signal(owner, "runner_busy", message)

    async def _start(self, workflow_id: str, event: JobEvent) -> str:
        job, caption = self._job(event, asked=True)
        outcome, began = "accepted", time.monotonic()
        self._asking.starts(event.repo)
        try:
            await self._calls.start_job(job, caption)
        except AlreadyStarted:
            outcome = "duplicate"
            description = await self._client.get_workflow_handle(workflow_id).describe()
            if description.status != WorkflowExecutionStatus.RUNNING:
                return outcome
            # It runs: asking again heals a crash between the start and the first asking.
        finally:
            self._asking.started(event.repo)
        ask = Acquire(workflow_id, job.priority, job.queued_at)
        await self._asking.ask(event.repo, ask, time.monotonic() - began)
        _remember(self._repos, event.job_id, event.repo)
        return outcome

    def _input(self, event: JobEvent, priority: str, *, asked: bool) -> JobInput:
        return JobInput(
            repo=event.repo,
            job_id=event.job_id,
            labels=event.labels,
            priority=priority,
            # From its arrival here: GitHub stamps a job that waited for approval with the time of
            # its creation, days ago, and drops what is too old itself.
            queued_at=time.time(),
            patience=self._patience,
            asked=asked,
        )

    def _job(self, event: JobEvent, *, asked: bool) -> tuple[JobInput, Caption]:
        classified = self.classify(event)
        job = self._input(event, classified.priority, asked=asked)
        why = classified.why
        return job, captions.job(event.name, event.repo, job.priority, why, event.url)

    async def _begin_with(
        self, job: JobInput, caption: Caption, signal: str, message: object
    ) -> bool:
        try:
            await self._client.start_workflow(
                RunnerJob.run,
                job,
                id=names.runner_job_id(job.repo, job.job_id),
                task_queue=names.TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=search_attributes(job.repo, job.priority),
                static_summary=caption.summary,
                static_details=caption.details,
                start_signal=signal,
                start_signal_args=[message],
            )
        except WorkflowAlreadyStartedError:
            return False  # the job's workflow has ended: it needs no more news
        return True

    async def _signal(self, workflow_id: str, signal: str, message: object) -> bool:
        try:
            await self._client.get_workflow_handle(workflow_id).signal(signal, message)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def _workflow_of(self, job_id: str, event: JobEvent) -> str:
        """The workflow that launched a runner: by its own repository, memory, or the list.

        A runner of the organization may work for another repository than it was launched for, and
        its name holds the job alone.
        """
        remembered = self._repos.get(job_id)
        if remembered:
            return names.runner_job_id(remembered, job_id)
        likely = names.runner_job_id(event.repo, job_id)
        try:
            await self._client.get_workflow_handle(likely).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        else:
            return likely
        org = org_of(event.repo)
        query = (
            f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running' "
            f"AND PenstockOrg='{org}'"
        )
        async for found in self._client.list_workflows(query):
            if names.job_of(found.id) == job_id:
                return found.id
        return ""


def _succeeded(flight: asyncio.Task[bool]) -> bool:
    return not flight.cancelled() and flight.exception() is None and flight.result()


def _remember(memory: OrderedDict[str, T], key: str, value: T) -> None:
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
