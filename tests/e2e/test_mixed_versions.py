"""Old and new side by side: an upgrade while jobs run, without worker versions and with them."""

import asyncio
import json
import signal

from temporalio.client import Client

from checker import check
from checker.history import History
from demo.evidence import gather
from policy import names
from tests.e2e.cluster import Cluster
from tests.e2e.process import TEMPORAL, run
from tests.e2e.released import unpack_last_release
from tests.e2e.test_cluster import at_rest
from tests.support import SLOW, replay, until

LIMITS = {"max_runners": 8, "max_repo_share": 1.0, "default": 3}


async def test_two_releases_serve_one_fleet(cluster: Cluster, client: Client, tmp_path):
    """The last release and this code side by side under load: workers first, then gateways.

    The new worker is killed, so that the old one goes on with what it began; then the old one is
    stopped, and the new one goes on with all. Then a new gateway stands beside the old one: events
    of one job come through either, those of one repository through both. All of it replays here.
    """
    old = await unpack_last_release(tmp_path)
    site = cluster.site
    # The last release lays its token table out otherwise: each worker has a store of its own.
    await cluster.write(1, tokens={"store": "memory"}, limits=LIMITS)
    code, said = await cluster.run("setup")
    assert code == 0, said
    old_worker = await cluster.begin_worker("old-worker", old)
    gateways = [await cluster.begin_gateway("old-gateway", old)]
    await site.point_at(gateways[0])
    new_worker = await cluster.begin_worker("new-worker")
    repos = [f"acme/r{n}" for n in range(4)]
    await asyncio.gather(*(site.jobs(repo, count=6, seconds=0.5) for repo in repos))
    assert await site.wait("jobs_completed", count=4)
    new_worker.kill()
    assert await site.wait("jobs_completed", count=12)
    await cluster.begin_worker("new-worker-again")
    await asyncio.gather(*(site.jobs(repo, count=2, seconds=0.2) for repo in repos))
    assert await site.wait("jobs_completed", count=16)
    old_worker.send_signal(signal.SIGTERM)

    gateways.append(await cluster.begin_gateway("new-gateway"))
    secret = (site.folder / "webhook-secret").read_text()
    hook = {"owner": "acme", "repo": "r1", "secret": secret}
    await site.call("POST", "hooks", **hook, url=f"{gateways[1]}/webhooks/github")
    await asyncio.gather(*(site.jobs(repo, count=2, seconds=0.2) for repo in repos))
    assert await site.wait("jobs_running")
    await site.point_at(gateways[1])
    await asyncio.gather(*(site.jobs(repo, count=2, seconds=0.2) for repo in repos))
    assert await site.wait("all_completed")
    await at_rest(client)
    evidence = await gather(client, site, bounds=SLOW)
    assert [v for v in check(evidence) if v.law != "L6"] == []
    assert await replay(client) >= 53
    served = {h.workflow_id: _processes(h) for h in evidence.histories}
    assert len(served["fleet"]) > 1, "the Fleet was on the old worker, and on a new one"
    assert sum(len(workers) > 1 for workers in served.values()) > 3, "and so were others"
    told = [_gateways(h) for h in evidence.histories if h.type == names.RUNNER_JOB]
    assert len(set().union(*told)) == 2, "both gateways told of jobs"
    assert any(len(gateways) == 2 for gateways in told), "and both of the same one"


async def test_workers_have_versions(cluster: Cluster, client: Client):
    """From workers without a version to v1, and to v2: jobs stay, Fleet and semaphores move.

    In the end the last worker of v1 is killed before its time: its job is moved to v2 by the
    command that docs/operations.md names.
    """
    site = cluster.site
    versioned = {"deployment_name": "penstock", "build_id": "v2"}
    await cluster.write(1, tokens={"store": "memory"}, limits=LIMITS, worker=versioned)
    code, said = await cluster.run("setup")
    assert code == 0, said
    no_version = {"PENSTOCK_WORKER__DEPLOYMENT_NAME": "", "PENSTOCK_WORKER__BUILD_ID": ""}
    plain = await cluster.begin_worker("plain", **no_version)
    await site.point_at(await cluster.begin_gateway("gateway"))
    plain_jobs = await site.jobs("acme/r0", count=2, seconds=8.0)
    assert await site.wait("jobs_running", count=2)

    code, said = await cluster.run("promote", "v1", "--wait", "0")
    assert (code, "no worker of penstock v1 serves" in said) == (1, True), said
    first = await cluster.begin_worker("first", PENSTOCK_WORKER__BUILD_ID="v1")
    code, said = await cluster.run("promote", "v1")
    assert code == 0, said
    plain.send_signal(signal.SIGTERM)
    v1_jobs = await site.jobs("acme/r1", count=2, seconds=4.0)
    v1_jobs += (moved := await site.jobs("acme/r2", seconds=600.0))
    for job in v1_jobs:
        assert await site.wait("job_started", job_id=job)

    await cluster.begin_worker("second")
    code, said = await cluster.run("promote")
    assert code == 0, said
    v2_jobs = [
        job for n in range(3) for job in await site.jobs(f"acme/r{n}", count=2, seconds=0.2)
    ]
    done = [*plain_jobs, *v1_jobs[:2], *v2_jobs]
    await until(lambda: _closed(client, len(done)))
    for build in ("v1", "v2"):  # back, and forth again
        code, said = await cluster.run("promote", build)
        assert code == 0, said
        await until(lambda build=build: _is_on(client, names.FLEET_ID, build))
    first.kill()
    found = json.loads((await cluster.run("versions", "-o", "json"))[1])
    assert [(v["build_id"], v["status"]) for v in found] == [("v1", "draining"), ("v2", "current")]
    assert found[0]["open_workflows"] == 1, "the job that is to be moved"
    code, said = await run(
        *(TEMPORAL, "workflow", "update-options", "--yes"),
        *("--query", "WorkflowType='RunnerJob' AND ExecutionStatus='Running'"),
        *("--versioning-override-behavior", "pinned"),
        *("--versioning-override-deployment-name", "penstock"),
        *("--versioning-override-build-id", "v2"),
        *("--address", client.service_client.config.target_host),
    )
    assert code == 0, said
    await site.call("POST", f"jobs/{moved[0]}/cancel")
    assert await site.wait("all_completed")
    await at_rest(client)

    evidence = await gather(client, site, bounds=SLOW)
    assert [v for v in check(evidence) if v.law != "L6"] == []
    assert await replay(client)
    builds = {job: set[str]() for job in (*done, *moved)}
    ends = dict[str, str]()
    for history in evidence.histories:
        if history.type == names.RUNNER_JOB:
            builds[int(names.job_of(history.workflow_id))] |= set(_builds(history))
        elif not history.closed:
            ends[history.workflow_id] = _builds(history)[-1]
    assert all("" in builds[job] for job in plain_jobs), "they began without a version"
    assert [builds[job] for job in v1_jobs] == [{"v1"}, {"v1"}, {"v1", "v2"}]
    assert [builds[job] for job in v2_jobs] == [{"v2"}] * 6
    assert ends == {"fleet": "v2", **{f"repo-semaphore/acme/r{n}": "v2" for n in range(3)}}


async def _closed(client: Client, number: int) -> bool:
    query = f"WorkflowType='{names.RUNNER_JOB}' AND ExecutionStatus='Completed'"
    return (await client.count_workflows(query)).count == number


async def _is_on(client: Client, workflow_id: str, build: str) -> bool:
    found = await client.get_workflow_handle(workflow_id).describe()
    versioning = found.raw_description.workflow_execution_info.versioning_info
    return versioning.deployment_version.build_id == build


def _builds(history: History) -> list[str]:
    """The versions that served it, in order; "" is none."""
    done = [event for event in history.events if event.type == "WORKFLOW_TASK_COMPLETED"]
    return [(event.attributes.get("deploymentVersion") or {}).get("buildId", "") for event in done]


def _processes(history: History) -> set[str]:
    """The worker processes that served it."""
    done = [event for event in history.events if event.type == "WORKFLOW_TASK_COMPLETED"]
    return {str(event.attributes.get("identity")) for event in done}


def _gateways(history: History) -> set[str]:
    """The gateway processes that told it of GitHub's events."""
    told = [event.attributes for event in history.events if event.type.endswith("SIGNALED")]
    return {str(a["identity"]) for a in told if a.get("signalName", "").startswith("job_")}
