"""The gateway as an ASGI application."""

import asyncio

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send
from temporalio.client import Client
from temporalio.service import RPCError

from activities.dead_letters import DeadLetters, LettersUnavailable
from api import docs_page, ecs_events, webhooks
from api.access import Access
from api.admin import routes as admin
from api.admin.ended import Ended
from api.admin.gate import AdminGate
from api.admin.recoveries import Recoveries
from api.debts import Debts
from api.fleet_client import FleetUnavailable, LimitsRefused
from api.iam import Identities, Sts
from api.metrics import CONTENT_TYPE, GatewayMetrics
from api.mode import ModeWatch
from api.openapi import describe
from api.page import routes as page
from api.pressure import PressureWatch
from api.problems import Problem, on_problem
from api.replay import Replay
from api.starter import Starter
from api.version import VERSION
from api.webhooks import Webhooks
from policy.admission import Rules
from policy.job import Patience
from settings import Settings


def patience_of(settings: Settings) -> Patience:
    """How long a job waits for what, from the configuration."""
    runner = settings.runner
    return Patience(
        reacquire=runner.reacquire_seconds,
        queue=runner.queue_timeout_seconds,
        start=runner.start_timeout_seconds,
        finish=runner.finish_timeout_seconds,
        report=runner.report_timeout_seconds,
        relaunch=runner.relaunch_seconds,
        max_launches=runner.max_launches,
        unavailable=runner.unavailable_seconds,
    )


def rules_of(settings: Settings) -> Rules:
    """Whose jobs, with which labels, are ours."""
    return Rules.of(settings.gateway.labels, settings.gateway.owners)


def starter_of(client: Client, settings: Settings, *, eager: bool = False) -> Starter:
    """What turns events into workflows."""
    priorities = settings.priorities.priorities
    return Starter(client, patience_of(settings), priorities, eager=eager)


class Gateway(FastAPI):
    """FastAPI, and a short way past it for what comes by the hundred: webhooks."""

    hooks: Webhooks  # `webhooks` is FastAPI's own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (scope.get("method"), scope.get("path")) == ("POST", webhooks.PATH):
            await self.hooks.serve(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def access_of(settings: Settings, sts: Sts | None = None) -> Access:
    """Who is let in at /admin. `sts` is asked for AWS identities, if any are configured."""
    gateway = settings.gateway
    identities = Identities(gateway.iam.rules, sts) if gateway.iam and sts else None
    return Access(gateway.all_admin_keys, identities, gateway.admin_failures_per_minute)


def create_app(
    client: Client,
    settings: Settings,
    letters: DeadLetters,
    *,
    eager: bool = False,
    sts: Sts | None = None,
) -> FastAPI:
    """The gateway on this Temporal client. `eager`: a worker shares the client (one process)."""
    app = Gateway(
        title="Penstock",
        version=VERSION,
        summary="Admission control for runners",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a path is what it is; no answer is made from a Host header
    )
    describe(app, iam=settings.gateway.iam is not None)
    docs_page.add(app)
    mode = ModeWatch(client)
    app.state.metrics = metrics = GatewayMetrics()
    app.state.stopping = stopping = asyncio.Event()
    pressure = PressureWatch(client, settings.fleet_limits, changed=metrics.pressure_changed)
    rules, starter = rules_of(settings), starter_of(client, settings, eager=eager)
    app.hooks = Webhooks(
        secrets=tuple(settings.gateway.secrets),
        timeout=settings.gateway.temporal_timeout_seconds,
        rules=rules,
        starter=starter,
        mode=mode,
        pressure=pressure,
        debts=Debts(letters, metrics),
        metrics=metrics,
    )
    app.include_router(webhooks.router(app.hooks))  # for what is no POST, and for /docs
    replay = Replay(rules, starter, mode, letters)
    ended, recoveries = Ended(client), Recoveries(client)
    parts = admin.Parts(client, mode, pressure, letters, replay, ended, recoveries)
    require = settings.gateway.admin_require_if_match
    app.include_router(admin.router(parts, require_if_match=require))
    if hashes := settings.ecs.event_key_hashes:
        failures = settings.gateway.admin_failures_per_minute
        app.include_router(ecs_events.router(client, hashes, settings.ecs.group, failures))
    access = access_of(settings, sts)
    app.add_middleware(AdminGate, access=access)
    app.state.page = page.build(
        app,
        client,
        settings,
        access,
        mode=mode,
        pressure=pressure,
        letters=letters,
        ended=ended,
        recoveries=recoveries,
        metrics=metrics,
        stopping=stopping,
    )

    @app.get("/livez", summary="Is the process alive")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Does it take work")
    async def readyz() -> JSONResponse:
        """Ready in every mode: events that free capacity are taken in all of them.

        Without a worker work is accepted on, for it waits durably: degraded, and ready.
        """
        if stopping.is_set():  # a load balancer looks elsewhere, while all is still answered
            return JSONResponse({"status": "stopping"}, 503)
        view, load = await mode.current(), await pressure.view()
        status = "degraded: no worker answers" if load["degraded"] else "ok"
        if not mode.reachable:
            status = "temporal does not answer"
        answer = {"status": status, "mode": view.mode}
        return JSONResponse(answer, 200 if mode.reachable else 503)

    @app.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def exposition() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    for kind in (Problem, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, on_problem)
    for kind in (FleetUnavailable, LimitsRefused):
        app.add_exception_handler(kind, admin.on_fleet_error)
    app.add_exception_handler(RPCError, admin.on_temporal_error)
    app.add_exception_handler(LettersUnavailable, admin.on_letters_error)
    return app
