"""What the parts of a recovery run have in common."""

from collections.abc import Iterable

from temporalio.client import Client
from temporalio.service import RPCError

from activities.errors import GitHubUnavailable, Waits
from activities.redaction import redacted
from activities.token_store import StoreUnavailable
from policy import names

# Whoever is asked next would answer the same: the part ends, what it did is kept. A refusal of
# GitHub's that concerns one webhook or repository (GitHubRefused) ends nothing.
ENDS = (Waits, GitHubUnavailable, StoreUnavailable, RPCError)
MOST_TOLD = 10
LONGEST_TOLD = 300
NEWEST_CLOSED = 1000


class Failures:
    """What went wrong in a part, in lines for its result; bounded."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: str, error: object) -> None:
        """Note it, unless there are enough."""
        if len(self.lines) < MOST_TOLD:
            self.lines.append(redacted(f"{where}: {error}")[:LONGEST_TOLD])


async def known_repos(client: Client, configured: Iterable[str]) -> list[str]:
    """Repositories with workflows in Temporal's list, and those configured; in order.

    Each repository with jobs has a semaphore, which runs or has run within Temporal's retention;
    jobs are looked at too, for what a crash left without one. Raises RPCError.
    """
    found = {repo.lower() for repo in configured}
    running = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Running'"
    closed = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus!='Running'"
    for query, most in (
        (f"WorkflowType='{names.REPO_SEMAPHORE}'", None),
        (running, None),
        (closed, NEWEST_CLOSED),
    ):
        async for one in client.list_workflows(query, limit=most):
            found.add(names.repo_of(one.id))
    return sorted(found)
