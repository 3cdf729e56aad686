"""Dead letters brought back: an event that was refused goes the way that it would have gone."""

from dataclasses import asdict
from typing import Any

from activities.dead_letters import DeadLetter, DeadLetters
from api.mode import ModeWatch
from api.problems import Problem
from api.starter import Starter
from policy import names
from policy.admission import JobEvent, Rules, decide


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
        503 while the mode refuses it. RPCError if Temporal does not take it.
        """
        letter = await self._letters.get(id_)
        if letter is None:
            raise Problem(404, f"there is no dead letter {id_}")
        event = _event_in(letter)
        mode = await self._mode.reread()
        decision = decide(event, self._rules, mode.mode)
        if decision.do == "refuse":
            raise Problem(decision.status, decision.reason, retry_after=decision.retry_after)
        if decision.do == "ignore":
            raise Problem(409, f"it would be ignored: {decision.reason}")
        if decision.do == "start":
            status = await self._starter.start(event)
        else:
            status = await self._starter.tell(event, claims=decision.claims)
        await self._letters.remove(id_)
        return {
            "status": status,
            "workflow_id": names.runner_job_id(event.repo, event.job_id),
            "priority": self._starter.classify(event).priority,
        }


def _event_in(letter: DeadLetter) -> JobEvent:
    if letter.kind != "delivery":
        raise Problem(409, f"a {letter.kind} cannot be replayed: {letter.next_step}")
    try:
        return JobEvent(**letter.payload["event"])
    except (KeyError, TypeError):
        raise Problem(409, f"the letter holds no event: {letter.next_step}") from None
