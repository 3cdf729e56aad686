"""L1 every job has an explained end, L2 in one workflow, L3 with one live runner at a time."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from checker.evidence import Evidence, Violation
from checker.jobs import JobRun
from checker.simulated import SimulatedJob

OUTCOMES = ("completed", "cancelled", "stopped", "failed", "expired")  # the design, section 5
UNKNOWN_CONCLUSIONS = ("", "unknown")  # GitHub did not say, or knows the job no more


def explained_end(evidence: Evidence) -> list[Violation]:
    """L1. Each job that GitHub shows for our labels has a RunnerJob, and its end is explained.

    A result with a known outcome explains, a failure needs its reason, an operator's termination
    the reason given with it. The conclusion must be GitHub's. Skipped jobs never queue. Jobs
    without a workflow, and open workflows, are violations only when all is at rest.
    """
    at_github = {job.id: job for job in evidence.simulated.jobs} if evidence.simulated else {}
    broken: list[Violation] = []
    known: set[str] = set()
    for job in evidence.jobs.values():
        known.add(job.job_id)
        why = _unexplained(job, at_github.get(job.job_id), evidence.at_rest)
        if why:
            broken.append(Violation("L1", job.workflow_id, job.last.events[-1].time, why))
    for job in at_github.values():
        ours = bool(job.labels) and set(job.labels) <= evidence.labels
        queued = job.queued_at is not None and job.conclusion != "skipped"
        if evidence.at_rest and ours and queued and job.id not in known:
            broken.append(
                Violation("L1", f"job {job.id}", job.queued_at or 0.0, "it has no workflow")
            )
    return broken


def _unexplained(job: JobRun, at_github: SimulatedJob | None, at_rest: bool) -> str:
    """Why the end is not explained; empty if it is."""
    last = job.last
    if last.status == "running":
        return "its workflow is still open" if at_rest else ""
    if last.status == "terminated":
        return "" if last.events[-1].attributes.get("reason") else "terminated without a reason"
    result: dict[str, Any] | None = job.result
    if result is None:
        return f"its workflow is {last.status} and has no result"
    outcome, conclusion = str(result.get("outcome")), str(result.get("conclusion") or "")
    if outcome not in OUTCOMES:
        return f"its outcome is {outcome!r}"
    if outcome == "failed" and not result.get("reason"):
        return "it failed for no reason given"
    if conclusion not in UNKNOWN_CONCLUSIONS and at_github and at_github.conclusion != conclusion:
        return f"it ended as {conclusion!r}, at GitHub as {at_github.conclusion!r}"
    return ""


def one_workflow(evidence: Evidence) -> list[Violation]:
    """L2. At most one RunnerJob a job id, a chain of runs counting as one."""
    chains: dict[str, dict[tuple[str, str], float]] = {}
    for job in evidence.jobs.values():
        for run in job.histories:
            chain = (job.workflow_id, run.first_run_id)
            chains.setdefault(job.job_id, {}).setdefault(chain, run.started_at)
    return [
        Violation("L2", f"job {job_id}", max(found.values()), f"it has {len(found)} workflows")
        for job_id, found in chains.items()
        if len(found) > 1
    ]


def one_runner(evidence: Evidence) -> list[Violation]:
    """L3. One live runner a workflow at a time, and one process a launch.

    Two successful launches under one name must have found the same process; a name registers
    once at a time; a workflow's next runner begins after the one before has ended.
    """
    broken: dict[str, Violation] = {}
    for job in evidence.jobs.values():
        providers: dict[str, str] = {}
        for launch in job.launches:
            known = providers.setdefault(launch.name, launch.provider_id)
            if launch.provider_id and known and launch.provider_id != known:
                why = f"launched twice: {known} and {launch.provider_id}"
                broken[launch.name] = Violation("L3", launch.name, launch.scheduled_at, why)
            providers[launch.name] = known or launch.provider_id
    lives: dict[str, list[tuple[float, float, str]]] = {}
    for runner in evidence.runners:
        until = float("inf") if runner.until is None else runner.until
        owner = runner.workflow_id or runner.name
        lives.setdefault(owner, []).append((runner.since, until, runner.name))
    for overlap in _overlaps(lives.values()):
        broken.setdefault(overlap.subject, overlap)
    return list(broken.values())


def _overlaps(lives: Iterable[list[tuple[float, float, str]]]) -> Iterable[Violation]:
    for of_one in lives:
        for before, after in pairwise(sorted(of_one)):
            if after[0] < before[1]:
                yield Violation("L3", after[2], after[0], f"it began while {before[2]} lived")
