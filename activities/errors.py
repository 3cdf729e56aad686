"""Errors of the outside world in Penstock's words, and how Temporal is to treat each of them."""

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

TOKEN_DEFERRED = "TokenDeferred"  # noqa: S105 - an error type
TOKEN_MISSING = "TokenMissing"  # noqa: S105 - an error type
GITHUB_REFUSED = "GitHubRefused"
LAUNCH_REFUSED = "LaunchRefused"

# A wait longer than this is not waited in an activity: the job gives its permit back meanwhile.
LONGEST_RETRY_SECONDS = 30.0


class GitHubError(Exception):
    """GitHub did not do what was asked. Its message carries no credential."""


class GitHubRefused(GitHubError):
    """A wrong credential, a missing permission, or an invalid call: asking again is in vain."""


class GitHubNotFound(GitHubRefused):
    """No such thing, or none that we may see."""


class GitHubUnavailable(GitHubError):
    """A 5xx answer, a time-out or a broken connection: worth another try."""


class RateLimited(GitHubError):
    """GitHub asked us to keep still until a time (epoch seconds)."""

    def __init__(self, until: float) -> None:
        super().__init__("GitHub's rate limit is used up")
        self.until = until


class Deferred(Exception):
    """Our own budget says: not before so many seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the budget of GitHub calls is used up")
        self.retry_after = retry_after


class LaunchRefused(Exception):
    """The provider will never start this runner as asked; the message says why."""


def deferred(retry_after: float) -> ApplicationError:
    """Wait inside the activity's retries if it is short; else let the workflow queue again."""
    return ApplicationError(
        f"the next GitHub call may go in {retry_after:.0f} s",
        retry_after,
        type=TOKEN_DEFERRED,
        non_retryable=retry_after > LONGEST_RETRY_SECONDS,
        next_retry_delay=timedelta(seconds=retry_after + 0.01),
        category=ApplicationErrorCategory.BENIGN,
    )


def token_missing() -> ApplicationError:
    """No token is at hand: the job has one seen to, on the queue for that, and launches again."""
    return ApplicationError(
        "no runner token is at hand",
        type=TOKEN_MISSING,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def refused(error: Exception, kind: str) -> ApplicationError:
    """A refusal that no retry mends."""
    return ApplicationError(str(error), type=kind, non_retryable=True)
