"""What a semaphore carries from one run to the next, and its form on the way."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from policy.line import Line, known
from policy.messages import Acquire
from policy.names import runner_job_id
from policy.priority import PRIORITIES

# A list, not said to be one: Temporal's converter would look at each value of 10,000 lists, which
# took most of the first workflow task after a continue-as-new.
Row = Any
_BASE = 1_700_000_000  # epoch seconds; times are carried as thousandths of seconds from here


@dataclass
class Lease:
    """A permit with its holder."""

    id: str
    job: str
    granted_at: float
    nudged: bool = False  # told once that it has taken long


@dataclass
class SemaphoreState:
    """One repository's holders and waiters, and what the Fleet knows of them."""

    repo: str
    epoch: str = ""
    fleet_epoch: str = ""
    sequence: int = 0
    allotment: int = 0
    report_number: int = 0
    leases_made: int = 0
    holders: dict[str, Lease] = field(default_factory=dict[str, Lease])
    waiters: dict[str, Acquire] = field(default_factory=dict[str, Acquire])
    packed: list[Row] = field(default_factory=list[Row])  # the waiters between two runs
    unsaid: list[str] = field(default_factory=list[str])  # jobs to tell their lease again
    durations: list[float] = field(default_factory=list[float])
    idle_since: float = 0.0
    # The sweep (policy/sweep.py).
    looked_at: float = 0.0  # no look at holders before this time
    suspected: list[str] = field(default_factory=list[str])  # found closed at the last look
    moved_at: float = 0.0  # the last grant or release
    stalls: int = 0  # looks since then because nothing moved
    waiters_nudged_at: float = 0.0  # no look at waiters before this time
    nudged_in_turns: bool = False  # so many waiters that one look does not nudge all
    # What the Fleet can know without a further report: see `report_due`.
    believed_in_use: int = -1
    believed_waiting: int = 0
    believed_head: str = ""
    believed_oldest: float = 0.0
    believed_held_up: int = 0
    ack_due: bool = False

    def __post_init__(self) -> None:
        """The index of the waiters is no part of the state: it is never carried nor compared."""
        self._line: Line | None = None

    @property
    def in_use(self) -> int:
        """Permits out."""
        return len(self.holders)

    @property
    def line(self) -> Line:
        """The waiters in order; made when it is first asked for."""
        if self._line is None:
            self._line = Line(self.waiters.values())
        return self._line

    def enter(self, request: Acquire) -> None:
        """Put a job into the queue; one that is there keeps its word's newest form."""
        self.waiters[request.job] = request
        if self._line:
            self._line.add(request)

    def leave(self, job: str) -> bool:
        """Take a job out of the queue; False if it was not there."""
        if self._line:
            self._line.remove(job)
        return self.waiters.pop(job, None) is not None


def close(state: SemaphoreState) -> SemaphoreState:
    """The form for continue-as-new: some 40 bytes a waiter, so that 40,000 fit into 2 MB.

    The state itself stays as it is: a query may be answered after the run's last decision.
    """
    prefix = _prefix(state)
    packed = [
        [
            # "=": a name of another form, carried whole
            waiter.job[len(prefix) :] if waiter.job.startswith(prefix) else f"={waiter.job}",
            PRIORITIES.index(known(waiter.priority)),
            _thousandths(waiter.queued_at),
            _thousandths(waiter.not_before),
            _thousandths(waiter.heard_at),
        ]
        for waiter in state.waiters.values()
    ]
    return replace(state, waiters={}, packed=packed)


def reopen(state: SemaphoreState) -> None:
    """Unpack what the last run packed."""
    prefix = _prefix(state)
    for row in state.packed:
        name, level, queued_at, not_before, heard_at = cast(tuple[str, int, int, int, int], row)
        job = name[1:] if name.startswith("=") else prefix + name
        state.enter(
            Acquire(job, PRIORITIES[level], _time(queued_at), _time(not_before), _time(heard_at))
        )
    state.packed = []


def _prefix(state: SemaphoreState) -> str:
    return runner_job_id(state.repo, "")


def _thousandths(time: float) -> int:
    """0 stays 0: it means never."""
    return round((time - _BASE) * 1000) if time else 0


def _time(thousandths: int) -> float:
    return round(thousandths / 1000 + _BASE, 3) if thousandths else 0.0
