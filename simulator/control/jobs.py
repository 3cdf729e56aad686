"""Control of jobs: make, approve, cancel, run again; and send lost deliveries again."""

from typing import Any

from simulator.control.api import Control, ControlRoutes, bad
from simulator.state.jobs import JobConflictError, JobOrder
from simulator.state.model import Job, Json
from simulator.web import Answer, ApiError, Request

_FIELDS = {
    "owner", "repo", "labels", "seconds", "count", "runs", "name", "head_branch",
    "workflow_name", "deliver", "conclusion", "default_branch", "event", "waiting",
    "environment",
}  # fmt: skip


def register(routes: ControlRoutes) -> None:
    """Add this file's paths."""
    routes.add("POST", "/_control/jobs", create)
    routes.add("POST", "/_control/jobs/{id}/approve", approve)
    routes.add("POST", "/_control/jobs/{id}/cancel", cancel)
    routes.add("POST", "/_control/jobs/{id}/rerun", rerun)
    routes.add("POST", "/_control/redeliver", redeliver)


def create(control: Control, request: Request) -> Answer:
    """Push something: one run of `count` jobs, or `count` runs of one."""
    body = request.json()
    unknown = set(body) - _FIELDS
    owner, repo, labels = body.get("owner"), body.get("repo"), body.get("labels")
    if unknown:
        raise bad(f"unknown: {', '.join(sorted(unknown))}")
    if not owner or not repo or not isinstance(labels, list) or not labels:
        raise bad("owner, repo and labels are wanted")
    repository = control.back.world.create_repository(
        str(owner), str(repo), str(body.get("default_branch", "main"))
    )
    order, count = _order(body, repository.default_branch), int(body.get("count", 1))
    sizes = [1] * count if body.get("runs") else [count]
    made = [job for size in sizes for job in control.back.jobs.create_run(repository, order, size)]
    return Answer(200, {"jobs": [_named(job) for job in made]})


def approve(control: Control, request: Request) -> Answer:
    """Open the deployment gate."""
    job = control.job(request)
    try:
        control.back.jobs.approve(job)
    except JobConflictError as error:
        raise ApiError(409, str(error)) from None
    return Answer(200, _named(job))


def cancel(control: Control, request: Request) -> Answer:
    """Cancel; a running job ends when its runner reports."""
    job = control.job(request)
    try:
        control.back.jobs.cancel(job)
    except JobConflictError as error:
        raise ApiError(409, str(error)) from None
    return Answer(200, {"id": job.id, "status": job.status, "conclusion": job.conclusion})


def rerun(control: Control, request: Request) -> Answer:
    """Run one job again, under a new id."""
    job, body = control.job(request), request.json()
    try:
        made = control.back.jobs.rerun(job.run, [job], body.get("seconds"), body.get("conclusion"))
    except JobConflictError as error:
        raise ApiError(409, str(error)) from None
    return Answer(200, {"jobs": [_named(one) for one in made]})


def redeliver(control: Control, request: Request) -> Answer:
    """What GitHub's own recovery script does: one redelivery per guid that was never accepted."""
    lost = control.back.log.unpaid()
    if not request.json().get("dry_run"):
        for delivery in lost:
            control.back.sender.redeliver(delivery)
    facts = [
        {
            "guid": one.guid,
            "id": one.id,
            "event": one.event,
            "action": one.action,
            "job_id": one.job_id,
        }
        for one in lost
    ]
    return Answer(200, {"redelivered": facts})


def _order(body: Json, default_branch: str) -> JobOrder:
    labels: list[Any] = body["labels"]
    waiting: Any = body.get("waiting") or ""
    return JobOrder(
        labels=tuple(str(label) for label in labels),
        seconds=float(body.get("seconds", 0.0)),
        name=str(body.get("name", "build")),
        conclusion=str(body.get("conclusion", "success")),
        head_branch=str(body.get("head_branch", default_branch)),
        workflow_name=str(body.get("workflow_name", "CI")),
        environment=str(body.get("environment", "")),
        event=str(body.get("event", "push")),
        deliver=bool(body.get("deliver", True)),
        waiting="waiting" if waiting is True else str(waiting),
    )


def _named(job: Job) -> Json:
    return {"id": job.id, "run_id": job.run.id}
