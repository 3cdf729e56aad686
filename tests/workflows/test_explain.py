"""A waiting job says which limit holds it, its place in line, and how long it may take."""

import pytest

import worker
from api import explain as explain_module
from api import silence
from api.explain import JobSilent, UnknownJob, explain
from policy import names
from policy.fleet import CapacityChange
from policy.messages import Release
from tests.support import until
from tests.workflows import changed
from workflows.repo_semaphore import RepoSemaphore


async def waiting(stack, repo: str, job: int, limit: str) -> dict:
    """The explanation, once the job waits for this reason."""

    async def told():
        try:
            answer = await explain(stack.client, repo, str(job))
        except (JobSilent, UnknownJob):
            return None
        return answer if answer.get("limit") == limit else None

    return await until(told)


async def running(stack, repo: str, count: int = 1) -> None:
    """Jobs that hold their permits, one after another: none takes another's runner."""
    for _ in range(count):
        (job,) = await stack.site.jobs(repo, seconds=60.0)
        assert await stack.site.wait("job_started", job_id=job)


async def test_each_limit_is_named_where_it_holds(penstock):
    """Repository, share, organization, fleet, back-pressure, cool-down, maintenance."""
    stack = await penstock(
        limits={
            "max_runners": 6,
            "max_repo_share": 0.5,
            "default": 1,
            "repos": {"acme/wide": 5},
            "orgs": {"beta": 1},
        }
    )
    fleet = stack.client.get_workflow_handle(names.FLEET_ID)
    await running(stack, "acme/api")
    (first,) = await stack.site.jobs("acme/api", seconds=60.0)
    await waiting(stack, "acme/api", first, "repo")  # two webhooks at once may overtake each other
    (second,) = await stack.site.jobs("acme/api", seconds=60.0)
    told = await waiting(stack, "acme/api", second, "repo")
    assert (told["position"], told["waiting_in_repo"], told["state"]) == (2, 2, "queued")
    assert told["why"] == ("2 of 2 in line of acme/api; acme/api is at its limit of 1 (1 in use)")
    assert 0 < told["estimate"]["p50"] <= told["estimate"]["p90"]
    assert (told["priority"], told["priority_now"]) == ("high", "high")
    assert (await waiting(stack, "acme/api", first, "repo"))["position"] == 1

    await running(stack, "acme/wide", 3)
    (job,) = await stack.site.jobs("acme/wide")
    assert "its share of the fleet, 3" in (await waiting(stack, "acme/wide", job, "share"))["why"]

    await running(stack, "beta/one")
    (job,) = await stack.site.jobs("beta/two")
    told = await waiting(stack, "beta/two", job, "org")
    assert "beta is at its limit of 1 (beta/one 1)" in told["why"]

    await running(stack, "gamma/one")
    (job,) = await stack.site.jobs("gamma/two")
    told = await waiting(stack, "gamma/two", job, "fleet")
    assert "all 6 permits of the fleet are out (acme/wide 3," in told["why"]

    await fleet.signal("limit_capacity", CapacityChange(2, "launches fail"))
    told = await waiting(stack, "gamma/two", job, "back-pressure")
    assert told["why"].endswith("holds the fleet at 2 of 6: launches fail")

    await fleet.signal("cool_down", args=["gamma", 4e9])
    told = await waiting(stack, "gamma/two", job, "cool-down")
    assert told["estimate"]["p50"] > 1e9

    await stack.admin("PUT", "draining", mode="maintenance", reason="new disks")
    told = await waiting(stack, "gamma/two", job, "mode")
    assert "maintenance (new disks)" in told["why"]
    assert told["estimate"] is None


async def test_a_job_that_does_not_wait_says_where_it_is(penstock):
    """Running, ended, and never heard of."""
    stack = await penstock()
    (job,) = await stack.site.jobs("acme/api", seconds=2.0)
    await stack.site.wait("job_started", job_id=job)

    async def in_progress():
        told = await explain(stack.client, "Acme/API", str(job))
        return told if told["state"] == "in_progress" else None

    told = await until(in_progress)
    assert told["permit"] == "held"
    assert told["runner"] == {"name": f"penstock-{job}-1", "state": "busy"}
    assert "limit" not in told
    await stack.result("acme/api", job)
    told = await explain(stack.client, "acme/api", str(job))
    assert (told["ended"], told["why"]) == ("completed", "its workflow has ended: completed")
    with pytest.raises(UnknownJob, match="no job 1 of acme/api is known"):
        await explain(stack.client, "acme/API", "1")


async def test_a_job_waits_for_a_semaphore_whose_tasks_fail(penstock, monkeypatch):
    """The gap says so: a release that does not fit, as in tests/workflows/test_rollback.py."""
    monkeypatch.setattr(silence, "TRIES", 2)  # the third try begins ten seconds later
    monkeypatch.setattr(explain_module, "PATIENCE_SECONDS", 2.0)
    stack = await penstock(limits={"default": 1})
    await running(stack, "acme/api")
    (job,) = await stack.site.jobs("acme/api")
    await waiting(stack, "acme/api", job, "repo")
    await stack.stop()
    mixed = [changed.SemaphoreWithATimer if w is RepoSemaphore else w for w in worker.WORKFLOWS]
    monkeypatch.setattr(worker, "WORKFLOWS", tuple(mixed))
    bad = await penstock(limits={"default": 1})
    handle = bad.client.get_workflow_handle(names.semaphore_id("acme/api"))
    await handle.signal("release", Release("runner-job/acme/api/0"))

    async def named() -> bool:
        why = (await explain(bad.client, "acme/api", str(job)))["why"]
        return "its semaphore does not answer: its workflow task has failed" in why

    await until(named)
