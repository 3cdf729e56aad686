"""What this version does otherwise than a former one, where runs of that may still be replayed.

A run that took the other way before an upgrade goes on as it was: `patched` answers no to its
replay, and from then on for the whole run. A new run is marked when it comes to that point, once.
A patch may go when no run of the former version is open any more.
"""

from temporalio import workflow


def asks_first() -> bool:
    """GitHub is asked of a job whose runner ended without a word; it was launched for again."""
    return workflow.patched("github-asked-before-relaunch")


def resume_recovers() -> bool:
    """A `resume` triggers a recovery; it did not."""
    return workflow.patched("resume-triggers-recovery")


def goes_on_without() -> bool:
    """The Fleet waits a minute for a semaphore's first word; it waited for ever."""
    return workflow.patched("goes-on-without-silent-semaphores")


def signals_first() -> bool:
    """Limits change after the signals of the same workflow task; they did as they came.

    And maintenance is told to semaphores beside the loop; it waited for the loop.
    """
    return workflow.patched("limits-after-signals")


def takes_back_by_use() -> bool:
    """Idle allotments come back when more is in use than a lowered limit; they stayed."""
    return workflow.patched("takes-back-by-use")


def lowers_the_busy() -> bool:
    """Nobody grants again while more is in use than a limit lets; who kept a permit did."""
    return workflow.patched("grants-nothing-while-over")


def hears_late() -> bool:
    """Word of a job that a runner took counts after word of the runner's end; it did not."""
    return workflow.patched("hears-late-of-a-served-job")


def asks_for_the_lost() -> bool:
    """A Fleet begun afresh revives semaphores that the former one knew; it met those that run."""
    return workflow.patched("asks-for-lost-semaphores")


def nudges_the_rest() -> bool:
    """Of more late waiters than a look nudges, the rest comes a minute later; an hour it was."""
    return workflow.patched("nudges-the-rest-in-a-minute")


def stays_frozen() -> bool:
    """A new Fleet's word raises no allotment that was lowered; it rose to what was in use."""
    return workflow.patched("stays-as-low-as-allotted")
