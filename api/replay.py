"""Dead letters brought back: an event that was refused goes the way that it would have gone."""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from temporalio.service import RPCError

from activities.dead_letters import DELIVERY, JOB, DeadLetter, DeadLetters
from api import events
from api.mode import ModeWatch
from api.problems import Problem
from api.starter import Starter
from policy import names
from policy.admission import JobEvent, Rules, decide

logger = logging.getLogger(__name__)

KEPT = "kept"  # the status of a letter that stays
BATCH = 100
KEPT_BY_GITHUB_SECONDS = 24 * 3600.0  # GitHub drops a job that no runner took for a day
MODE_RETRY_SECONDS = 30


def letter_id(event: JobEvent) -> str:
    """The same event has the same letter, however often it was refused."""
    return f"delivery-{event.repo.replace('/', '-')}-{event.job_id}-{event.action}"


def payload_of(event: JobEvent) -> dict[str, Any]:
    """What a letter keeps of an event: all that is needed to bring it back."""
    return {"event": asdict(event)}


class Replay:
    """Brings letters back. Starting is idempotent, so that a letter may be replayed twice."""

    def __init__(
        self, rules: Rules, starter: Starter, mode: ModeWatch, letters: DeadLetters
    ) -> None:
        self._rules = rules
        self._starter = starter
        self._mode = mode
        self._letters = letters

    async def replay(self, id_: str) -> dict[str, Any]:
        """Handle the letter's event as if it came now; then the letter is gone.

        Raises Problem: 404 for no such letter, 409 for one that cannot be brought back from here,
        503 while the mode refuses it. RPCError if Temporal does not take it, LettersUnavailable
        if the store does not answer.
        """
        letter = await self._letters.get(id_)
        if letter is None:
            raise Problem(404, f"there is no dead letter {id_}")
        answer = await self.again(letter)
        await self._letters.remove(id_)
        return answer

    async def replay_all(self, letters: Iterable[DeadLetter]) -> list[dict[str, Any]]:
        """Handle these, one after the other; for each its id, its status and why it stays.

        What was taken leaves the store in batches, for a queue is looked through whole each time.
        Should this be broken off, a letter that stays is a duplicate when it is replayed.
        """
        answers: list[dict[str, Any]] = []
        taken: list[str] = []
        for letter in letters:
            answer = await self._tried(letter)
            answers.append(answer)
            if answer["status"] != KEPT:
                taken.append(letter.id)
            if len(taken) >= BATCH:
                await self._letters.purge(taken)
                taken = []
        if taken:
            await self._letters.purge(taken)
        return answers

    async def _tried(self, letter: DeadLetter) -> dict[str, Any]:
        try:
            return {"id": letter.id, **await self.again(letter), "why": ""}
        except Problem as problem:
            why = problem.detail
        except RPCError as error:
            why = f"Temporal: {error.message}"
        except Exception as error:  # the fault that made it a letter may be there still
            logger.exception("the letter %s could not be replayed", letter.id)
            why = f"a fault of Penstock's own: {type(error).__name__}; the log has it"
        return {"id": letter.id, "status": KEPT, "why": why}

    async def again(self, letter: DeadLetter) -> dict[str, Any]:
        """Handle the letter's event; the letter is left to the caller. Raises as `replay`."""
        event = _event_in(letter)
        mode = await self._mode.reread()
        decision = decide(event, self._rules, mode.mode)
        if decision.do == "refuse":
            raise Problem(decision.status, decision.reason, retry_after=MODE_RETRY_SECONDS)
        if decision.do == "ignore":
            raise Problem(409, f"it would be ignored: {decision.reason}")
        if decision.do == "start":
            if letter.since < time.time() - KEPT_BY_GITHUB_SECONDS:
                raise Problem(
                    409,
                    "GitHub has dropped the job, for nobody took it for a day: re-run it at"
                    " GitHub, then purge this letter",
                )
            status = await self._starter.start(event)
        else:
            status = await self._starter.tell(event, claims=decision.claims)
        return {
            "status": status,
            "workflow_id": names.runner_job_id(event.repo, event.job_id),
            "priority": self._starter.classify(event).priority,
        }


def _event_in(letter: DeadLetter) -> JobEvent:
    if letter.kind == JOB:
        raise Problem(
            409,
            f"the job's workflow has ended ({letter.reason}), and its id is taken for good:"
            f" {letter.next_step}",
        )
    if letter.kind != DELIVERY:
        raise Problem(409, f"it is no letter that can be replayed: {letter.next_step}")
    body, known = letter.payload.get("body"), letter.payload.get("event")
    try:
        if isinstance(body, str):
            return events.job_event(events.parse(body.encode()))
        return JobEvent(**known)  # pyright: ignore[reportCallIssue] - a TypeError says the same
    except (events.NotJson, events.Unusable, TypeError):
        raise Problem(409, f"the letter holds no event: {letter.next_step}") from None
