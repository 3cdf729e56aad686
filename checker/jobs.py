"""RunnerJob workflows as the laws see them: start, permits, launches, end."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from checker.history import Event, History

# Failures of launch_runner from before anything is launched: the name is used for the next try.
NOTHING_BEGUN = ("TokenMissing", "TokenDeferred", "GitHubRefused", "LaunchUnavailable")
RUNNER_NAME = re.compile(r"penstock-(\d+)-(\d+)")  # the design's contract, section 11


@dataclass
class Launch:
    """One launch_runner activity. Times are epoch seconds, None until they happen."""

    name: str
    scheduled_at: float
    completed_at: float | None = None
    provider_id: str = ""
    gone_at: float | None = None  # told by runner_gone, or by retire_runner's answer `gone`


@dataclass
class JobRun:
    """One RunnerJob, all runs of its chain; `histories` in the order of their start."""

    workflow_id: str
    histories: list[History]
    asked: bool  # started by a queued event; False: by in_progress or completed
    grants: dict[str, float] = field(default_factory=dict[str, float])  # lease → first heard
    launches: list[Launch] = field(default_factory=list[Launch])

    @property
    def last(self) -> History:
        """The newest run, which says how it stands."""
        return self.histories[-1]

    @property
    def job_id(self) -> str:
        """GitHub's number of the job."""
        return self.workflow_id.rpartition("/")[2]

    @property
    def repo(self) -> str:
        """owner/repo, lower case."""
        return repo_of(self.workflow_id)

    @property
    def started_at(self) -> float:
        """Epoch seconds."""
        return self.histories[0].started_at

    @property
    def result(self) -> dict[str, Any] | None:
        """The workflow's result; None if it has none."""
        found = self.last.events[-1].result if self.last.status == "completed" else None
        return cast(dict[str, Any], found) if isinstance(found, dict) else None

    def permit_since(self, at: float) -> float:
        """When the newest permit known at that time was first heard of; `at` if there is none."""
        heard = sorted(self.grants.values())
        before = bisect_right(heard, at)
        return heard[before - 1] if before else at


def repo_of(workflow_id: str) -> str:
    """`owner/repo` of a RunnerJob's or RepoSemaphore's id."""
    return "/".join(workflow_id.split("/")[1:3])


def job_of_runner(name: str) -> str:
    """The job number in a runner's name; empty if the name is not Penstock's."""
    found = RUNNER_NAME.fullmatch(name)
    return found[1] if found else ""


def chains(histories: Iterable[History], kind: str) -> dict[str, list[History]]:
    """The runs of each workflow of a type, by workflow id, in the order of their start.

    A reset's run begins with a copy of the start: it comes after the run that ended by the reset.
    """
    found: dict[str, list[History]] = {}
    for history in histories:
        if history.type == kind:
            found.setdefault(history.workflow_id, []).append(history)
    for runs in found.values():
        runs.sort(key=lambda run: (run.started_at, run.events[-1].time))
    return found


def read(histories: Iterable[History]) -> dict[str, JobRun]:
    """All RunnerJobs by workflow id."""
    return {key: _read(key, runs) for key, runs in chains(histories, "RunnerJob").items()}


def _read(workflow_id: str, runs: list[History]) -> JobRun:
    given = table(runs[0].events[0].arguments)
    job = JobRun(workflow_id, runs, bool(given.get("asked", True)))
    for run in runs:
        # A reset run begins with a copy of the events before it: those are known already.
        known = {(launch.name, launch.scheduled_at) for launch in job.launches}
        _read_run(job, run, known)
    return job


def _read_run(job: JobRun, run: History, known: set[tuple[str, float]]) -> None:
    scheduled: dict[str, Event] = {}
    launches: dict[str, Launch] = {}
    for event in run.events:
        match event.type:
            case "WORKFLOW_EXECUTION_SIGNALED":
                _read_signal(job, event)
            case "ACTIVITY_TASK_SCHEDULED":
                scheduled[str(event.id)] = event
                if activity_name(event) == "launch_runner":
                    name = str(table(event.arguments).get("name", ""))
                    if (name, event.time) not in known:
                        launches[str(event.id)] = Launch(name, event.time)
                        job.launches.append(launches[str(event.id)])
            case "ACTIVITY_TASK_COMPLETED":
                number = str(event.attributes.get("scheduledEventId"))
                launch, act = launches.get(number), scheduled.get(number)
                answer = table([event.result])
                if launch:
                    launch.completed_at = event.time
                    launch.provider_id = str(answer.get("provider_id", ""))
                elif (
                    act
                    and activity_name(act) == "retire_runner"
                    and (answer.get("result") == "gone")
                ):
                    _gone(job, str(table(act.arguments).get("name", "")), event.time)
            case "ACTIVITY_TASK_FAILED":
                launch = launches.get(str(event.attributes.get("scheduledEventId")))
                if launch and _failure_type(event) in NOTHING_BEGUN:
                    job.launches.remove(launch)
            case _:
                pass


def _failure_type(event: Event) -> str:
    failure = event.attributes.get("failure", {})
    return str(failure.get("applicationFailureInfo", {}).get("type", ""))


def _read_signal(job: JobRun, event: Event) -> None:
    message = table(event.arguments)
    name = event.attributes.get("signalName")
    if name == "granted":
        job.grants.setdefault(str(message.get("lease", "")), event.time)
    elif name == "runner_gone":
        _gone(job, str(message.get("runner_name", "")), event.time)


def _gone(job: JobRun, name: str, at: float) -> None:
    for launch in job.launches:
        if launch.name == name and launch.gone_at is None:
            launch.gone_at = at


def activity_name(event: Event) -> str:
    """The type of a scheduled activity."""
    return str(event.attributes.get("activityType", {}).get("name", ""))


def table(values: list[Any]) -> dict[str, Any]:
    """The first of the values if it is an object, else an empty one."""
    first = values[0] if values else None
    return cast(dict[str, Any], first) if isinstance(first, dict) else {}
