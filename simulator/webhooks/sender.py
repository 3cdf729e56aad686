"""Sends events in order of creation, many at once, each once: GitHub does not retry."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from simulator.faults import Faults, Rule
from simulator.state.changes import Changes
from simulator.state.model import Json
from simulator.state.world import World
from simulator.webhooks.delivery import Delivery, DeliveryLog
from simulator.webhooks.hooks import Hook, Hooks
from simulator.webhooks.http import BROKEN, Poster

USER_AGENT = "GitHub-Hookshot/5f7d2e1"
REORDER_SECONDS = 5.0


class Sender:
    """The queue of deliveries to all webhooks."""

    def __init__(
        self, world: World, log: DeliveryLog, faults: Faults, changes: Changes, hooks: Hooks
    ) -> None:
        self.log = log
        self._world = world
        self._faults = faults
        self._changes = changes
        self._hooks = hooks
        self._queue: deque[Delivery] = deque()
        self._held: dict[int | None, list[Delivery]] = {}
        self._delayed = 0
        self._active: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._poster = Poster()

    @property
    def pending(self) -> int:
        """Deliveries that have not ended."""
        held = sum(len(line) for line in self._held.values())
        return len(self._queue) + len(self._active) + self._delayed + held

    def emit(self, event: str, payload: Json, job_id: int | None = None) -> None:
        """Something happened: tell every webhook that hears of it, under one guid."""
        hearing = [hook for hook in self._hooks.all() if hook.hears(event, payload)]
        if not hearing:
            return
        guid = self._guid()
        for hook in hearing:
            told = payload
            if hook.scope is not None:  # only an App's events name its installation
                told = {key: value for key, value in payload.items() if key != "installation"}
            self._admit(self._new(event, told, guid, hook, job_id=job_id))

    def redeliver(self, old: Delivery) -> Delivery:
        """Send an old delivery's payload again: the same guid, a new id."""
        again = self._new(
            old.event, old.payload, old.guid, old.hook, job_id=old.job_id, redelivery=True
        )
        self._admit(again)
        return again

    async def close(self) -> None:
        """Stop sending and forget what is pending."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._queue.clear()
        self._held.clear()
        self._delayed = 0
        for task in list(self._active):
            task.cancel()
        await asyncio.gather(*self._active, return_exceptions=True)
        self._poster.close()

    def _guid(self) -> str:
        return str(uuid.UUID(int=self._world.rng.getrandbits(128), version=4))

    def _new(
        self,
        event: str,
        payload: Json,
        guid: str,
        hook: Hook,
        *,
        job_id: int | None,
        redelivery: bool = False,
    ) -> Delivery:
        return Delivery(
            id=next(self.log.ids),
            guid=guid,
            hook=hook,
            event=event,
            payload=payload,
            job_id=job_id,
            redelivery=redelivery,
        )

    def _admit(self, delivery: Delivery) -> None:
        """Queue it, or do to it what a fault asks for."""
        repo: Json = delivery.payload.get("repository", {})
        owner: Json = repo.get("owner", {})
        facts: Json = {
            "event": delivery.event,
            "action": delivery.action,
            "job_id": delivery.job_id,
            "redelivery": delivery.redelivery,
            "repo": repo.get("name"),
            "owner": owner.get("login"),
        }
        rule = self._faults.for_delivery(facts)
        if rule is None:
            self._push(delivery)
        else:
            delivery.fault = rule.kind
            self._break(delivery, rule)

    def _break(self, delivery: Delivery, rule: Rule) -> None:
        match rule.kind:
            case "vanish":
                return
            case "lose":
                self._end(delivery, "failed to connect to host", 502)
            case "duplicate":
                guid = self._guid() if rule.get("new_guid") else delivery.guid
                self._push(delivery)
                self._push(replace(delivery, id=next(self.log.ids), guid=guid))
            case "delay":
                self._delayed += 1
                self._later(float(rule.get("seconds", 1)), delivery, self._undelay)
            case "reorder":
                self._held.setdefault(delivery.job_id, []).append(delivery)
                self._later(float(rule.get("seconds", REORDER_SECONDS)), delivery, self._release)
            case _:
                self._push(delivery)  # "late" and "bad_signature" break on the way

    def _later(self, seconds: float, delivery: Delivery, then: Callable[[Delivery], None]) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            then(delivery)

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    def _undelay(self, delivery: Delivery) -> None:
        self._delayed -= 1
        self._push(delivery)

    def _release(self, delivery: Delivery) -> None:
        line = self._held.get(delivery.job_id, [])
        if delivery in line:
            line.remove(delivery)
            self._push(delivery)

    def _push(self, delivery: Delivery) -> None:
        self._queue.append(delivery)
        self._pump()

    def _pump(self) -> None:
        while self._queue and len(self._active) < self._world.limits.delivery_concurrency:
            task = asyncio.create_task(self._send(self._queue.popleft()))
            self._active.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._active.discard(task)
        self._pump()
        self._changes.tell()

    async def _send(self, delivery: Delivery) -> None:
        body = json.dumps(delivery.payload, separators=(",", ":")).encode()
        delivery.request_headers = self._headers(delivery, body)
        timeout = self._world.limits.delivery_timeout
        begun = time.perf_counter()
        status, code = "OK", 0
        try:
            async with asyncio.timeout(timeout):
                reply = await self._poster.post(delivery.hook.url, delivery.request_headers, body)
        except TimeoutError:
            status = "timed out"
        except BROKEN:
            status, code = "failed to connect to host", 502
        else:
            code = reply.status
            delivery.response_headers, delivery.response_body = reply.headers, reply.body
            if not 200 <= code < 300:
                status = f"Invalid HTTP Response: {code}"
            elif delivery.fault == "late":
                status, code = "timed out", 0
        self._end(delivery, status, code, time.perf_counter() - begun)
        for held in self._held.pop(delivery.job_id, []):
            self._push(held)

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        headers = {
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Accept": "*/*",
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Delivery": delivery.guid,
            "X-GitHub-Hook-ID": str(delivery.hook.id),
            "X-GitHub-Hook-Installation-Target-ID": str(delivery.hook.target_id),
            "X-GitHub-Hook-Installation-Target-Type": delivery.hook.kind,
        }
        if secret := delivery.hook.secret:
            secret = secret if delivery.fault != "bad_signature" else f"not {secret}"
            for name, digest in (
                ("X-Hub-Signature-256", hashlib.sha256),
                ("X-Hub-Signature", hashlib.sha1),
            ):
                value = hmac.new(secret.encode(), body, digest).hexdigest()
                headers[name] = f"{digest().name}={value}"
        return headers

    def _end(self, delivery: Delivery, status: str, code: int, duration: float = 0.0) -> None:
        delivery.status, delivery.status_code, delivery.duration = status, code, duration
        delivery.delivered_at = self._world.clock.now()
        state = "active" if delivery.ok else "misconfigured"
        delivery.hook.last_response = {"code": code, "status": state, "message": status}
        self.log.add(delivery)
        self._changes.tell()
