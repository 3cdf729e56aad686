"""What the gateway owes: refused events are written down, and struck out once they are taken."""

import asyncio
import hashlib
import logging
import re
import time
from typing import Any

from activities.dead_letters import DELIVERY, DeadLetter, DeadLetters, LettersUnavailable
from api import events
from api.metrics import GatewayMetrics
from api.replay import letter_id, payload_of
from policy.admission import Decision, JobEvent

logger = logging.getLogger(__name__)

PUT_SECONDS = 1.5  # Temporal may have had 8 s, and GitHub waits for 10
PENDING = 100_000  # accepted events to strike out; more are found out by their replay
GUID = re.compile(r"[A-Za-z0-9-]{1,64}")
FAULT = "a fault of Penstock's own"
FAULT_RETRY_SECONDS = 60.0


class Debts:
    """Writes letters within the time that GitHub waits; strikes out beside the answers."""

    def __init__(self, letters: DeadLetters, metrics: GatewayMetrics) -> None:
        self._letters = letters
        self._metrics = metrics
        self._paid: dict[str, None] = {}
        self._settling: asyncio.Task[None] | None = None
        self._settled_at = -letters.settle_seconds
        self._writing: set[asyncio.Task[None]] = set()

    async def owe(
        self, event: JobEvent, decision: Decision, retry_after: float, guid: str
    ) -> None:
        """Write down an event that is refused now, for so many seconds."""
        now = time.time()
        await self._put(
            DeadLetter(
                id=letter_id(event),
                kind=DELIVERY,
                reason=decision.reason,
                at=now,
                next_step="replayed once there is room; now: penstock dead-letters replay",
                repo=event.repo,
                job_id=event.job_id,
                payload=payload_of(event),
                retry_at=now + retry_after,
                guid=_guid(guid),
                cause=decision.cause,
            )
        )

    async def fault(self, body: bytes, error: Exception, retry_after: float, guid: str) -> None:
        """Write down a well-signed delivery that our own code could not handle."""
        now = time.time()
        id_, payload, repo, job_id = _of(body)
        await self._put(
            DeadLetter(
                id=id_,
                kind=DELIVERY,
                reason=f"{FAULT}: {type(error).__name__}; the gateway's log has it",
                at=now,
                next_step="mend the cause, then: penstock dead-letters replay",
                repo=repo,
                job_id=job_id,
                payload=payload,
                retry_at=now + retry_after,
                guid=_guid(guid),
                cause="fault",
            )
        )

    def paid(self, event: JobEvent) -> None:
        """An event was taken: should it have been refused before, its letter is settled.

        Soon, beside the answer. Until then, or if this process ends first, its replay finds the
        job known, and settles it too.
        """
        if len(self._paid) < PENDING:
            self._paid[letter_id(event)] = None
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        try:
            while self._paid:
                pause = self._settled_at + self._letters.settle_seconds - time.monotonic()
                await asyncio.sleep(max(0.0, pause))
                ids, self._paid = self._paid, {}
                try:
                    await self._letters.purge(ids)
                except LettersUnavailable as error:
                    logger.warning("settled dead letters could not be deleted: %s", error)
                self._settled_at = time.monotonic()
        finally:
            self._settling = None

    async def _put(self, letter: DeadLetter) -> None:
        # Not cancelled when the time is over: it may still be written.
        writing = asyncio.create_task(self._write(letter))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        _, late = await asyncio.wait({writing}, timeout=PUT_SECONDS)
        if late:
            logger.warning("the dead letter %s is being written still", letter.id)

    async def _write(self, letter: DeadLetter) -> None:
        # GitHub's own log of failed deliveries has it still.
        try:
            await self._letters.put(letter)
        except LettersUnavailable as error:
            self._metrics.unkept.inc()
            logger.error("the dead letter %s could not be kept: %s", letter.id, error)
        except Exception:
            self._metrics.unkept.inc()
            logger.exception("the dead letter %s could not be kept", letter.id)


def _of(body: bytes) -> tuple[str, dict[str, Any], str, str]:
    """Id, payload, repository and job of a delivery; the body itself if it cannot be read."""
    try:
        event = events.job_event(events.parse(body))
    except Exception:
        text = body.decode("utf-8", "replace")
        return f"delivery-{hashlib.sha256(body).hexdigest()[:24]}", {"body": text}, "", ""
    return letter_id(event), payload_of(event), event.repo, event.job_id


def _guid(given: str) -> str:
    return given if GUID.fullmatch(given) else ""
