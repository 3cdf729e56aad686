"""From a seed to a plan: which faults, when, how long; which jobs arrive. Pure: no clock, no I/O.

The same seed and length make the same plan. What a fault hits is not known before the run (which
workflows are open, which runners live): a plan holds a number from 0 to 1 for that choice.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

REPOS = ("acme/api", "acme/web", "acme/cli", "beta/app", "beta/lib", "solo/one")
WARM_SECONDS = 1.0  # jobs alone, before the first fault
PACE_SECONDS = (0.5, 1.9)  # from one fault to the next
JOB_PACE_SECONDS = (0.2, 1.1)
CALM_PART = 0.06  # of the time, at the end: every fault ends before
SKEW_SECONDS = 600.0

KILLS = ("kill_gateway", "kill_worker", "kill_temporal", "kill_runner", "kill_keeper")
PAUSES = ("pause_gateway", "pause_worker", "pause_temporal", "pause_runner")
PARTITIONS = ("partition_worker", "partition_gateway")
GITHUB = ("github_errors", "github_limits", "github_slow", "github_lost_answer")
DELIVERIES = (
    *("delivery_lose", "delivery_vanish", "delivery_late", "delivery_duplicate"),
    *("delivery_delay", "delivery_reorder", "delivery_bad_signature"),
)
OPERATOR = (
    *("terminate_job", "terminate_semaphore", "terminate_fleet"),
    *("cancel_job", "cancel_semaphore", "cancel_fleet"),
    *("reset_job", "reset_semaphore", "reset_fleet"),
)
MODES = ("drain", "maintenance", "limits")
MACHINE = ("clock_skew", "disk_full")
USERS = ("user_cancels", "burst")
KINDS = (
    *(*KILLS, *PAUSES, *PARTITIONS, *GITHUB, *DELIVERIES),
    *(*OPERATOR, *MODES, *MACHINE, *USERS),
)

# How long a fault lasts, in seconds, from and to; what is not here is over at once.
LASTS: dict[str, tuple[float, float]] = {
    "kill_gateway": (0.3, 5.0),
    "kill_worker": (0.3, 5.0),
    "kill_temporal": (0.3, 4.0),
    "pause_gateway": (0.5, 5.0),
    "pause_worker": (0.5, 12.0),
    "pause_temporal": (0.5, 6.0),
    "pause_runner": (0.5, 5.0),
    "partition_worker": (1.0, 12.0),
    "partition_gateway": (1.0, 6.0),
    "github_errors": (1.0, 6.0),
    "github_limits": (1.0, 5.0),
    "github_slow": (1.0, 5.0),
    "drain": (1.0, 6.0),
    "maintenance": (1.0, 6.0),
    "clock_skew": (6.0, 15.0),
    "disk_full": (1.0, 4.0),
}
# Minutes, on a real site; scaled like all waits here (chaos/pace.py).
DELAYS = (3.0, 20.0)


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the start, for `lasts` seconds; 0 if it is over at once.

    `pick` (0 to 1) chooses what it hits, among what there is; `detail` says how.
    """

    at: float
    kind: str
    lasts: float = 0.0
    pick: float = 0.0
    detail: dict[str, float | int | str] = field(default_factory=dict[str, float | int | str])

    def __str__(self) -> str:
        said = [f"{key}={value}" for key, value in self.detail.items()]
        return " ".join([self.kind, *([f"{self.lasts:.1f} s"] if self.lasts else []), *said])


@dataclass(frozen=True)
class Arrival:
    """Jobs of a repository that are queued together, `seconds` long."""

    at: float
    repo: str
    count: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What happens in one run. `workers` 2 share their tokens in DynamoDB; 1 keeps its own."""

    seed: int
    seconds: float
    workers: int
    faults: tuple[Fault, ...]
    arrivals: tuple[Arrival, ...]

    @property
    def by_kind(self) -> dict[str, int]:
        """How many faults of each kind there are."""
        found: dict[str, int] = {}
        for fault in self.faults:
            found[fault.kind] = found.get(fault.kind, 0) + 1
        return dict(sorted(found.items()))


def make(seed: int, seconds: float, without: frozenset[str] = frozenset()) -> Plan:
    """The plan of a seed. `without`: kinds that this machine cannot do.

    Kinds come from a shuffled deck of all of them, so that a long run meets each. Leaving kinds
    out changes nothing else.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    workers = 1 + chance.randrange(2)
    calm = seconds * (1 - CALM_PART)
    faults: list[Fault] = []
    deck: list[str] = []
    at = WARM_SECONDS
    while at < calm:
        if not deck:
            deck = list(KINDS)
            chance.shuffle(deck)
        fault = _fault(chance, at, deck.pop(), calm)
        if fault.kind not in without:
            faults.append(fault)
        at += chance.uniform(*PACE_SECONDS)
    arrivals: list[Arrival] = []
    at = 0.0
    while at < seconds:
        length = chance.choice((0.1, 0.3, 1.0, 2.5, 5.0))
        count = chance.choice((1, 1, 1, 2, 3))
        arrivals.append(Arrival(round(at, 3), chance.choice(REPOS), count, length))
        at += chance.uniform(*JOB_PACE_SECONDS) * count
    return Plan(seed, seconds, workers, tuple(faults), tuple(arrivals))


def _fault(chance: random.Random, at: float, kind: str, calm: float) -> Fault:
    low, high = LASTS.get(kind, (0.0, 0.0))
    lasts = min(chance.uniform(low, high), max(0.3, calm - at)) if high else 0.0
    pick = chance.random()
    detail = _DETAILS[kind](chance) if kind in _DETAILS else {}
    return Fault(round(at, 3), kind, round(lasts, 3), round(pick, 4), detail)


Detail = dict[str, float | int | str]


def _times(chance: random.Random) -> Detail:
    return {"times": chance.randint(1, 4)}


_DETAILS: dict[str, Callable[[random.Random], Detail]] = {
    "partition_worker": lambda chance: {"how": chance.choice(("refuse", "hole", "hole_cut"))},
    "partition_gateway": lambda chance: {"how": chance.choice(("refuse", "hole", "hole_cut"))},
    "github_errors": lambda chance: {"status": chance.choice((500, 502, 503, 504))},
    "github_limits": lambda chance: {
        "how": chance.choice(("primary_limit", "secondary_limit")),
        "status": chance.choice((403, 429)),
        "times": chance.randint(1, 3),
    },
    "github_slow": lambda chance: {"seconds": round(chance.uniform(0.5, 4.0), 2)},
    "github_lost_answer": lambda chance: {"times": chance.randint(1, 2)},
    "delivery_lose": _times,
    "delivery_vanish": lambda chance: {"times": chance.randint(1, 2)},
    "delivery_late": _times,
    "delivery_duplicate": lambda chance: {
        "times": chance.randint(1, 4),
        "guid": chance.choice(("same", "new")),
    },
    "delivery_delay": lambda chance: {
        "times": chance.randint(1, 3),
        "seconds": round(chance.uniform(*DELAYS), 1),
    },
    "delivery_reorder": _times,
    "delivery_bad_signature": lambda chance: {"times": chance.randint(1, 2)},
    "limits": lambda chance: {
        "max_runners": chance.randint(2, 8),
        "default": chance.randint(1, 4),
    },
    "reset_job": lambda chance: {"point": round(chance.random(), 4)},
    "reset_semaphore": lambda chance: {"point": round(chance.random(), 4)},
    "reset_fleet": lambda chance: {"point": round(chance.random(), 4)},
    "clock_skew": lambda chance: {"skew": chance.choice((-SKEW_SECONDS, SKEW_SECONDS))},
    "burst": lambda chance: {"count": chance.randint(4, 8)},
}
