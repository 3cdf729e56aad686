"""The runner's side: register, wait in a long poll, accept a job, report its end.

It stands in for the runner's real protocol, which is not documented. The long poll's connection
is the runner's sign of life: when it breaks, the runner is gone.
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from simulator.faults import Faults
from simulator.github.api import Backend
from simulator.state.jobs import JobConflictError
from simulator.state.model import Runner, Scope
from simulator.state.registry import (
    DEFAULT_LABELS,
    GONE,
    NameTakenError,
    SessionConflictError,
)
from simulator.web import Answer, ApiError, Receive, Request

POLL_SECONDS = 50.0
MAX_WAIT_SECONDS = 86400.0


class RunnerApi:
    """Paths under /_runner."""

    def __init__(self, back: Backend, faults: Faults) -> None:
        self._back = back
        self._faults = faults

    async def answer(self, request: Request, receive: Receive) -> Answer | None:
        """The answer; None when the runner went away while it waited."""
        try:
            await self._break(request)
            parts = request.path.split("/")[2:]
            match request.method, parts:
                case "POST", ["register"]:
                    return self._register(request)
                case "POST", [number, "poll"]:
                    return await self._poll(self._known(request, number), request, receive)
                case "POST", [number, "accept"]:
                    return self._accept(self._known(request, number), request)
                case "POST", [number, "finish"]:
                    return self._finish(self._known(request, number), request)
                case _:
                    raise ApiError(404, "Not Found")
        except ApiError as error:
            return error.answer()

    async def _break(self, request: Request) -> None:
        """Faults reach runners too, but only those that name their paths."""
        if not any(
            str(one.get("path_prefix", "")).startswith("/_runner") for one in self._faults.rules
        ):
            return
        rule = self._faults.for_call(request.method, request.path, request.path)
        if rule is None:
            return
        if rule.kind == "slow":
            await asyncio.sleep(float(rule.get("seconds", 1)))
        else:
            raise ApiError(int(rule.get("status", 500)), "Server Error")

    def _register(self, request: Request) -> Answer:
        """A runner with a registration token, as `config.sh` does."""
        body, back = request.json(), self._back
        scope = _scope_of(str(body.get("url", "")))
        back.registration_tokens.check(str(body.get("token", "")), str(scope))
        labels: list[Any] = body.get("labels") or []
        default = () if body.get("no_default_labels") else DEFAULT_LABELS
        try:
            made = back.registry.add(
                str(body.get("name", "")),
                scope,
                [str(label) for label in labels],
                default_labels=default,
                ephemeral=bool(body.get("ephemeral", True)),
            )
        except NameTakenError:
            raise ApiError(409, "A runner exists with the same name") from None
        return Answer(201, {"id": made.id, "secret": made.secret})

    async def _poll(self, runner: Runner, request: Request, receive: Receive) -> Answer | None:
        """The runner's next message; 204 when there was none in time."""
        body = request.json()
        wait = min(float(body.get("wait", POLL_SECONDS)), MAX_WAIT_SECONDS)
        try:
            message = self._back.registry.open_poll(runner)
        except SessionConflictError:
            raise ApiError(409, "A session for this runner already exists.") from None
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({message, gone}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost = gone.done()
            gone.cancel()
            self._back.registry.close_poll(runner, lost=lost)
        if lost:
            return None
        return Answer(200, message.result()) if message.done() else Answer(204)

    def _accept(self, runner: Runner, request: Request) -> Answer:
        job_id = int(request.json().get("job_id", 0))
        try:
            job = self._back.registry.accept(runner, job_id)
        except JobConflictError as error:
            raise ApiError(409, str(error)) from None
        return Answer(200, {"job_id": job.id, "seconds": job.seconds})

    def _finish(self, runner: Runner, request: Request) -> Answer:
        body = request.json()
        conclusion, stay = body.get("conclusion"), bool(body.get("interrupted"))
        try:
            self._back.registry.finish(runner, int(body.get("job_id", 0)), conclusion, stay=stay)
        except JobConflictError as error:
            raise ApiError(409, str(error)) from None
        return Answer(200, {})

    def _known(self, request: Request, number: str) -> Runner:
        """The runner of the path, by its secret; 404 when it is no longer registered."""
        runner = self._back.registry.find(int(number)) if number.isdecimal() else None
        if runner is None:
            raise ApiError(404, GONE)
        if request.bearer() != runner.secret:
            raise ApiError(401, "Bad credentials")
        return runner


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _scope_of(url: str) -> Scope:
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if len(parts) not in (1, 2):
        raise ApiError(404, "Not Found")
    return Scope.of(parts[0], parts[1] if len(parts) == 2 else None)
