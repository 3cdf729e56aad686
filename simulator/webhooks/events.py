"""The payloads: workflow_job and ping, complete as GitHub sends them (octokit/webhooks, WOAS)."""

from simulator.clock import stamp
from simulator.state import views
from simulator.state.model import Job, Json
from simulator.state.world import World
from simulator.webhooks.hooks import APP_HOOK

ZEN = "Keep it logically awesome."


def workflow_job(world: World, action: str, job: Job) -> Json:
    """A workflow_job event of this moment."""
    base, repo = world.base_url, job.run.repository
    installation = repo.installation
    payload: Json = {
        "action": action,
        "workflow_job": views.job(base, job),
        "repository": views.repository(base, repo),
        "organization": views.organization(base, installation.org, installation.account_id),
        "sender": views.user(base, "octo-dev", 583_231, "User"),
        "installation": {
            "id": installation.id,
            "node_id": views.node_id("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", installation.id),
        },
    }
    if job.run.environment or (job.status == "waiting" and action == "queued"):
        payload["deployment"] = _deployment(base, job)
    return payload


def ping(url: str, app_id: int, now: float) -> Json:
    """What GitHub sends when a hook is set up."""
    return {
        "zen": ZEN,
        "hook_id": APP_HOOK,
        "hook": {
            "type": "App",
            "id": APP_HOOK,
            "name": "web",
            "active": True,
            "app_id": app_id,
            "events": ["workflow_job"],
            "config": {
                "content_type": "json",
                "insecure_ssl": "0",
                "secret": "********",
                "url": url,
            },
            "updated_at": stamp(now),
            "created_at": stamp(now),
            "deliveries_url": "https://api.github.com/app/hook/deliveries",
        },
    }


def _deployment(base: str, job: Job) -> Json:
    """What the job deploys to; for a waiting one, the gate that it stands at."""
    environment = job.run.environment or "production"
    own = f"{base}/repos/{job.run.repository.full_name}"
    return {
        "url": f"{own}/deployments/{job.id}",
        "id": job.id,
        "node_id": views.node_id("DE", job.id),
        "task": "deploy",
        "original_environment": environment,
        "environment": environment,
        "description": None,
        "created_at": stamp(job.created_at),
        "updated_at": stamp(job.created_at),
        "statuses_url": f"{own}/deployments/{job.id}/statuses",
        "repository_url": own,
        "creator": views.user(base, "octo-dev", 583_231, "User"),
        "sha": job.run.head_sha,
        "ref": job.run.head_branch,
        "payload": {},
        "transient_environment": False,
        "production_environment": False,
        "performed_via_github_app": _actions_app(base, job.created_at),
    }


def _actions_app(base: str, at: float) -> Json:
    """GitHub Actions itself, which is an App too."""
    return {
        "id": 15368,
        "slug": "github-actions",
        "node_id": views.node_id("A", 15368),
        "owner": views.user(base, "github", 9919),
        "name": "GitHub Actions",
        "description": "Automate your workflow from idea to production",
        "external_url": "https://help.github.com/en/actions",
        "html_url": f"{base}/apps/github-actions",
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "permissions": {"actions": "write", "contents": "write", "metadata": "read"},
        "events": ["workflow_run"],
    }
