"""The one way in for GitHub's REST paths: caller, faults, limits, answer, headers, log."""

import asyncio
import hashlib
import json
from dataclasses import dataclass

from simulator.faults import Faults, Rule
from simulator.github.api import Backend, Call, Endpoint, Endpoints, not_found
from simulator.github.identity import ANONYMOUS, Caller
from simulator.github.ratelimits import CORE
from simulator.state.changes import Changes
from simulator.state.model import Json
from simulator.web import Answer, ApiError, Request

API_VERSIONS = ("2022-11-28", "2026-03-10")
NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent "
    "header"
)
READS = ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True, kw_only=True)
class Seen:
    """What is noted of one call."""

    route: str = ""
    caller: Caller = ANONYMOUS
    resource: str = CORE
    points: int = 0
    rule: Rule | None = None


class Gate:
    """Answers every request that is not the simulator's own."""

    def __init__(self, back: Backend, routes: Endpoints, faults: Faults, changes: Changes) -> None:
        self.calls: list[Json] = []
        self._back = back
        self._routes = routes
        self._faults = faults
        self._changes = changes

    async def answer(self, request: Request) -> Answer:
        """GitHub's answer, whatever happens."""
        seen = Seen()
        began = self._back.world.clock.now()
        try:
            answer = await self._judge(request, seen)
        except ApiError as error:
            answer = error.answer()
        if seen.rule is not None and seen.rule.kind == "lost_answer":
            answer = ApiError(int(seen.rule.get("status", 502)), "Server Error").answer()
        return self._finish(request, answer, seen, began)

    async def _judge(self, request: Request, seen: Seen) -> Answer:
        version = request.headers.get("x-github-api-version", API_VERSIONS[0])
        if version not in API_VERSIONS:
            raise ApiError(400, f'"{version}" is not a supported version.')
        if "user-agent" not in request.headers:
            raise ApiError(403, NO_USER_AGENT)
        found = self._routes.match(request.method, request.path)
        if found is not None:
            seen.route, seen.resource = found[0], found[1].resource
        seen.rule = self._faults.for_call(request.method, request.path, seen.route)
        seen.caller = self._back.tokens.who(request.bearer())
        if found is None:
            raise not_found()
        _, endpoint, request.params = found
        rates, key = self._back.rates, seen.caller.key
        try:
            rates.enter(key)
            await self._break(seen)
            seen.points = 1 if request.method in READS else 5
            if not endpoint.free:
                rates.spend(key, f"{request.method} {seen.route}", endpoint.resource, seen.points)
            answer = self._handle(endpoint, request, seen.caller)
            if request.method == "GET" and answer.status == 200:
                answer = self._conditional(endpoint, request, answer, seen)
            return answer
        finally:
            rates.leave(key)

    async def _break(self, seen: Seen) -> None:
        """Do what a fault asks for before the work is done."""
        rule, rates = seen.rule, self._back.rates
        if rule is None:
            return
        match rule.kind:
            case "slow":
                await asyncio.sleep(float(rule.get("seconds", 1)))
            case "status":
                retry = rule.get("retry_after")
                headers = {} if retry is None else {"Retry-After": str(retry)}
                text = str(rule.get("message", "Server Error"))
                raise ApiError(int(rule.get("status", 500)), text, headers=headers)
            case "primary_limit":
                error = rates.exhaust(
                    seen.caller.key, seen.resource, float(rule.get("seconds", 60))
                )
                error.status = int(rule.get("status", error.status))
                raise error
            case "secondary_limit":
                raise rates.secondary(
                    seen.caller.key, rule.get("retry_after", -1.0), rule.get("status")
                )
            case _:
                return  # lost_answer: after the work

    def _handle(self, endpoint: Endpoint, request: Request, caller: Caller) -> Answer:
        if caller.kind not in endpoint.callers:
            if caller.kind == "app":
                raise ApiError(401, "Bad credentials")
            if "app" in endpoint.callers:
                raise ApiError(401, "A JSON web token could not be decoded")
        if not caller.may(endpoint.needs):
            raise ApiError(403, "Resource not accessible by integration")
        return endpoint.handler(Call(back=self._back, request=request, caller=caller))

    def _conditional(
        self, endpoint: Endpoint, request: Request, answer: Answer, seen: Seen
    ) -> Answer:
        """An ETag; what the caller has already is 304, free of the primary limit."""
        content = json.dumps(answer.body, sort_keys=True).encode()
        etag = f'W/"{hashlib.sha256(content).hexdigest()}"'
        answer.headers["ETag"] = etag
        if request.headers.get("if-none-match") != etag:
            return answer
        if not endpoint.free:
            self._back.rates.give_back(seen.caller.key, endpoint.resource)
        return Answer(304, None, answer.headers)

    def _finish(self, request: Request, answer: Answer, seen: Seen, began: float) -> Answer:
        world, rates = self._back.world, self._back.rates
        key = seen.caller.key
        words = f"{world.rng.getrandbits(96):024X}"
        request_id = f"{words[:4]}:{words[4:10]}:{words[10:16]}:{words[16:22]}:{int(began):X}"
        headers = rates.headers(key, seen.resource)
        answer.headers = headers | {
            "X-GitHub-Request-Id": request_id,
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Api-Version-Selected": request.headers.get(
                "x-github-api-version", API_VERSIONS[0]
            ),
            "Server": "github.com",
            **answer.headers,
        }
        installation = seen.caller.installation
        self.calls.append(
            {
                "time": began,
                "method": request.method,
                "path": request.path,
                "route": seen.route,
                "status": answer.status,
                "caller": key,
                "installation": None if installation is None else installation.id,
                "points": seen.points,
                "resource": seen.resource,
                "remaining": int(headers["X-RateLimit-Remaining"]),
                "request_id": request_id,
                "fault": None if seen.rule is None else seen.rule.kind,
            }
        )
        self._changes.tell()
        return answer
