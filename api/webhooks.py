"""POST /webhooks/github: signature → parse → policy → mode → pressure → start.

The caps on size stand before it (api/request_caps.py).
"""

import asyncio
import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from temporalio.service import RPCError

from api import events, signature
from api.debts import FAULT, FAULT_RETRY_SECONDS, Debts
from api.metrics import GatewayMetrics
from api.mode import ModeWatch
from api.pressure import PressureWatch
from api.problems import Problem, response
from api.starter import Starter
from policy import names
from policy.admission import Decision, JobEvent, Rules, decide
from policy.limits import org_of
from policy.pressure import NewJob

logger = logging.getLogger(__name__)

PATH = "/webhooks/github"


@dataclass(frozen=True)
class Webhooks:
    """What the route needs."""

    secrets: tuple[str, ...]
    timeout: float  # seconds within which Temporal must have it; GitHub waits ten
    rules: Rules
    starter: Starter
    mode: ModeWatch
    pressure: PressureWatch
    debts: Debts
    metrics: GatewayMetrics

    async def receive(self, request: Request) -> JSONResponse:
        """Answer one delivery."""
        began = time.monotonic()
        try:
            body = await request.body()  # capped by api/request_caps.py
            if not signature.verify(self.secrets, body, _only(request, "x-hub-signature-256")):
                raise Problem(401, "the signature is missing or wrong")
            answer = await self._handled(request, body)
        except Problem as problem:
            self.metrics.webhooks.labels(f"refused_{problem.status}").inc()
            answer = response(problem)
        else:
            self.metrics.webhooks.labels(answer["status"]).inc()
            answer = JSONResponse(answer)
        self.metrics.seconds.observe(time.monotonic() - began)
        return answer

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery, as an ASGI application."""
        try:
            answer = await self.receive(Request(scope, receive))
        except ClientDisconnect:
            return
        except Exception:  # before the signature was found good: nobody's event is lost
            logger.exception("a fault of Penstock's own before a webhook was known as GitHub's")
            answer = response(Problem(500, f"{FAULT}; the log has it"))
        await answer(scope, receive, send)

    async def _handled(self, request: Request, body: bytes) -> dict[str, Any]:
        """Handle it; what our own code cannot handle is a debt too."""
        kind = request.headers.get("x-github-event", "")
        guid = request.headers.get("x-github-delivery", "")
        try:
            return await self._handle(kind, guid, body)
        except Problem:
            raise
        except Exception as error:
            logger.exception("a fault of Penstock's own in handling a webhook")
            self.metrics.refused.labels("fault").inc()
            retry_after = self.pressure.retry_after("fault", FAULT_RETRY_SECONDS)
            await self.debts.fault(body, error, retry_after, guid)
            raise Problem(503, FAULT, retry_after=retry_after, code="fault") from None

    async def _handle(self, kind: str, guid: str, body: bytes) -> dict[str, Any]:
        try:
            payload = await _parse(body)
        except events.NotJson as error:
            raise Problem(400, str(error)) from None
        if kind != "workflow_job":
            return _ignored(f"event {kind[:40] or 'unnamed'}")
        try:
            event = events.job_event(payload)
        except events.Unusable as error:
            logger.warning("ignored a workflow_job event: %s", error)
            return _ignored(str(error))
        # Nobody waits for the mode to tell of an end: it does not matter then.
        mode = (await self.mode.current()).mode if event.action != "completed" else "normal"
        decision = decide(event, self.rules, mode)
        if decision.do == "ignore":
            return _ignored(decision.reason)
        if decision.do == "refuse":
            await self._refuse(event, decision, guid)
        classified = self.starter.classify(event)
        new = decision.do == "start" and not self.starter.knows(event)
        if new:
            await self._under_pressure(event, classified.priority, guid)
        try:
            with self.pressure.entering() if new else nullcontext():
                async with asyncio.timeout(self.timeout):
                    if decision.do == "start":
                        status = await self.starter.start(event)
                    else:
                        status = await self.starter.tell(
                            event, claims=decision.claims, admits=mode == "normal"
                        )
        except (RPCError, TimeoutError) as error:
            logger.warning("Temporal did not take %s: %s", event.job_id, error or "no answer")
            down = Decision("refuse", "the workflow service does not answer", 503, "temporal")
            await self._refuse(event, down, guid)
        if status == "accepted" and event.action == "queued":
            self.pressure.accepted()
        elif status == "accepted" and event.action == "in_progress":
            self.pressure.begun()
        self.debts.paid(event)
        return {
            "status": status,
            "workflow_id": names.runner_job_id(event.repo, event.job_id),
            "priority": classified.priority,
        }

    async def _under_pressure(self, event: JobEvent, priority: str, guid: str) -> None:
        """Raise if the fleet is too loaded for this new job."""
        refusal = await self.pressure.refusal(NewJob(org_of(event.repo), priority))
        if refusal:
            decision = Decision("refuse", refusal.reason, refusal.status, refusal.cause)
            await self._refuse(event, decision, guid, refusal.seconds)

    async def _refuse(
        self, event: JobEvent, decision: Decision, guid: str, seconds: float = 0.0
    ) -> NoReturn:
        """Write the debt down, then say no."""
        cause = decision.cause
        retry_after = self.pressure.retry_after(cause, seconds)
        self.metrics.refused.labels(cause).inc()
        await self.debts.owe(event, decision, retry_after, guid)
        raise Problem(decision.status, decision.reason, retry_after=retry_after, code=cause)


def router(webhooks: Webhooks) -> APIRouter:
    """The route of the contract."""
    routes = APIRouter()

    @routes.post(
        PATH,
        summary="A delivery from GitHub",
        responses={
            401: {"description": "No valid signature"},
            413: {"description": "Body over the limit"},
            429: {"description": "Too many jobs wait, or GitHub limits the organization"},
            503: {"description": "Draining, in maintenance, overloaded, or no Temporal"},
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


async def _parse(body: bytes) -> dict[str, Any]:
    # A large document would hold up everybody else on the loop.
    if len(body) > 64 * 1024:
        return await asyncio.to_thread(events.parse, body)
    return events.parse(body)
