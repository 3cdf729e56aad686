"""All laws, in one call. L11 is the replay tests', L14 the metrics' own recount."""

from collections.abc import Callable

from checker.evidence import Evidence, Violation
from checker.laws import github, jobs, modes, permits, secrets, waiting

Law = Callable[[Evidence], list[Violation]]

LAWS: dict[str, tuple[Law, ...]] = {
    "L1": (jobs.explained_end,),
    "L2": (jobs.one_workflow,),
    "L3": (jobs.one_runner,),
    "L4": (permits.leases_within_limits, permits.runners_within_limits),
    "L5": (permits.every_lease_returns,),
    "L6": (waiting.no_idle_permit,),
    "L7": (waiting.no_starvation,),
    "L8": (github.limits_kept,),
    "L9": (modes.nothing_new,),
    "L10": (secrets.no_secret,),
    "L12": (github.debts_paid,),
    "L13": (github.no_orphans,),
}


def check(evidence: Evidence) -> list[Violation]:
    """The laws broken, in the order of their time; empty if all held."""
    broken = [one for laws in LAWS.values() for law in laws for one in law(evidence)]
    return sorted(broken, key=lambda one: (one.at, one.law, one.subject))
