"""What one run of the recovery does: how much there is room for, whose turn it is, what is ours.

Debts that stand in GitHub's log of deliveries are policy/redelivery.py's.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy import names
from policy.admission import JobEvent, Rules, decide
from policy.pressure import LEAVES_AT
from policy.redelivery import ADMITS, WINDOW_SECONDS, HookLog, pause

# A webhook may be late; sooner than this a job without a workflow is no lost one.
LATE_SECONDS = 60.0
# Between the two looks at what seems to be left over: longer than anything lags behind.
SECOND_LOOK_SECONDS = 60.0
MODE_LAG_SECONDS = 5.0  # a gateway hears of a mode a second late, and its clock is its own
MOST_CARRIED = 200  # of each kind that a checkpoint carries, but for debts


@dataclass(frozen=True)
class Timetable:
    """Whether the recovery runs, how often, and how many points of GitHub's a run may spend."""

    enabled: bool = True
    every_seconds: int = 120
    points: int = 60


@dataclass
class Tried:
    """A dead letter that was replayed in vain."""

    id: str
    tries: int
    at: float


@dataclass
class Suspect:
    """A runner that seems to be left over, at its first look (epoch seconds).

    `where` is the repository or organization that it is registered in, or, for one that a job
    believes in, the job's workflow.
    """

    where: str
    name: str
    seen_at: float
    id: int = 0  # GitHub's number


@dataclass
class Checkpoint:
    """What a run leaves to the next one; bounded in size."""

    logs: list[HookLog] = field(default_factory=list[HookLog])
    hooks_after: str = ""  # who was asked for hooks last; the next in order are next
    letters: list[Tried] = field(default_factory=list[Tried])
    repo: str = ""  # looked at last for queued jobs,
    run: int = 0  # up to this workflow run; 0: to its end
    scope: str = ""  # looked at last for left-over runners
    suspects: list[Suspect] = field(default_factory=list[Suspect])
    missing: list[Suspect] = field(default_factory=list[Suspect])


class Purse:
    """Points that a part of a run may spend at GitHub: a read costs 1, a write 5."""

    def __init__(self, points: int) -> None:
        self.left = max(0, points)
        self.spent = 0

    def take(self, points: int) -> bool:
        """Spend them if they are there."""
        if points > self.left:
            return False
        self.left -= points
        self.spent += points
        return True


def room(overview: Mapping[str, Any]) -> int:
    """How many jobs may be brought back now, from the Fleet's `overview`.

    None while a gateway may still refuse them: a trigger that went up comes down only under
    LEAVES_AT of its threshold. A Fleet that has just begun does not know yet what runs and waits.
    """
    if overview["mode"] != "normal" or not overview["settled"]:
        return 0
    taken, most = int(overview["waiting"]), float(overview["max_queue_depth"])
    if overview["strategy"] == "reject":
        taken += int(overview["running"])
        most = overview["max_concurrency_percent"] / 100 * overview["capacity"]
    return max(0, int(most) - taken) if taken < LEAVES_AT * most else 0


def turn(every: Iterable[str], last: str) -> list[str]:
    """All of them once, in order, beginning behind the one that was last."""
    ordered = sorted(set(every))
    place = bisect_right(ordered, last)
    return ordered[place:] + ordered[:place]


@dataclass(frozen=True)
class Letter:
    """A dead letter of a refused delivery."""

    id: str
    action: str
    at: float
    retry_at: float = 0.0  # the end of its Retry-After


def letters_due(
    letters: Iterable[Letter],
    tried: Iterable[Tried],
    now: float,
    room: int,
    open_since: float = 0.0,
) -> list[Letter]:
    """The letters to replay now, the oldest first; those that want capacity up to the room.

    None before its Retry-After is over, unless the mode became normal (`open_since`) after its
    refusal: what it was to wait for has come. What is older than three days is left to an
    operator, as GitHub leaves it.
    """
    before = {one.id: one for one in tried}
    chosen: list[Letter] = []
    for letter in sorted(letters, key=lambda one: (one.at, one.id)):
        last = before.get(letter.id)
        if letter.at < now - WINDOW_SECONDS or (last and now < last.at + pause(last.tries)):
            continue
        if now < letter.retry_at and letter.at >= open_since + MODE_LAG_SECONDS:
            continue
        if letter.action == ADMITS:
            room -= 1
            if room < 0:
                continue
        chosen.append(letter)
    return chosen


def note_tries(
    tried: Iterable[Tried], in_vain: Iterable[str], left: Iterable[str], now: float
) -> list[Tried]:
    """The replays that failed, with the new ones; `left` are the letters that there still are."""
    before = {one.id: one for one in tried}
    for id_ in in_vain:
        tries = before[id_].tries if id_ in before else 0
        before[id_] = Tried(id_, tries + 1, now)
    there = set(left)
    kept = sorted((one for one in before.values() if one.id in there), key=lambda one: one.at)
    return kept[-MOST_CARRIED:]


@dataclass(frozen=True)
class JobAtGitHub:
    """A job as GitHub's list shows it; `created_at` is epoch seconds."""

    id: int
    status: str
    labels: list[str] = field(default_factory=list[str])
    created_at: float = 0.0
    name: str = ""
    url: str = ""
    branch: str = ""
    workflow: str = ""


def lost_event(
    repo: str, job: JobAtGitHub, default_branch: str, rules: Rules, now: float
) -> JobEvent | None:
    """The event that should have come for a queued job of ours by now; None for any other job.

    Like the gateway's it goes by labels and owners; the mode is the caller's matter.
    """
    if job.status != "queued" or job.created_at > now - LATE_SECONDS:
        return None
    event = JobEvent(
        action="queued",
        owner=repo.partition("/")[0],
        repo=repo.lower(),
        job_id=str(job.id),
        labels=job.labels,
        status=job.status,
        queued_at=job.created_at,
        name=job.name,
        url=job.url,
        branch=job.branch,
        default_branch=default_branch,
        workflow=job.workflow,
    )
    return event if decide(event, rules, "normal").do == "start" else None


def seems_left_over(name: str, status: str, busy: bool) -> bool:
    """Whether a runner in GitHub's list is one of ours that does not work and is not there."""
    return bool(names.job_of_runner(name)) and status == "offline" and not busy


def ripe(suspect: Suspect, now: float) -> bool:
    """Whether it is time for the second look."""
    return now >= suspect.seen_at + SECOND_LOOK_SECONDS


def look_again(before: Iterable[Suspect], found: Iterable[Suspect]) -> list[Suspect]:
    """Those found, each since its first look; at most so many as a checkpoint carries."""
    known = {(one.where, one.name): one for one in before}
    return [known.get((one.where, one.name), one) for one in found][:MOST_CARRIED]
