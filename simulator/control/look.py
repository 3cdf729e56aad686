"""Looking inside: jobs, runners, deliveries, calls, a summary."""

from simulator.control.api import Control, ControlRoutes
from simulator.state.model import Job, Json, Runner
from simulator.web import Answer, Request
from simulator.webhooks.delivery import Delivery


def register(routes: ControlRoutes) -> None:
    """Add this file's paths."""
    routes.add("GET", "/_control/jobs", jobs)
    routes.add("GET", "/_control/jobs/{id}", one_job)
    routes.add("GET", "/_control/runners", runners)
    routes.add("GET", "/_control/deliveries", deliveries)
    routes.add("GET", "/_control/calls", calls)
    routes.add("GET", "/_control/secrets", secrets)
    routes.add("GET", "/_control/summary", summary)


def jobs(control: Control, request: Request) -> Answer:
    """All jobs, oldest first."""
    shown = [_job(job) for job in control.back.jobs.by_id.values()]
    return Answer(200, {"jobs": _filtered(shown, request, ("status", "owner", "repo"))})


def one_job(control: Control, request: Request) -> Answer:
    """One job."""
    return Answer(200, _job(control.job(request)))


def runners(control: Control, request: Request) -> Answer:
    """Registered runners; with `all`, the removed ones first."""
    registry = control.back.registry
    shown = [*registry.removed.values()] if request.query.get("all") else []
    return Answer(200, {"runners": [_runner(one) for one in shown + registry.all()]})


def deliveries(control: Control, request: Request) -> Answer:
    """All attempts, in the order in which they ended."""
    shown = [_delivery(one) for one in control.back.log.all]
    names = ("event", "action", "job_id", "guid")
    return Answer(
        200,
        {
            "deliveries": _filtered(shown, request, names),
            "pending": control.back.sender.pending,
        },
    )


def calls(control: Control, request: Request) -> Answer:
    """All calls of GitHub's API, in the order of their answers."""
    prefix, since = request.query.get("path_prefix", ""), float(request.query.get("since", 0))
    shown = [
        one
        for one in control.gate.calls
        if one["path"].startswith(prefix) and one["time"] >= since
    ]
    return Answer(200, {"calls": shown})


def secrets(control: Control, _request: Request) -> Answer:
    """Every secret that this GitHub has given out, so that a test can look for them."""
    return Answer(200, {"secrets": list(control.back.world.secrets)})


def summary(control: Control, _request: Request) -> Answer:
    """The counts."""
    back = control.back
    count, log = back.jobs.count, back.log
    every = back.registry.all()
    return Answer(
        200,
        {
            "jobs": {
                name: count[name] for name in ("queued", "waiting", "in_progress", "completed")
            },
            "conclusions": dict(back.jobs.conclusions),
            "runners": {
                "online": sum(one.online for one in every),
                "busy": sum(one.busy for one in every),
                "offline": sum(not one.online for one in every),
            },
            "deliveries": {
                "total": len(log.all),
                "ok": log.ok,
                "failed": len(log.all) - log.ok,
                "pending": back.sender.pending,
            },
            "calls": {
                "total": len(control.gate.calls),
                "limited": back.rates.limited,
                "too_early": len(back.rates.early),
                "early": [round(seconds, 3) for seconds in back.rates.early],
            },
            "now": back.world.clock.now(),
        },
    )


def _filtered(items: list[Json], request: Request, names: tuple[str, ...]) -> list[Json]:
    wanted = {name: request.query[name] for name in names if name in request.query}
    if not wanted:
        return items
    return [item for item in items if all(str(item[n]) == value for n, value in wanted.items())]


def _job(job: Job) -> Json:
    return {
        "id": job.id,
        "run_id": job.run.id,
        "run_attempt": job.attempt,
        "owner": job.run.repository.owner,
        "repo": job.run.repository.name,
        "name": job.name,
        "labels": list(job.labels),
        "status": job.status,
        "conclusion": job.conclusion,
        "runner_id": job.runner_id,
        "runner_name": job.runner_name,
        "created_at": job.created_at,
        "queued_at": job.queued_at,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "times_run": job.times_run,
        "seconds": job.seconds,
    }


def _runner(one: Runner) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "scope": str(one.scope),
        "labels": [*one.default_labels, *one.labels],
        "ephemeral": one.ephemeral,
        "jit": one.jit,
        "status": one.status,
        "busy": one.busy,
        "job_id": None if one.job is None else one.job.id,
        "registered_at": one.registered_at,
        "connected_at": one.connected_at,
        "removed_at": one.removed_at,
        "removed_why": one.removed_why,
    }


def _delivery(one: Delivery) -> Json:
    view = one.view()
    del view["throttled_at"]
    more = {"job_id": one.job_id, "fault": one.fault, "delivered_at": one.delivered_at}
    return view | more | {"hook_id": one.hook.id}
