"""L6 no free permit idles beside an admissible waiter, L7 nobody starves."""

from checker import idle
from checker.evidence import Evidence, Violation


def no_idle_permit(evidence: Evidence) -> list[Violation]:
    """L6. No permit lies free for longer than `bounds.idle_permit` while somebody may have it.

    How that is read, and why it accuses nobody wrongly: checker/idle.py.
    """
    broken: list[Violation] = []
    bound = evidence.bounds.idle_permit
    for repo, begin, end in idle.moments(evidence, bound):
        why = f"a permit lay free beside a waiter for {end - begin + bound:.3f} s"
        broken.append(Violation("L6", repo, begin, why))
    return broken


def no_starvation(evidence: Evidence) -> list[Violation]:
    """L7. Every waiter is granted or leaves.

    At rest nobody waits any more; before that nobody has waited for longer than `bounds.wait`.
    """
    broken: list[Violation] = []
    for wait in evidence.permits.waits:
        end = idle.end_of(evidence, wait)
        if end is not None:
            continue
        waited = evidence.now - wait.eligible_at
        if evidence.at_rest or waited > evidence.bounds.wait:
            why = f"it has waited for {waited:.1f} s and waits still"
            broken.append(Violation("L7", wait.job, wait.since, why))
    return broken
