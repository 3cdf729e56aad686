"""What becomes of one webhook: start, tell, ignore or refuse, and why."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from policy import names
from policy.labels import unknown


@dataclass(frozen=True)
class JobEvent:
    """One `workflow_job` event of which everything that we use is present and sane."""

    action: str  # queued, in_progress, completed
    owner: str
    repo: str  # owner/repo, lower case
    job_id: str
    labels: list[str] = field(default_factory=list[str])
    status: str = ""
    conclusion: str = ""
    runner_name: str = ""
    queued_at: float = 0.0  # epoch seconds; 0 if the event does not say
    name: str = ""
    url: str = ""
    # What priorities are derived from (policy/priority_rules.py); empty if the event does not say.
    branch: str = ""
    default_branch: str = ""
    workflow: str = ""
    environment: str = ""
    priority: str = ""


@dataclass(frozen=True)
class Rules:
    """Whose jobs, with which labels, are ours. Both are glob patterns."""

    labels: tuple[str, ...]
    owners: tuple[str, ...] = ("*",)

    @classmethod
    def of(cls, labels: list[str], owners: list[str]) -> "Rules":
        """Names of labels and owners do not mind case, as at GitHub."""
        return cls(
            tuple(label.lower() for label in labels),
            tuple(owner.lower() for owner in owners),
        )


@dataclass(frozen=True)
class Decision:
    """`start`: a job wants a runner. `tell`: an event of a job or runner that is, or was, ours.

    `ignore` is answered with 200, `refuse` with `status`; `cause` is why, in one word. `claims`:
    if no workflow knows the job, one is started all the same, so that a `queued` that comes late
    finds it closed or running.
    """

    do: Literal["start", "tell", "ignore", "refuse"]
    reason: str = ""
    status: int = 200
    cause: str = ""
    claims: bool = False


def decide(event: JobEvent, rules: Rules, mode: str) -> Decision:
    """The gateway's decision on one event in one mode.

    Events that free capacity (in_progress, completed) are never refused, in no mode.
    """
    if not any(fnmatchcase(event.owner.lower(), pattern) for pattern in rules.owners):
        return Decision("ignore", f"owner {event.owner} is not ours")
    offered = not unknown(event.labels, rules.labels)
    runner_is_ours = bool(names.job_of_runner(event.runner_name))
    if event.action in ("in_progress", "completed"):
        if event.labels and not offered and not runner_is_ours:
            return Decision("ignore", "its labels are not ours")
        # GitHub sends `completed` without labels at times: told, but no reason to claim the job.
        return Decision("tell", claims=bool(event.labels) and offered)
    if event.action != "queued":
        return Decision("ignore", f"nothing to do at action {event.action}")
    if not event.labels or not offered:
        return Decision("ignore", "its labels are not ours")
    if event.status not in ("queued", ""):
        return Decision("ignore", f"it is not queued but {event.status}")
    if mode == "draining":
        return Decision("refuse", "the system is draining", 503, mode)
    if mode == "maintenance":
        return Decision("refuse", "the system is in maintenance", 503, mode)
    return Decision("start")
