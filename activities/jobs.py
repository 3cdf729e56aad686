"""GitHub's own word on a job, for when its events did not come."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio import activity

from activities.errors import GitHubRefused, Waits, deferred, refused
from activities.github import GitHub, JobRecord


@dataclass(frozen=True)
class JobQuestion:
    """Which job."""

    repo: str
    job_id: str


class JobActivities:
    """Asks GitHub about jobs."""

    def __init__(self, github: GitHub, clock: Callable[[], float]) -> None:
        self._github = github
        self._clock = clock

    @activity.defn(name="look_up_job")
    async def look_up_job(self, question: JobQuestion) -> JobRecord:
        """The job's status at GitHub; `missing` if GitHub knows no such job."""
        try:
            return await self._github.job(question.repo, question.job_id)
        except Waits as error:
            raise deferred(error, self._clock()) from None
        except GitHubRefused as error:
            raise refused(error) from None
