"""How launches went of late: counts in short spans of time, told as state and added up.

Each worker counts for itself and tells the Fleet its whole window, so that a message may be lost,
late or doubled; a worker that is gone is forgotten with its window.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

WINDOW_SECONDS = 300.0
SPAN_SECONDS = 10.0
MIN_SAMPLES = 20  # a rate of fewer says nothing


@dataclass
class Span:
    """The launches that ended in the ten seconds from `start` (epoch seconds)."""

    start: float
    ok: int = 0
    failed: int = 0


@dataclass
class Allowance:
    """Calls of an hour that GitHub allows an identity; times are epoch seconds."""

    identity: str  # `installation:OWNER`, `app` or `person`
    resource: str  # GitHub's name of the limit
    limit: int
    remaining: int
    reset: float
    at: float  # when a worker knew it so


@dataclass
class Launches:
    """One worker's window, the oldest span first; spans without launches are left out.

    `allowances` ride along: what is left of GitHub's limits, as that worker last heard.
    """

    worker: str
    spans: list[Span] = field(default_factory=list[Span])
    allowances: list[Allowance] = field(default_factory=list[Allowance])


@dataclass(frozen=True)
class Tally:
    """Launches over some time."""

    ok: int = 0
    failed: int = 0

    @property
    def samples(self) -> int:
        """All of them."""
        return self.ok + self.failed

    def over(self, rate: float) -> bool:
        """Whether the part that failed is above this rate; one that failed not at all is not."""
        return self.failed > rate * self.samples


def count(spans: list[Span], now: float, *, ok: bool) -> list[Span]:
    """The window with one more launch."""
    start = now - now % SPAN_SECONDS
    kept = recent(spans, now)
    if not kept or kept[-1].start < start:
        kept.append(Span(start))
    last = kept[-1]  # a clock that was set back counts where it was
    last.ok += ok
    last.failed += not ok
    return kept


def recent(spans: Iterable[Span], now: float) -> list[Span]:
    """What still lies in the window."""
    return [span for span in spans if span.start > now - WINDOW_SECONDS]


def tally(spans: Iterable[Span], since: float) -> Tally:
    """All launches from that time on; a span counts if it began at or after it."""
    chosen = [span for span in spans if span.start >= since]
    return Tally(sum(span.ok for span in chosen), sum(span.failed for span in chosen))


def last_failure(spans: Iterable[Span]) -> float | None:
    """When the newest span with a failure began; None without one."""
    return max((span.start for span in spans if span.failed), default=None)
