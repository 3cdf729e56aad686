"""Workflow runs and their jobs: look, cancel, run again."""

from functools import partial

from simulator.github.api import Call, Endpoint, Endpoints, not_found
from simulator.state import views
from simulator.state.jobs import JobConflictError
from simulator.state.model import Job, Run
from simulator.web import Answer, ApiError

MAX_FILTERED = 1000  # a filtered list shows no more (docs:list-workflow-runs)
READ, WRITE = ("actions", "read"), ("actions", "write")


def register(routes: Endpoints) -> None:
    """Add this file's paths."""
    actions = "/repos/{owner}/{repo}/actions"
    run = f"{actions}/runs/{{id}}"
    routes.add("GET", f"{actions}/jobs/{{id}}", Endpoint(handler=get_job, needs=READ))
    routes.add("GET", f"{actions}/runs", Endpoint(handler=list_runs, needs=READ))
    routes.add("GET", run, Endpoint(handler=get_run, needs=READ))
    routes.add("GET", f"{run}/jobs", Endpoint(handler=list_jobs, needs=READ))
    attempt = f"{run}/attempts/{{attempt}}/jobs"
    routes.add("GET", attempt, Endpoint(handler=list_attempt, needs=READ))
    routes.add("POST", f"{run}/cancel", Endpoint(handler=cancel, needs=WRITE))
    again = f"{run}/rerun-failed-jobs"
    routes.add("POST", again, Endpoint(handler=rerun_failed, needs=WRITE))
    routes.add("POST", f"{run}/rerun", Endpoint(handler=rerun_all, needs=WRITE))


def get_job(call: Call) -> Answer:
    """One job."""
    repo, job = call.repository(), call.back.jobs.by_id.get(call.id("id"))
    if job is None or job.run.repository is not repo:
        raise not_found()
    return Answer(200, views.job(call.back.world.base_url, job))


def list_runs(call: Call) -> Answer:
    """The repository's runs, newest first; `status` takes a status or a conclusion."""
    repo, wanted = call.repository(), call.request.query.get("status")
    runs = [one for one in reversed(repo.runs) if not wanted or wanted in views.run_state(one)]
    if wanted:
        runs = runs[:MAX_FILTERED]
    base = call.back.world.base_url
    return call.page("workflow_runs", [partial(views.run, base, one) for one in runs])


def get_run(call: Call) -> Answer:
    """One run."""
    return Answer(200, views.run(call.back.world.base_url, _run(call)))


def list_jobs(call: Call) -> Answer:
    """The jobs of a run: of its latest attempt, or (`filter=all`) of every one."""
    run = _run(call)
    every = call.request.query.get("filter", "latest") == "all"
    return _jobs(call, run.jobs if every else run.latest())


def list_attempt(call: Call) -> Answer:
    """The jobs of one attempt."""
    run, attempt = _run(call), call.id("attempt")
    if not 1 <= attempt <= run.attempt:
        raise not_found()
    return _jobs(call, [job for job in run.jobs if job.attempt == attempt])


def cancel(call: Call) -> Answer:
    """Cancel what has not ended; 409 when all has."""
    open_jobs = [job for job in _run(call).latest() if job.status != "completed"]
    if not open_jobs:
        raise ApiError(409, "Cannot cancel a workflow run that is completed.")
    for job in open_jobs:
        call.back.jobs.cancel(job)
    return Answer(202, {})


def rerun_failed(call: Call) -> Answer:
    """Run again what did not succeed."""
    run = _run(call)
    failed = [job for job in run.latest() if job.conclusion not in ("success", "skipped")]
    return _rerun(call, run, failed)


def rerun_all(call: Call) -> Answer:
    """Run everything again."""
    run = _run(call)
    return _rerun(call, run, run.latest())


def _rerun(call: Call, run: Run, jobs: list[Job]) -> Answer:
    try:
        call.back.jobs.rerun(run, jobs)
    except JobConflictError:
        text = "This workflow run cannot be retried"
        raise ApiError(403, text) from None
    return Answer(201, {})


def _jobs(call: Call, jobs: list[Job]) -> Answer:
    base = call.back.world.base_url
    return call.page("jobs", [partial(views.job, base, job) for job in jobs])


def _run(call: Call) -> Run:
    repo, run = call.repository(), call.back.world.runs.get(call.id("id"))
    if run is None or run.repository is not repo:
        raise not_found()
    return run
