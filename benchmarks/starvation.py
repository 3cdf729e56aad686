"""How long the lowest job waits beside endless urgent work, in virtual time on the real policies.

The bound: three steps of ageing bring any job into the top level; there only jobs that came before
it are ahead, of which each repository has no more than its backlog at that time.
"""

import itertools

from benchmarks.virtual import VirtualSite
from policy.limits import Limits
from policy.priority import AGE_STEP_SECONDS

JOB_SECONDS = 60.0
BACKLOG = 3
BUSY = ("acme/a", "acme/b")


def longest_wait(low_repo: str, permits: int) -> tuple[float, float]:
    """Seconds that one low job waits beside endless critical ones, and the bound."""
    site = VirtualSite(Limits(permits, 1.0, permits), lambda _: JOB_SECONDS)
    made = itertools.count()

    def feed() -> None:
        for repo in BUSY:
            while repo not in site.semaphores or len(site.semaphores[repo].waiters) < BACKLOG:
                site.ask(repo, "critical", f"{repo}#{next(made)}")

    for _ in range(2 * permits):
        feed()
        site.settle()
        site.go_on()
    site.ask(low_repo, "low", "the low one")
    began = site.now
    ahead = sum(len(site.semaphores[repo].waiters) for repo in BUSY) + permits
    bound = 3 * AGE_STEP_SECONDS + JOB_SECONDS * (1 + -(-ahead // permits))
    while "the low one" not in site.granted and site.now - began < 10 * bound:
        feed()
        site.settle()
        site.go_on()
    return site.granted.get("the low one", float("inf")) - began, bound
