"""What the workflows say to each other. Fields are only ever added, each with a default.

Every message is state, not a change of state: it may come twice, late or out of order.
Times are epoch seconds, durations are seconds.
"""

from dataclasses import dataclass, field


@dataclass
class Acquire:
    """A job asks its repository's semaphore for a permit (again, if it asked before)."""

    job: str  # the RunnerJob's workflow id
    priority: str = "normal"
    queued_at: float = 0.0
    not_before: float = 0.0  # no grant before this time
    heard_at: float = 0.0  # the semaphore's note: when it last nudged this waiter


@dataclass
class Acquires:
    """Several jobs ask at once: as good as as many messages `Acquire`."""

    asks: list[Acquire] = field(default_factory=list[Acquire])


@dataclass
class Release:
    """A job gives a lease back, or, with no lease named, leaves the queue."""

    job: str
    lease: str = ""
    held_seconds: float = 0.0  # how long its runner lived; 0 if none was launched
    outcome: str = ""


@dataclass
class Granted:
    """The semaphore's answer: the job holds this lease now."""

    lease: str


@dataclass
class Waiting:
    """The waiters of one priority: how many, and since when the oldest waits."""

    priority: str
    count: int
    oldest: float


@dataclass
class Report:
    """What a semaphore tells the Fleet; `number` grows within an epoch."""

    repo: str
    epoch: str
    number: int
    fleet_epoch: str = ""  # the Fleet whose allotment it believes
    acked: int = 0  # the newest sequence it took from that Fleet
    allotment: int = 0
    in_use: int = 0
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    running_since: list[float] = field(default_factory=list[float])
    durations: list[float] = field(default_factory=list[float])  # quantiles, ascending
    samples: int = 0  # how many durations the quantiles stand for
    held_up: int = 0  # waiters that cannot take a permit yet (their not_before)
    closing: bool = False  # the semaphore ends, idle; it keeps nothing

    @property
    def waiting_count(self) -> int:
        """All waiters, of every priority."""
        return sum(group.count for group in self.waiting)


@dataclass
class Allot:
    """What the Fleet tells a semaphore: `n` permits may be out. Sequences grow per repository."""

    repo: str
    fleet_epoch: str
    epoch: str  # the semaphore's epoch it is meant for; empty in a Fleet's first word to it
    sequence: int
    n: int


@dataclass
class Claim:
    """What a running job says of itself when its semaphore has lost its memory."""

    job: str
    lease: str = ""  # the lease it holds; empty if it holds none
    granted_at: float = 0.0
    waiting: bool = False
    priority: str = "normal"
    queued_at: float = 0.0
    not_before: float = 0.0


def epoch(started_at: float, run_id: str) -> str:
    """A name for one life of a Fleet or a semaphore; later lives sort after earlier ones.

    Microseconds (16 digits until the year 2286), and a part of the run id for lives of one moment.
    """
    return f"{int(started_at * 1_000_000):016d}.{run_id[:8]}"
