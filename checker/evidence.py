"""What a check looks at, and how much time the laws leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from checker import fleet, jobs, permits, runners
from checker.history import History
from checker.simulated import SimulatorLog


@dataclass(frozen=True)
class Violation:
    """One law broken once: `at` is epoch seconds, `subject` a workflow, job, runner or call."""

    law: str  # L1 … L13
    subject: str
    at: float
    message: str

    def __str__(self) -> str:
        return f"{self.law} {self.subject} at {self.at:.3f}: {self.message}"


@dataclass(frozen=True)
class Bounds:
    """The laws' times, in seconds. The defaults are the design's (sections 10, 14)."""

    idle_permit: float = 1.0  # L6: a free permit beside an admissible waiter
    lowering: float = 3.0  # L4: grants under way when a limit is lowered
    mode_change: float = 2.0  # L9: webhooks and grants under way when the mode changes
    call_under_way: float = 0.0  # L8: a call that another worker had begun when one was refused
    give_back: float = 5.0  # L5: after a normal end of the job's workflow
    sweeps: float = 2 * 600.0 + 60.0  # L5: after a crash or termination, two sweeps of semaphores
    orphan: float = 60.0  # L13: two sweeps of the runners
    wait: float = 3600.0  # L7: the longest wait of an admissible waiter, while not at rest
    recovery: float = 300.0  # L12: until a debt is paid, while not at rest


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run of the system, gathered at `now` (epoch seconds).

    `at_rest`: whoever gathered it waited until every job had ended, so work that is still open is
    a violation; otherwise open work is only judged by `bounds`. `outages` are times (from, to) in
    which worker or Temporal was down on purpose: L6 does not count them. `texts` (name → text) are
    logs, metrics and pages, searched for secrets as the histories are; `canaries` are the run's
    own secrets, literally. `labels` are those that the fleet offers.
    """

    histories: Sequence[History]
    simulated: SimulatorLog | None = None
    now: float = 0.0  # 0: the time of the last event
    at_rest: bool = True
    labels: frozenset[str] = frozenset({"self-hosted", "linux", "x64"})
    canaries: Sequence[str] = ()
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    outages: Sequence[tuple[float, float]] = ()
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if not self.now:
            last = max((one.events[-1].time for one in self.histories), default=0.0)
            object.__setattr__(self, "now", last)

    @cached_property
    def jobs(self) -> dict[str, jobs.JobRun]:
        """RunnerJobs by workflow id."""
        return jobs.read(self.histories)

    @cached_property
    def permits(self) -> permits.Permits:
        """Leases and waits."""
        return permits.read(self.histories)

    @cached_property
    def fleet(self) -> fleet.FleetRecord:
        """Limits, modes and pauses over time."""
        return fleet.read(self.histories)

    @cached_property
    def runners(self) -> list[runners.LiveRunner]:
        """Runners that were alive."""
        return runners.read(self.jobs, self.permits.leases, self.simulated)
