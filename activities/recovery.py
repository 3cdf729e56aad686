"""What a recovery run asks the Fleet, and the dead letters it brings back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.dead_letters import DeadLetter, DeadLetters
from activities.orphans import QUERY_TIMEOUT
from activities.parts import Failures
from policy import names, recovery
from policy.recovery import Letter, Tried
from policy.redelivery import ADMITS


class Replays(Protocol):
    """What handles a dead letter's event as if it came now; the gateway's own way."""

    async def replay(self, letter: DeadLetter) -> str:
        """Empty, and the letter may go; or why it stays. Raises RPCError."""
        ...


@dataclass(frozen=True)
class FleetView:
    """The Fleet's mode, and how many jobs there is room for.

    `open_since` is when the mode became normal (epoch seconds); 0 in any other mode.
    """

    mode: str = "unknown"
    room: int = 0
    open_since: float = 0.0


@dataclass(frozen=True)
class LettersOrder:
    """Room for so many jobs, the mode normal since then; `tried` is the last run's."""

    room: int = 0
    tried: list[Tried] = field(default_factory=list[Tried])
    open_since: float = 0.0


@dataclass(frozen=True)
class LettersResult:
    """What was done; `admitted` of the `replayed` want capacity."""

    tried: list[Tried] = field(default_factory=list[Tried])
    replayed: int = 0
    admitted: int = 0
    left: int = 0
    failures: list[str] = field(default_factory=list[str])


class RecoveryActivities:
    """Needs the dead letters, and what brings them back."""

    def __init__(
        self, client: Client, letters: DeadLetters, replays: Replays, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._letters = letters
        self._replays = replays
        self._clock = clock

    @activity.defn(name="ask_fleet")
    async def ask_fleet(self) -> FleetView:
        """Mode and room. A Fleet that does not answer is an error."""
        fleet = self._client.get_workflow_handle(names.FLEET_ID)
        overview = await fleet.query(
            "overview", result_type=dict[str, Any], rpc_timeout=QUERY_TIMEOUT
        )
        mode = str(overview["mode"])
        since = float(overview["since"]) if mode == "normal" else 0.0
        return FleetView(mode, recovery.room(overview), since)

    @activity.defn(name="replay_letters")
    async def replay_letters(self, order: LettersOrder) -> LettersResult:
        """Replay what is due, the oldest first; a job that failed for good is none of it."""
        every = {letter.id: letter for letter in await self._letters.all()}
        letters = [found for one in every.values() if (found := _delivery_in(one))]
        due = recovery.letters_due(
            letters, order.tried, self._clock(), order.room, order.open_since
        )
        failures = Failures()
        replayed: list[Letter] = []
        in_vain: list[str] = []
        for letter in due:
            try:
                why = await self._replays.replay(every[letter.id])
            except RPCError as error:
                failures.add("stopped", error)  # Temporal takes nothing now
                break
            if why:
                failures.add(letter.id, why)
                in_vain.append(letter.id)
            else:
                replayed.append(letter)
        done = {letter.id for letter in replayed}
        await self._letters.purge(done)  # at once: a queue is looked through whole each time
        left = [letter.id for letter in letters if letter.id not in done]
        return LettersResult(
            recovery.note_tries(order.tried, in_vain, left, self._clock()),
            len(replayed),
            sum(letter.action == ADMITS for letter in replayed),
            len(left),
            failures.lines,
        )


def _delivery_in(letter: DeadLetter) -> Letter | None:
    """The letter of a refused delivery; None for any other."""
    event = letter.payload.get("event")
    if letter.kind != "delivery" or not isinstance(event, dict):
        return None
    said = cast(dict[str, Any], event)
    return Letter(letter.id, str(said.get("action")), letter.at, letter.retry_at)
