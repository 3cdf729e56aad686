"""POST /webhooks/github: size cap → signature → parse → policy → mode → start."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from temporalio.service import RPCError

from activities.dead_letters import DeadLetter, DeadLetters
from api import events, signature
from api.metrics import GatewayMetrics
from api.mode import ModeWatch
from api.problems import Problem, response
from api.replay import letter_id, payload_of
from api.starter import Starter
from policy import names
from policy.admission import RETRY_AFTER_SECONDS, Decision, JobEvent, Rules, decide

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Webhooks:
    """What the route needs."""

    secrets: tuple[str, ...]
    max_body_bytes: int
    timeout: float  # seconds within which Temporal must have it; GitHub waits ten
    rules: Rules
    starter: Starter
    mode: ModeWatch
    letters: DeadLetters
    metrics: GatewayMetrics

    async def receive(self, request: Request) -> JSONResponse:
        """Answer one delivery."""
        began = time.monotonic()
        try:
            body = await _body(request, self.max_body_bytes)
            if not signature.verify(self.secrets, body, _only(request, "x-hub-signature-256")):
                raise Problem(401, "the signature is missing or wrong")
            answer = await self._handle(request, body)
        except Problem as problem:
            self.metrics.webhooks.labels(f"refused_{problem.status}").inc()
            answer = response(problem)
        else:
            self.metrics.webhooks.labels(answer["status"]).inc()
            answer = JSONResponse(answer)
        self.metrics.seconds.observe(time.monotonic() - began)
        return answer

    async def _handle(self, request: Request, body: bytes) -> dict[str, Any]:
        try:
            payload = await _parse(body)
        except events.NotJson as error:
            raise Problem(400, str(error)) from None
        kind = request.headers.get("x-github-event", "")
        if kind != "workflow_job":
            return _ignored(f"event {kind[:40] or 'unnamed'}")
        try:
            event = events.job_event(payload)
        except events.Unusable as error:
            logger.warning("ignored a workflow_job event: %s", error)
            return _ignored(str(error))
        mode = await self.mode.current() if event.action == "queued" else None
        decision = decide(event, self.rules, mode.mode if mode else "normal")
        if decision.do == "ignore":
            return _ignored(decision.reason)
        if decision.do == "refuse":
            await self._refuse(event, decision, mode.mode if mode else "")
        try:
            async with asyncio.timeout(self.timeout):
                if decision.do == "start":
                    status = await self.starter.start(event)
                else:
                    status = await self.starter.tell(event, claims=decision.claims)
        except (RPCError, TimeoutError) as error:
            logger.warning("Temporal did not take %s: %s", event.job_id, error or "no answer")
            decision = Decision(
                "refuse", "the workflow service does not answer", 503, RETRY_AFTER_SECONDS
            )
            await self._refuse(event, decision, "temporal")
            raise  # not reached: _refuse raises
        await self._paid(event)
        return {
            "status": status,
            "workflow_id": names.runner_job_id(event.repo, event.job_id),
            "priority": self.starter.classify(event).priority,
        }

    async def _paid(self, event: JobEvent) -> None:
        """A delivery that was refused before has come again: its letter is settled."""
        try:
            await self.letters.remove(letter_id(event))
        except OSError as error:
            logger.warning("a settled dead letter could not be deleted: %s", error)

    async def _refuse(self, event: JobEvent, decision: Decision, cause: str) -> None:
        """Write the debt down, then say no."""
        self.metrics.refused.labels(cause).inc()
        letter = DeadLetter(
            id=letter_id(event),
            kind="delivery",
            reason=decision.reason,
            at=time.time(),
            next_step="once there is room: penstock dead-letters replay, or redeliver at GitHub",
            repo=event.repo,
            job_id=event.job_id,
            payload=payload_of(event),
        )
        try:
            await self.letters.put(letter)
        except OSError as error:
            # GitHub's own log of failed deliveries has it still.
            logger.error("a dead letter could not be kept: %s", error)
        raise Problem(
            decision.status, decision.reason, retry_after=decision.retry_after, code=cause
        )


def router(webhooks: Webhooks) -> APIRouter:
    """The route of the contract."""
    routes = APIRouter()

    @routes.post(
        "/webhooks/github",
        summary="A delivery from GitHub",
        responses={
            401: {"description": "No valid signature"},
            413: {"description": "Body over the limit"},
            503: {"description": "Draining, in maintenance, or Temporal does not answer"},
        },
    )
    async def receive(request: Request) -> JSONResponse:
        return await webhooks.receive(request)

    return routes


def _ignored(reason: str) -> dict[str, Any]:
    return {"status": "ignored", "reason": reason}


def _only(request: Request, header: str) -> str | None:
    """The header's value; None if it is missing or given twice."""
    values = request.headers.getlist(header)
    return values[0] if len(values) == 1 else None


async def _body(request: Request, limit: int) -> bytes:
    """The raw body; too large is known before it is read whole."""
    declared = request.headers.get("content-length", "")
    too_large = Problem(413, f"the body is over {limit} bytes")
    if declared.isdigit() and int(declared) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


async def _parse(body: bytes) -> dict[str, Any]:
    # A large document would hold up everybody else on the loop.
    if len(body) > 64 * 1024:
        return await asyncio.to_thread(events.parse, body)
    return events.parse(body)
