"""Paths of a RepoSemaphore."""

import itertools

from policy import names
from tests.record.paths.path import paths
from tests.record.run import Run


def claims(run: Run) -> list[dict[str, object]]:
    """What running jobs said to a semaphore without memory."""
    return [claim for answer in run.results("collect_claims") for claim in answer["claims"]]


def granted(run: Run) -> list[str]:
    """Jobs in the order of their grants."""
    return [target for name, target, _ in run.sent if name == "granted"]


def at_once(run: Run, signal: str) -> int:
    """The most signals of this name sent by one workflow task."""
    tasks: dict[str, int] = {}
    for event in run.of("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"):
        if event.attributes["signalName"] == signal:
            task = str(event.attributes["workflowTaskCompletedEventId"])
            tasks[task] = tasks.get(task, 0) + 1
    return max(tasks.values(), default=0)


def reaped(run: Run) -> list[str]:
    """Jobs that a look found closed."""
    return [job for answer in run.results("reap") for job in answer["jobs"]]


def falls(numbers: list[int]) -> bool:
    """Whether a number is less than the one before it."""
    return any(later < earlier for earlier, later in itertools.pairwise(numbers))


def asked(run: Run) -> dict[str, str]:
    """The priority of every job that asked, alone or with others."""
    asks = [
        *run.told("acquire"),
        *(ask for told in run.told("acquire_many") for ask in told.get("asks", [])),
    ]
    return {ask["job"]: ask.get("priority", "normal") for ask in asks}


def aged(run: Run) -> bool:
    """A low priority was granted before a higher one."""
    order, asks = granted(run), asked(run)
    first = next((job for job in order if asks.get(job) == "low"), None)
    return (
        first is not None
        and run.events["TIMER_FIRED"] > 0
        and any(asks[job] == "normal" and job not in order[: order.index(first)] for job in asks)
    )


SEMAPHORES = paths(
    names.REPO_SEMAPHORE,
    (
        "plain",
        "begun by its first job: nobody to ask, a report, an allotment, grants, releases",
        lambda run: (
            not run.carried
            and not claims(run)
            and bool(run.told("allot"))
            and bool(granted(run))
            and bool(run.told("release"))
            and not run.unheard
        ),
    ),
    (
        "asked-together",
        "jobs that arrive together ask by one signal; grants go out as a batch",
        lambda run: (
            any(len(told.get("asks", [])) > 1 for told in run.told("acquire_many"))
            and at_once(run, "granted") > 1
        ),
    ),
    (
        "left-while-waiting",
        "a waiter leaves the line",
        lambda run: any(not told["lease"] for told in run.told("release")),
    ),
    (
        "narrowed",
        "its allotment is taken back in part; what is in use stays",
        lambda run: falls([told["n"] for told in run.told("allot")]),
    ),
    (
        "stays-as-low-as-allotted",
        "more is in use than allotted when a new Fleet asks: what was lowered stays so",
        lambda run: "stays-as-low-as-allotted" in run.patches,
    ),
    (
        "went-on",
        "it goes on as a new run",
        lambda run: run.went_on and not run.versions,
    ),
    (
        "went-on-with-holders-and-waiters",
        "it goes on as a new run in the middle of the work",
        lambda run: (
            run.went_on and bool(run.ended_with["holders"]) and bool(run.ended_with["packed"])
        ),
    ),
    (
        "carried-on",
        "it begins with holders and waiters that a former run handed on",
        lambda run: (
            run.carried and bool(run.begun_with["holders"]) and bool(run.begun_with["packed"])
        ),
    ),
    (
        "carried-on-and-went-on",
        "one of the middle of a chain",
        lambda run: run.carried and run.went_on,
    ),
    (
        "task-failed-in-a-storm",
        "the server refuses its continue-as-new, because signals came: the task is made again",
        lambda run: run.task_failures["UNHANDLED_COMMAND"] > 0,
    ),
    (
        "closed-waiter",
        "it grants to a job that is closed: the permit is free for the next at once",
        lambda run: "granted" in run.unheard,
    ),
    (
        "terminated",
        "terminated in the middle of the work",
        lambda run: (
            run.status == "terminated" and bool(run.told("acquire") or run.told("acquire_many"))
        ),
    ),
    (
        "rebuilt",
        "begun without memory: running jobs say what they hold and want",
        lambda run: (
            any(c["lease"] for c in claims(run)) and any(c["waiting"] for c in claims(run))
        ),
    ),
    (
        "reaped",
        "the sweep takes the lease of a terminated job back at its second look",
        lambda run: len(reaped(run)) > 1 and bool(set(reaped(run))),
    ),
    (
        "nudges",
        "it tells jobs to look at the clock",
        lambda run: any(name == "nudge" for name, _, _ in run.sent),
    ),
    (
        "nudges-in-turns",
        "more waiters are late than it nudges at once",
        lambda run: "nudges-the-rest-in-a-minute" in run.patches,
    ),
    (
        "fleet-gone",
        "the Fleet heard no report: it is started anew",
        lambda run: "report" in run.unheard and run.did["ensure_fleet"] > 0,
    ),
    (
        "new-fleet",
        "the Fleet has a new epoch: it freezes at what is in use and reports",
        lambda run: len({told["fleet_epoch"] for told in run.told("allot")}) > 1,
    ),
    (
        "alarm",
        "its one alarm rings",
        lambda run: run.events["TIMER_FIRED"] > 0,
    ),
    (
        "not-before",
        "a waiter that wants no permit before a time",
        lambda run: any(told["not_before"] for told in run.told("acquire")),
    ),
    (
        "aged",
        "a job of low priority has waited so long that it goes before one that came later",
        aged,
    ),
    (
        "closed-as-idle",
        "idle for an hour: it tells the Fleet that it keeps nothing, and ends",
        lambda run: (
            run.status == "completed"
            and [message["closing"] for name, _, message in run.sent if name == "report"][-1:]
            == [True]
        ),
    ),
    (
        "moved-to-another-version",
        "another version of the workers is current: it goes on as a new run on that",
        lambda run: run.went_on and bool(run.versions),
    ),
    (
        "carried-to-another-version",
        "the run after that",
        lambda run: run.carried and bool(run.versions),
    ),
)
