"""The gateway as an ASGI application."""

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from temporalio.client import Client
from temporalio.service import RPCError

from activities.dead_letters import DeadLetters
from api import admin, webhooks
from api.fleet_client import FleetUnavailable, LimitsRefused
from api.metrics import CONTENT_TYPE, GatewayMetrics
from api.mode import ModeWatch
from api.problems import Problem, on_problem
from api.replay import Replay
from api.starter import Starter
from api.webhooks import Webhooks
from policy.admission import Rules
from policy.job import Patience
from settings import Settings

VERSION = "0.1.0"


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
    )


def rules_of(settings: Settings) -> Rules:
    """Whose jobs, with which labels, are ours."""
    return Rules.of(settings.gateway.labels, settings.gateway.owners)


def starter_of(client: Client, settings: Settings, *, eager: bool = False) -> Starter:
    """What turns events into workflows."""
    priorities = settings.priorities.priorities
    return Starter(client, patience_of(settings), priorities, eager=eager)


def create_app(
    client: Client, settings: Settings, letters: DeadLetters, *, eager: bool = False
) -> FastAPI:
    """The gateway on this Temporal client. `eager`: a worker shares the client (one process)."""
    app = FastAPI(title="Penstock", version=VERSION, summary="Admission control for runners")
    mode = ModeWatch(client)
    metrics = GatewayMetrics()
    rules, starter = rules_of(settings), starter_of(client, settings, eager=eager)
    app.include_router(
        webhooks.router(
            Webhooks(
                secrets=tuple(settings.gateway.secrets),
                max_body_bytes=settings.gateway.max_body_bytes,
                timeout=settings.gateway.temporal_timeout_seconds,
                rules=rules,
                starter=starter,
                mode=mode,
                letters=letters,
                metrics=metrics,
            )
        )
    )
    replay = Replay(rules, starter, mode, letters)
    hashes = settings.gateway.admin_key_hashes
    app.include_router(admin.router(client, hashes, mode, letters, replay), tags=["admin"])

    @app.get("/livez", summary="Is the process alive")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Does it take work")
    async def readyz() -> JSONResponse:
        view = await mode.current()
        ready = mode.reachable and view.mode == "normal"
        status = view.mode if mode.reachable else "temporal does not answer"
        return JSONResponse({"status": "ok" if ready else status}, 200 if ready else 503)

    @app.get("/metrics", summary="Prometheus metrics")
    async def exposition() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    for kind in (Problem, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, on_problem)
    for kind in (FleetUnavailable, LimitsRefused):
        app.add_exception_handler(kind, admin.on_fleet_error)
    app.add_exception_handler(RPCError, admin.on_temporal_error)
    return app
