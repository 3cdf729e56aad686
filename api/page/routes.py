"""The page's routes: `/`, and all else under `/page`. None is part of the API's description."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from temporalio.client import Client

from activities.dead_letters import DeadLetters
from api.access import Access
from api.admin.ended import Ended
from api.admin.recoveries import Recoveries
from api.fleet_client import FleetClient
from api.metrics import GatewayMetrics
from api.mode import ModeWatch
from api.page import editor, guard, live, modes
from api.page.feed import Feed, Sources
from api.page.figures import Links
from api.page.history import History, Sampler
from api.page.parts import Parts
from api.page.render import FOLDER, SECTIONS, Renderer, Sections
from api.page.sessions import Sessions
from api.page.view import View
from api.pressure import PressureWatch
from api.problems import Problem
from settings import Settings

ASSETS = {"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"}


@dataclass(frozen=True)
class Page:
    """The page of one gateway; `running` keeps its history."""

    parts: Parts
    history: History
    sampler: Sampler

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Remember the hour inside the block, if anybody could look at it."""
        task = asyncio.create_task(self.sampler.run()) if self.parts.sessions.possible else None
        try:
            yield
        finally:
            if task:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def build(
    app: FastAPI,
    client: Client,
    settings: Settings,
    access: Access,
    *,
    mode: ModeWatch,
    pressure: PressureWatch,
    letters: DeadLetters,
    ended: Ended,
    recoveries: Recoveries,
    metrics: GatewayMetrics,
    stopping: asyncio.Event,
) -> Page:
    """Add the page to the gateway."""
    gateway, fleet = settings.gateway, FleetClient(client)
    feed = Feed(Sources(client, fleet, mode, pressure, letters, ended, recoveries))
    history = History()
    links = Links(settings.github.url, gateway.temporal_ui_url, client.namespace)
    render = Renderer(links, app.version)
    parts = Parts(
        access=access,
        sessions=Sessions(gateway.all_admin_keys, gateway.secrets),
        fleet=fleet,
        mode=mode,
        feed=feed,
        render=render,
        sections=Sections(render, feed, history, metrics),
        stopping=stopping,
    )
    app.include_router(router(parts))
    return Page(parts, history, Sampler(history, feed.now, ended, metrics))


def router(parts: Parts) -> APIRouter:
    """All of them."""
    routes = APIRouter(include_in_schema=False)
    render = parts.render

    @routes.get("/")
    async def page(request: Request, q: str = "", page: str = "1") -> Response:
        if not parts.sessions.possible:
            return guard.html(render("no_key"))
        session = guard.session_of(request, parts.sessions)
        if session is None:
            return guard.html(render("sign_in", error=""))
        view = View.of(q, page)
        reading = await parts.feed.now(view)
        drawn = await parts.sections.of(reading, view)
        text = render("page", session=session, view=view, sections=drawn.texts, names=SECTIONS)
        return guard.html(text)

    @routes.get("/page/live")
    async def stream(request: Request, q: str = "", page: str = "1") -> Response:
        session = guard.session_of(request, parts.sessions)
        if session is None:
            raise Problem(401, "sign in first: /")
        if parts.feed.watchers >= live.MOST_PAGES:
            raise Problem(503, "too many pages are open on this gateway")
        view = View.of(q, page)
        return StreamingResponse(
            live.events(parts.feed, parts.sections, view, session, parts.stopping),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    @routes.post("/page/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await guard.form_of(request)
        try:
            key = parts.access.sign_in(request, form("key"))
        except Problem as problem:
            later = {"Retry-After": str(problem.retry_after)} if problem.retry_after else {}
            return guard.html(render("sign_in", error=problem.detail), problem.status, later)
        answer = guard.see("/")
        guard.keep(answer, request, parts.sessions.begin(key, time.time()))
        return answer

    @routes.post("/page/sign-out")
    async def sign_out(request: Request) -> Response:
        await guard.form_of(request)
        answer = guard.see("/")
        guard.keep(answer, request, "")
        return answer

    modes.add(routes, parts)
    editor.add(routes, parts)

    @routes.get("/page/{name}")
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise Problem(404, "Not Found")
        headers = {"Cache-Control": "no-cache"}  # asked about each time, answered by its ETag
        return FileResponse(FOLDER / "static" / name, media_type=ASSETS[name], headers=headers)

    return routes
