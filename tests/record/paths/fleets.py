"""Paths of the Fleet."""

from policy import names
from tests.record.paths.path import paths
from tests.record.paths.semaphores import falls
from tests.record.run import Run


def met(run: Run) -> list[str]:
    """Repositories whose semaphores a Fleet without memory found running."""
    return [repo for answer in run.results("list_semaphores") for repo in answer["repos"]]


def allotted(run: Run) -> list[int]:
    """Numbers of permits, in the order in which they were sent."""
    return [message["n"] for name, _, message in run.sent if name == "allot"]


def reported(run: Run, repo: str = "") -> bool:
    """Whether a semaphore reported."""
    return any(repo in told["repo"] for told in run.told("report"))


FLEETS = paths(
    names.FLEET,
    (
        "plain",
        "begun afresh, no semaphore runs; reports come, allotments go",
        lambda run: (
            not run.carried
            and run.did["list_semaphores"] == 1
            and not met(run)
            and bool(allotted(run))
            and reported(run)
            and not run.unheard
        ),
    ),
    (
        "taken-back",
        "what one repository does not use is taken back for another",
        lambda run: falls(allotted(run)),
    ),
    ("went-on", "it goes on as a new run", lambda run: run.went_on and not run.versions),
    (
        "carried-on",
        "it begins with the book that a former run handed on",
        lambda run: run.carried and bool(run.begun_with["packed"]) and reported(run),
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
        "terminated",
        "terminated in the middle of the work",
        lambda run: run.status == "terminated" and reported(run),
    ),
    (
        "rebuilt",
        "begun without a book: it finds the semaphores that run, and asks each",
        lambda run: not run.carried and bool(met(run)) and reported(run),
    ),
    (
        "operator-rebuilds",
        "an operator has it ask every semaphore anew",
        lambda run: bool(run.told("rebuild") or "rebuild" in dict(run.heard)) and bool(met(run)),
    ),
    (
        "semaphore-gone",
        "a semaphore cannot hear its allotment: it is revived",
        lambda run: "allot" in run.unheard and run.did["ensure_semaphores"] > 0,
    ),
    (
        "drained",
        "draining until nothing runs or waits, then resumed, which triggers a recovery",
        lambda run: (
            "drain" in dict(run.heard)
            and "resume" in dict(run.heard)
            and run.did["trigger_recovery"] > 0
            and reported(run)
        ),
    ),
    (
        "drain-deadline-leaves-the-rest",
        "a drain's deadline passes: the rest is left to end",
        lambda run: (
            any((told or {}).get("deadline_seconds") for told in run.told("drain"))
            and run.events["TIMER_FIRED"] > 0
            and not run.did["stop_runners"]
        ),
    ),
    (
        "drain-deadline-stops-the-rest",
        "a drain's deadline passes: maintenance, and every runner is stopped",
        lambda run: (
            any((told or {}).get("deadline_seconds") for told in run.told("drain"))
            and run.did["stop_runners"] > 0
        ),
    ),
    (
        "maintenance",
        "nothing is granted; then resumed",
        lambda run: (
            "maintenance" in dict(run.heard)
            and "resume" in dict(run.heard)
            and 0 in allotted(run)
            and not run.did["stop_runners"]
        ),
    ),
    (
        "maintenance-stops-runners",
        "an operator has every runner stopped",
        lambda run: (
            any((told or {}).get("stop_running") for told in run.told("maintenance"))
            and bool(run.results("stop_runners") or run.did["stop_runners"])
        ),
    ),
    (
        "modes-by-temporal-alone",
        "a mode set by a signal without an argument",
        lambda run: any(
            name in ("drain", "resume", "maintenance") and told is None for name, told in run.heard
        ),
    ),
    (
        "limits-changed",
        "limits are changed live",
        lambda run: run.updates["set_limits"] > 0 and reported(run),
    ),
    (
        "configured",
        "a worker tells the limits of its configuration",
        lambda run: bool(run.told("configure")),
    ),
    (
        "cooled-down",
        "GitHub paused an organization: it is granted nothing until then",
        lambda run: "cool_down" in dict(run.heard) and run.events["TIMER_FIRED"] > 0,
    ),
    (
        "narrowed-by-back-pressure",
        "fewer permits for a while, then all again",
        lambda run: {None, 1} <= {told["effective"] for told in run.told("limit_capacity")},
    ),
    (
        "launches-fail",
        "launches fail so often that the capacity is halved",
        lambda run: (
            sum(span["failed"] for told in run.told("launches") for span in told["spans"]) >= 20
        ),
    ),
    (
        "taken-back-by-use",
        "idle permits come back because more is in use than a lowered limit",
        lambda run: "takes-back-by-use" in run.patches,
    ),
    (
        "goes-on-without-a-semaphore",
        "a semaphore does not answer; after a minute it serves the others",
        lambda run: "goes-on-without-silent-semaphores" in run.patches,
    ),
    (
        "asks-for-lost-semaphores",
        "begun without a book; a semaphore that the former one knew was ended with it",
        lambda run: "asks-for-lost-semaphores" in run.patches,
    ),
    (
        "grants-nothing-while-over",
        "more is in use than a lowered limit lets: what is busy is lowered, too",
        lambda run: "grants-nothing-while-over" in run.patches,
    ),
    ("alarm", "its one alarm rings", lambda run: run.events["TIMER_FIRED"] > 0),
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
