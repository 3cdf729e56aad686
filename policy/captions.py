"""What the Temporal UI shows of workflows beside their events: who they are, and how it goes.

Static words are given at the start and stay; current ones are Markdown that a workflow sets as it
goes, kept in its memory alone. Neither is encrypted by every codec: no secret belongs here.
"""

from dataclasses import dataclass

from policy import fleet
from policy.fleet import FleetState
from policy.names import job_of
from policy.semaphore_state import SemaphoreState

LONGEST = 200  # characters of a summary: the UI shows one line
MOST = 5  # repositories or holders named


@dataclass(frozen=True)
class Caption:
    """A workflow's line in the list, and what its page says below."""

    summary: str
    details: str


FLEET = Caption(
    "capacity, mode and limits of the whole fleet",
    "Divides `max_runners` among the repositories; sees demand, never a single job.\n\n"
    "Queries `status`, `drain_status`, `audit`; signals `drain`, `resume`, `maintenance`. "
    "On the command line: `penstock status`, `penstock limits`, `penstock fleet audit`.",
)
RECOVERY = Caption(
    "what was refused, lost or left over",
    "One run of the schedule `penstock-recovery`: replays letters, has lost deliveries sent "
    "again, starts queued jobs that nobody knows, sees left-over runners off. "
    "Now: `penstock recover --wait`.",
)


def job(name: str, repo: str, priority: str, why: str, url: str) -> Caption:
    """A RunnerJob's: the job's name at GitHub, and why it has its priority."""
    return Caption(f"{name or 'job'} of {repo}"[:LONGEST], f"priority {priority}: {why}\n\n{url}")


def semaphore(repo: str) -> Caption:
    """A RepoSemaphore's."""
    return Caption(
        f"permits of {repo}"[:LONGEST],
        "Hands out the permits that the Fleet allots to this repository.\n\n"
        "Queries `state` (holders, waiters in order) and `waiter` (a job's place in line). "
        f"On the command line: `penstock jobs --repo {repo}`.",
    )


def some_of(repos: list[str]) -> str:
    """A summary that names them, or the first and how many more there are."""
    named = ", ".join(repos)
    return named if len(named) <= LONGEST else f"{repos[0]} and {len(repos) - 1} more"


def fleet_now(state: FleetState) -> str:
    """The Fleet in a few lines; while it drains, with those that hold the drain."""
    accounts = state.book.accounts.values()
    running = sum(account.likely_in_use for account in accounts)
    waiting = sum(account.backlog for account in accounts)
    cause = fleet.lowered_by(state)
    lines = [
        f"**{state.mode}**" + (f": {state.reason}" if state.reason else ""),
        "",
        f"running {running} of {fleet.capacity(state)}"
        + (f" ({cause})" if cause else "")
        + f", waiting {waiting}",
    ]
    silent = sorted(account.repo for account in accounts if account.silent)
    if silent:
        lines += ["", f"no answer, counted as in use: {some_of(silent)}"]
    elif not state.book.settled:
        lines += ["", "not every semaphore has answered this Fleet: nothing is raised before"]
    if state.mode == "draining":
        busy = [account for account in accounts if account.likely_in_use or account.backlog]
        busy.sort(key=lambda account: (-account.likely_in_use - account.backlog, account.repo))
        lines += ["", "It ends with these:" if busy else "Nothing runs and nothing waits.", ""]
        lines += [
            f"- {account.repo}: running {account.likely_in_use}, waiting {account.backlog}"
            for account in busy[:MOST]
        ]
        if len(busy) > MOST:
            lines.append(f"- and {len(busy) - MOST} more repositories")
    return "\n".join(lines).rstrip()


def semaphore_now(state: SemaphoreState) -> str:
    """A semaphore in a few lines, with the holders that have their permits longest."""
    head = (
        f"**{state.in_use} of {state.allotment} permits out**, {len(state.waiters)} waiting"
        if state.fleet_epoch
        else f"no word from the Fleet yet, {len(state.waiters)} waiting"
    )
    held = list(state.holders.values())  # in the order in which they were granted
    lines = [f"- job {job_of(lease.job)} holds {lease.id}" for lease in held[:MOST]]
    if len(held) > MOST:
        lines.append(f"- and {len(held) - MOST} more")
    return "\n".join([head, "", *lines]).rstrip()
