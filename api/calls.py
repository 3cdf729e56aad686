"""The two calls of the hot path, on Temporal's own service: start a job, ask for its permit.

The client's `start_workflow` makes the same requests, from nothing each time, which costs a
gateway as much as the sending (docs/decisions/0008). Here all that jobs of one repository have in
common is made once. What goes into histories passes the client's data converter, codecs included;
client interceptors see neither call.
"""

import uuid
from collections import OrderedDict
from datetime import timedelta
from typing import TypeVar

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.converter import WorkflowSerializationContext, encode_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from policy import captions, names, priority
from policy.captions import Caption
from policy.limits import org_of
from policy.messages import Acquire, Acquires
from policy.semaphore_state import SemaphoreState
from workflows.job_messages import JobInput

ORG, REPO, PRIORITY = (SearchAttributeKey.for_keyword(key) for key in names.SEARCH_ATTRIBUTES)
K = TypeVar("K")
V = TypeVar("V")
LONGEST = timedelta(seconds=8)  # of one try: one that hangs holds up its repository's next signal
KEPT = 2_000  # templates; a repository with all four priorities has four


class AlreadyStarted(Exception):
    """A workflow of this job runs, or has ended."""


class Calls:
    """Both calls are durable when they return, and both may be repeated."""

    def __init__(self, client: Client, *, eager: bool) -> None:
        """`eager`: a worker with this very client takes the first workflow task at once."""
        self._client = client
        self._eager = eager
        self._jobs: OrderedDict[tuple[str, str], StartWorkflowExecutionRequest] = OrderedDict()
        self._running: OrderedDict[str, None] = OrderedDict()  # semaphores that heard us

    async def start_job(self, job: JobInput, words: Caption) -> None:
        """Start the job's workflow. Raises AlreadyStarted, RPCError."""
        key = job.repo, job.priority
        template = self._jobs.get(key)
        if template is None:
            template = _keep(self._jobs, key, self._job(*key))
        request = StartWorkflowExecutionRequest()
        request.CopyFrom(template)
        request.workflow_id = names.runner_job_id(job.repo, job.job_id)
        request.request_id = str(uuid.uuid4())
        # What dataclasses.asdict makes, for half of its price: it copies every value deeply.
        fields = {**vars(job), "patience": vars(job.patience)}
        input_, summary, details = await self._encode(
            request.workflow_id, fields, words.summary, words.details
        )
        request.input.payloads.append(input_)
        request.user_metadata.summary.CopyFrom(summary)
        request.user_metadata.details.CopyFrom(details)
        try:
            await self._client.workflow_service.start_workflow_execution(
                request, retry=True, timeout=LONGEST
            )
        except RPCError as error:
            if error.status == RPCStatusCode.ALREADY_EXISTS:
                raise AlreadyStarted from None
            raise

    async def acquire(self, repo: str, asks: list[Acquire]) -> None:
        """Tell the repository's semaphore of these jobs, and start it if it does not run.

        Raises RPCError.
        """
        alone = len(asks) == 1
        name, message = ("acquire", asks[0]) if alone else ("acquire_many", Acquires(asks))
        payloads = await self._encode(names.semaphore_id(repo), message)
        if repo in self._running and await self._signal(repo, name, payloads):
            return
        request = await self._start_semaphore(repo)
        request.signal_name = name
        request.signal_input.payloads.extend(payloads)
        await self._client.workflow_service.signal_with_start_workflow_execution(
            request, retry=True, timeout=LONGEST
        )
        _keep(self._running, repo, None)

    async def _signal(self, repo: str, name: str, payloads: list[Payload]) -> bool:
        """A signal alone costs Temporal a quarter less; False if nobody hears it any more."""
        request = SignalWorkflowExecutionRequest(
            namespace=self._client.namespace,
            identity=self._client.identity,
            signal_name=name,
            request_id=str(uuid.uuid4()),
        )
        request.workflow_execution.workflow_id = names.semaphore_id(repo)
        request.input.payloads.extend(payloads)
        try:
            await self._client.workflow_service.signal_workflow_execution(
                request, retry=True, timeout=LONGEST
            )
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            self._running.pop(repo, None)
            return False
        return True

    async def _encode(self, workflow_id: str, *values: object) -> list[Payload]:
        context = WorkflowSerializationContext(
            namespace=self._client.namespace, workflow_id=workflow_id
        )
        return await self._client.data_converter.with_context(context).encode(values)

    def _job(self, repo: str, priority_: str) -> StartWorkflowExecutionRequest:
        made = StartWorkflowExecutionRequest(
            namespace=self._client.namespace,
            identity=self._client.identity,
            workflow_id_reuse_policy=(
                WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
            ),
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
            request_eager_execution=self._eager,
        )
        made.workflow_type.name = names.RUNNER_JOB
        made.task_queue.name = names.TASK_QUEUE
        made.priority.priority_key = 1 + priority.level(priority_)
        encode_search_attributes(search_attributes(repo, priority_), made.search_attributes)
        return made

    async def _start_semaphore(self, repo: str) -> SignalWithStartWorkflowExecutionRequest:
        made = SignalWithStartWorkflowExecutionRequest(
            namespace=self._client.namespace,
            identity=self._client.identity,
            workflow_id=names.semaphore_id(repo),
            request_id=str(uuid.uuid4()),
            workflow_id_conflict_policy=(
                WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
            ),
        )
        made.workflow_type.name = names.REPO_SEMAPHORE
        made.task_queue.name = names.TASK_QUEUE
        caption = captions.semaphore(repo)
        input_, summary, details = await self._encode(
            made.workflow_id, SemaphoreState(repo=repo), caption.summary, caption.details
        )
        made.input.payloads.append(input_)
        made.user_metadata.summary.CopyFrom(summary)
        made.user_metadata.details.CopyFrom(details)
        return made


def _keep(memory: OrderedDict[K, V], key: K, value: V) -> V:
    memory[key] = value
    if len(memory) > KEPT:
        memory.popitem(last=False)
    return value


def search_attributes(repo: str, priority_: str) -> TypedSearchAttributes:
    """By which a job's workflow can be found."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(ORG, org_of(repo)),
            SearchAttributePair(REPO, repo),
            SearchAttributePair(PRIORITY, priority_),
        ]
    )
