"""The ASGI application: GitHub's paths, the runners', and the control's; and what they share."""

import asyncio
import inspect
from dataclasses import dataclass

from simulator.clock import Clock
from simulator.control import jobs as control_jobs
from simulator.control import look, setup, wait
from simulator.control.api import Control, ControlRoutes
from simulator.faults import Faults
from simulator.github import actions, hooks, runners
from simulator.github import app as app_paths
from simulator.github.api import Backend, Endpoints
from simulator.github.gate import Gate
from simulator.github.identity import AppIdentity, RegistrationTokens, Tokens
from simulator.github.ratelimits import RateLimits
from simulator.limits import Limits
from simulator.runner_api import RunnerApi
from simulator.state.assignment import Assignment
from simulator.state.changes import Changes
from simulator.state.jobs import Jobs
from simulator.state.model import Job
from simulator.state.queue import JobQueue
from simulator.state.registry import Registry
from simulator.state.world import World
from simulator.web import Answer, ApiError, Receive, Request, Scope, Send, read, write
from simulator.webhooks.delivery import DeliveryLog
from simulator.webhooks.events import workflow_job
from simulator.webhooks.hooks import Hooks
from simulator.webhooks.sender import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; `public_key` is PEM, None: no App can sign in."""

    webhook_url: str = ""
    webhook_secret: str = ""
    app_id: int = 4242
    client_id: str = "Iv1.simulated"
    public_key: str | None = None
    seed: int = 1


class Simulator:
    """One GitHub; `base_url` must be set before it is asked anything."""

    def __init__(self, options: Options) -> None:
        self.base_url = ""
        self._options = options
        self._changes = Changes()
        self._endpoints = Endpoints()
        self._control_routes = ControlRoutes()
        for module in (app_paths, runners, actions, hooks):
            module.register(self._endpoints)
        for module in (setup, control_jobs, look, wait):
            module.register(self._control_routes)
        self._control_routes.add("POST", "/_control/reset", self._reset)
        self._start(options.webhook_url, options.webhook_secret)

    def listen(self, base_url: str) -> None:
        """The address is known now."""
        self.base_url = base_url
        self._control.back.world.base_url = base_url

    async def close(self) -> None:
        """Let every runner and waiter go, and stop sending."""
        self._control.back.registry.let_go()
        await self._control.back.sender.close()
        self._changes.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read(scope, receive)
        path = request.path
        if path.startswith("/_runner/"):
            answer = await self._runner_api.answer(request, receive)
            if answer is None:
                return
        elif path.startswith("/_control/"):
            answer = await self._controlled(request)
        else:
            answer = await self._gate.answer(request)
        answer.headers.setdefault("Date", self._control.back.world.clock.date_header())
        await write(send, answer)

    def _start(self, webhook_url: str, webhook_secret: str) -> None:
        """Make a new, empty GitHub."""
        options, clock, limits, changes = self._options, Clock(), Limits(), self._changes
        world = World(clock, limits, options.seed, self.base_url)
        queue, faults, log = JobQueue(world.rng), Faults(), DeliveryLog(clock, limits)
        hooks = Hooks(clock, options.app_id)
        hooks.app.url, hooks.app.secret = webhook_url, webhook_secret
        sender = Sender(world, log, faults, changes, hooks)

        def emit(action: str, job: Job) -> None:
            sender.emit("workflow_job", workflow_job(world, action, job), job.id)

        assignment = Assignment(queue, limits)
        jobs = Jobs(world, assignment, emit, changes)
        app = AppIdentity(options.app_id, options.client_id, options.public_key, clock)
        back = Backend(
            world=world,
            jobs=jobs,
            registry=Registry(world, assignment, jobs, changes),
            log=log,
            hooks=hooks,
            sender=sender,
            app=app,
            tokens=Tokens(world, limits, app),
            registration_tokens=RegistrationTokens(world, limits),
            rates=RateLimits(clock, limits),
        )
        self._gate = Gate(back, self._endpoints, faults, changes)
        self._runner_api = RunnerApi(back, faults)
        self._control = Control(
            back=back, gate=self._gate, faults=faults, queue=queue, changes=changes
        )

    async def _reset(self, _control: Control, _request: Request) -> Answer:
        """Forget everything but the webhook's address and secret, and the App."""
        hook = self._control.back.hooks.app
        for job in self._control.back.jobs.by_id.values():
            if job.timer is not None:
                job.timer.cancel()
        await self.close()
        await asyncio.sleep(0)  # runners in a poll get their answer from the old state
        self._start(hook.url, hook.secret)
        return Answer(200, {})

    async def _controlled(self, request: Request) -> Answer:
        found = self._control_routes.match(request.method, request.path)
        try:
            if found is None:
                raise ApiError(404, "no such control path")
            _, handler, request.params = found
            answer = handler(self._control, request)
            return await answer if inspect.isawaitable(answer) else answer
        except ApiError as error:
            return Answer(error.status, {"message": error.message})
        except (ValueError, TypeError) as error:
            return Answer(400, {"message": str(error)})
