"""GitHub's lists of workflow runs and their jobs, a page at a time."""

from typing import Any, cast

from activities.clients.github import GitHubClient
from activities.clients.github.answers import object_in, time_of
from activities.queued_jobs import JobsPage, RunAtGitHub, RunsPage
from policy.recovery import JobAtGitHub

MOST = "100"  # on a page


class GitHubWork:
    """The adapter of the port activities/queued_jobs.py. One method, one request."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def now(self) -> float:
        """As the port says."""
        return self._client.http.clock()

    async def runs(self, repo: str, status: str, page: int) -> RunsPage:
        """GET /repos/{owner}/{repo}/actions/runs?status=…: GitHub shows the newest thousand."""
        params = {"status": status, "per_page": MOST, "page": str(page)}
        path = f"/repos/{repo}/actions/runs"
        response = await self._client.ask(repo, "GET", path, 200, params=params)
        found = cast(list[dict[str, Any]], object_in(response).get("workflow_runs") or [])
        more = self._client.http.next_page(response) is not None
        return RunsPage([_run(one) for one in found], more)

    async def jobs(self, repo: str, run: int, page: int) -> JobsPage:
        """GET …/runs/{id}/jobs?filter=latest."""
        params = {"filter": "latest", "per_page": MOST, "page": str(page)}
        path = f"/repos/{repo}/actions/runs/{run}/jobs"
        response = await self._client.ask(repo, "GET", path, 200, params=params)
        found = cast(list[dict[str, Any]], object_in(response).get("jobs") or [])
        more = self._client.http.next_page(response) is not None
        return JobsPage([_job(one) for one in found], more)


def _run(one: dict[str, Any]) -> RunAtGitHub:
    repository = cast(dict[str, Any], one.get("repository") or {})
    return RunAtGitHub(int(one["id"]), str(repository.get("default_branch") or ""))


def _job(one: dict[str, Any]) -> JobAtGitHub:
    return JobAtGitHub(
        id=int(one["id"]),
        status=str(one.get("status") or ""),
        labels=[str(label) for label in cast(list[object], one.get("labels") or [])],
        # `started_at` of a queued job is when it was queued; older GitHubs tell nothing else.
        created_at=time_of(one.get("created_at")) or time_of(one.get("started_at")) or 0.0,
        name=str(one.get("name") or ""),
        url=str(one.get("html_url") or ""),
        branch=str(one.get("head_branch") or ""),
        workflow=str(one.get("workflow_name") or ""),
    )
