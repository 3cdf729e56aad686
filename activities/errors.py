"""Errors of the outside world in Penstock's words, and how Temporal is to treat each of them.

| error             | GitHub's answer         | tried again                                  |
|-------------------|-------------------------|----------------------------------------------|
| GitHubUnavailable | 5xx, silence, nonsense  | by Temporal, 1 s doubling to 30 s            |
| RateLimited       | 403 or 429, a limit of  | by Temporal at GitHub's time; beyond 30 s by |
|                   | the hour, or of bursts  | the job, which gives its permit back first   |
| GitHubPermission  | 401, other 403          | by the job, after 1 min doubling to 10 min:  |
| GitHubNotFound    | 404, 410                | an operator can mend these meanwhile         |
| GitHubConflict    | 409 (not of a JIT name) | as those                                     |
| GitHubInvalid     | 400, 422, any other 4xx | never: it counts as a launch that failed     |

| error             | the provider's answer   | tried again                                  |
|-------------------|-------------------------|----------------------------------------------|
| LaunchUnavailable | no capacity, throttled, | by Temporal a few times; then by the job,    |
|                   | a quota used up         | which gives its permit back first            |
| LaunchRefused     | never, as asked         | never: it counts as a launch that failed     |
| any other         | silence, 5xx            | by Temporal, for ten minutes; then the job   |
|                   |                         | sees off whatever may have started           |
"""

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.redaction import redacted
from policy.throttle import Kind

TOKEN_DEFERRED = "TokenDeferred"  # noqa: S105 - an error type
TOKEN_MISSING = "TokenMissing"  # noqa: S105 - an error type
GITHUB_REFUSED = "GitHubRefused"
GITHUB_INVALID = "GitHubInvalid"
LAUNCH_REFUSED = "LaunchRefused"
LAUNCH_UNAVAILABLE = "LaunchUnavailable"

# A wait longer than this is not waited in an activity: the job gives its permit back meanwhile.
LONGEST_RETRY_SECONDS = 30.0


class GitHubError(Exception):
    """GitHub did not do what was asked. Its message carries no credential."""


class GitHubRefused(GitHubError):
    """GitHub understood and said no: asking again at once is in vain."""


class GitHubPermission(GitHubRefused):
    """A wrong credential (401), or one that may not do this (403)."""


class GitHubNotFound(GitHubRefused):
    """No such thing, or none that we may see."""


class GitHubConflict(GitHubRefused):
    """It exists already, or something else stands in the way (409)."""


class GitHubInvalid(GitHubRefused):
    """The call itself is wrong, or GitHub will not do it in this state (400, 422)."""


class GitHubUnavailable(GitHubError):
    """A 5xx answer, a time-out or a broken connection: worth another try."""


class Waits(Exception):
    """Not now: `until` (epoch seconds) says when."""

    def __init__(self, until: float, why: str) -> None:
        super().__init__(why)
        self.until = until


class RateLimited(Waits, GitHubError):
    """GitHub asked us to keep still until a time, or would at the next call.

    `kind`: the primary limit, counted by the hour, or a secondary one, against bursts.
    """

    def __init__(self, until: float, kind: Kind, why: str = "") -> None:
        super().__init__(until, why or f"GitHub's {kind} rate limit is used up")
        self.kind: Kind = kind


class Deferred(Waits):
    """Our own measure says: not before a time."""

    def __init__(self, until: float, why: str = "the budget of GitHub calls is used up") -> None:
        super().__init__(until, why)


class LaunchRefused(Exception):
    """The provider will never start this runner as asked; the message says why."""


class LaunchUnavailable(Exception):
    """The provider has no room for it now: nothing was started; the message says why."""


class ProviderUnavailable(OSError):
    """Whoever runs the runners does not answer: nobody knows what lives, or has started."""


def deferred(error: Waits, now: float) -> ApplicationError:
    """Wait inside the activity's retries if it is short; else let the workflow queue again."""
    retry_after = max(0.0, error.until - now)
    if isinstance(error, RateLimited):
        retry_after = max(1.0, retry_after)  # GitHub's times are whole seconds
    return ApplicationError(
        f"{error}: the next GitHub call may go in {retry_after:.0f} s",
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


def refused(error: GitHubRefused | LaunchRefused) -> ApplicationError:
    """A refusal that no retry of the activity mends; its type says what the job does then."""
    kind = LAUNCH_REFUSED if isinstance(error, LaunchRefused) else GITHUB_REFUSED
    if isinstance(error, GitHubInvalid):
        kind = GITHUB_INVALID
    return ApplicationError(redacted(str(error)), type=kind, non_retryable=True)


def unavailable(error: LaunchUnavailable, *, last: bool) -> ApplicationError:
    """No room at the provider; after the `last` try the job waits without its permit."""
    return ApplicationError(redacted(str(error)), type=LAUNCH_UNAVAILABLE, non_retryable=last)
