"""How GitHub writes accounts, repositories, runners, jobs and runs in JSON (OAS)."""

import base64

from simulator.clock import stamp, stamp_or_none
from simulator.state.model import Job, Json, Repository, Run, Runner

_PLAIN = (
    "forks", "teams", "hooks", "events", "tags", "languages", "stargazers", "contributors",
    "subscribers", "subscription", "merges", "downloads", "deployments",
)  # fmt: skip
_TEMPLATES = {
    "keys_url": "keys{/key_id}",
    "collaborators_url": "collaborators{/collaborator}",
    "issue_events_url": "issues/events{/number}",
    "assignees_url": "assignees{/user}",
    "branches_url": "branches{/branch}",
    "blobs_url": "git/blobs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "trees_url": "git/trees{/sha}",
    "statuses_url": "statuses/{sha}",
    "commits_url": "commits{/sha}",
    "git_commits_url": "git/commits{/sha}",
    "comments_url": "comments{/number}",
    "issue_comment_url": "issues/comments{/number}",
    "contents_url": "contents/{+path}",
    "compare_url": "compare/{base}...{head}",
    "archive_url": "{archive_format}{/ref}",
    "issues_url": "issues{/number}",
    "pulls_url": "pulls{/number}",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "labels_url": "labels{/name}",
    "releases_url": "releases{/id}",
}


def node_id(kind: str, number: int) -> str:
    """An opaque global id."""
    return f"{kind}_{base64.urlsafe_b64encode(number.to_bytes(8, 'big')).decode().rstrip('=')}"


def user(base: str, login: str, number: int, kind: str = "Organization") -> Json:
    """An account as it stands in other objects (`simple-user`)."""
    own = f"{base}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": node_id("O" if kind == "Organization" else "U", number),
        "avatar_url": f"{base}/avatars/u/{number}?v=4",
        "gravatar_id": "",
        "url": own,
        "html_url": f"{base}/{login}",
        "followers_url": f"{own}/followers",
        "following_url": f"{own}/following{{/other_user}}",
        "gists_url": f"{own}/gists{{/gist_id}}",
        "starred_url": f"{own}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{own}/subscriptions",
        "organizations_url": f"{own}/orgs",
        "repos_url": f"{own}/repos",
        "events_url": f"{own}/events{{/privacy}}",
        "received_events_url": f"{own}/received_events",
        "type": kind,
        "site_admin": False,
    }


def organization(base: str, login: str, number: int) -> Json:
    """An organization beside an event (`organization-simple`)."""
    own = f"{base}/orgs/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": node_id("O", number),
        "url": own,
        "repos_url": f"{own}/repos",
        "events_url": f"{own}/events",
        "hooks_url": f"{own}/hooks",
        "issues_url": f"{own}/issues",
        "members_url": f"{own}/members{{/member}}",
        "public_members_url": f"{own}/public_members{{/member}}",
        "avatar_url": f"{base}/avatars/u/{number}?v=4",
        "description": None,
    }


def repository(base: str, repo: Repository) -> Json:
    """A repository in full; made once, for nothing in it changes."""
    if repo.rendered is not None:
        return repo.rendered
    own, page, created = (
        f"{base}/repos/{repo.full_name}",
        f"{base}/{repo.full_name}",
        stamp(repo.created_at),
    )
    links = {f"{word}_url": f"{own}/{word}" for word in _PLAIN}
    links |= {name: f"{own}/{template}" for name, template in _TEMPLATES.items()}
    repo.rendered = {
        "id": repo.id,
        "node_id": node_id("R", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": True,
        "owner": user(base, repo.owner, repo.installation.account_id),
        "html_url": page,
        "description": None,
        "fork": False,
        "url": own,
        **links,
        "created_at": created,
        "updated_at": created,
        "pushed_at": created,
        "git_url": f"git://127.0.0.1/{repo.full_name}.git",
        "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "homepage": None,
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "language": "Python",
        "has_issues": True,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": True,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 0,
        "mirror_url": None,
        "archived": False,
        "disabled": False,
        "open_issues_count": 0,
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": [],
        "visibility": "private",
        "forks": 0,
        "open_issues": 0,
        "watchers": 0,
        "default_branch": repo.default_branch,
        "custom_properties": {},
    }
    return repo.rendered


def runner(one: Runner) -> Json:
    """A self-hosted runner; labels it brought by default are read-only."""
    labels = [{"name": name, "type": "read-only"} for name in one.default_labels]
    labels += [{"name": name, "type": "custom"} for name in one.labels]
    return {
        "id": one.id,
        "name": one.name,
        "os": "Linux" if one.connected_at is not None or not one.jit else "unknown",
        "status": one.status,
        "busy": one.busy,
        "ephemeral": one.ephemeral,
        "runner_group_id": one.group_id,
        "labels": [{"id": number, **label} for number, label in enumerate(labels, start=1)],
    }


def job(base: str, one: Job) -> Json:
    """A job; the API and the webhook write it alike."""
    full_name = one.run.repository.full_name
    own = f"{base}/repos/{full_name}"
    begun = one.started_at or one.queued_at or one.created_at
    return {
        "id": one.id,
        "run_id": one.run.id,
        "workflow_name": one.run.workflow_name,
        "head_branch": one.run.head_branch,
        "run_url": f"{own}/actions/runs/{one.run.id}",
        "run_attempt": one.attempt,
        "node_id": node_id("CR", one.id),
        "head_sha": one.run.head_sha,
        "url": f"{own}/actions/jobs/{one.id}",
        "html_url": f"{base}/{full_name}/actions/runs/{one.run.id}/job/{one.id}",
        "status": one.status,
        "conclusion": one.conclusion,
        "created_at": stamp(one.created_at),
        "started_at": stamp(begun),
        "completed_at": stamp_or_none(one.completed_at),
        "name": one.name,
        "steps": _steps(one),
        "check_run_url": f"{own}/check-runs/{one.id}",
        "labels": list(one.labels),
        "runner_id": one.runner_id,
        "runner_name": one.runner_name,
        "runner_group_id": one.runner_group_id,
        "runner_group_name": one.runner_group_name,
    }


def _steps(one: Job) -> list[Json]:
    if one.times_run == 0:
        return []
    begun, ended = stamp_or_none(one.started_at), stamp_or_none(one.completed_at)
    setup = {"name": "Set up job", "number": 1, "started_at": begun}
    if one.completed_at is None:
        return [setup | {"status": "in_progress", "conclusion": None, "completed_at": None}]
    done = {"status": "completed", "started_at": begun, "completed_at": ended}
    return [
        setup | done | {"conclusion": "success"},
        {"name": "Run work", "number": 2, **done, "conclusion": one.conclusion},
        {"name": "Complete job", "number": 3, **done, "conclusion": "success"},
    ]


def run_state(run: Run) -> tuple[str, str | None]:
    """Status and conclusion of a run, from its latest jobs."""
    jobs = run.latest()
    states = {one.status for one in jobs}
    if states <= {"completed"}:
        ends = {one.conclusion for one in jobs}
        worst = next(
            (end for end in ("cancelled", "failure", "timed_out") if end in ends), "success"
        )
        return "completed", "skipped" if ends == {"skipped"} else worst
    if states & {"in_progress", "completed"}:
        return "in_progress", None
    return ("waiting" if states == {"waiting"} else "queued"), None


def run(base: str, one: Run) -> Json:
    """A workflow run."""
    repo = repository(base, one.repository)
    own, (status, conclusion) = f"{repo['url']}/actions/runs/{one.id}", run_state(one)
    actor = user(base, "octo-dev", 583_231, "User")
    return {
        "id": one.id,
        "name": one.workflow_name,
        "node_id": node_id("WFR", one.id),
        "head_branch": one.head_branch,
        "head_sha": one.head_sha,
        "path": ".github/workflows/ci.yml",
        "display_title": one.workflow_name,
        "run_number": one.number,
        "event": one.event,
        "status": status,
        "conclusion": conclusion,
        "workflow_id": one.workflow_id,
        "check_suite_id": one.id + 1,
        "check_suite_node_id": node_id("CS", one.id + 1),
        "url": own,
        "html_url": f"{repo['html_url']}/actions/runs/{one.id}",
        "pull_requests": [],
        "created_at": stamp(one.created_at),
        "updated_at": stamp(one.updated_at),
        "actor": actor,
        "run_attempt": one.attempt,
        "referenced_workflows": [],
        "run_started_at": stamp(one.created_at),
        "triggering_actor": actor,
        "jobs_url": f"{own}/jobs",
        "logs_url": f"{own}/logs",
        "check_suite_url": f"{repo['url']}/check-suites/{one.id + 1}",
        "artifacts_url": f"{own}/artifacts",
        "cancel_url": f"{own}/cancel",
        "rerun_url": f"{own}/rerun",
        "previous_attempt_url": f"{own}/attempts/{one.attempt - 1}" if one.attempt > 1 else None,
        "workflow_url": f"{repo['url']}/actions/workflows/{one.workflow_id}",
        "head_commit": None,
        "repository": repo,
        "head_repository": repo,
    }
