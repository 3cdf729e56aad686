"""Worker and gateway processes whose runners are ECS tasks: events, and a worker killed -9."""

import asyncio

import httpx
import pytest
from temporalio.service import RPCError

from api import keys
from checker import check
from demo.evidence import gather
from demo.scenario import LIMITS, RECOVERY, REPOS, Scenario
from policy import names
from policy.thresholds import Thresholds
from tests.activities.ecs_front import Fault, Listener, front
from tests.e2e import held
from tests.e2e.cluster import CONCURRENCY, TOKENS, Cluster
from tests.e2e.conftest import ended
from tests.e2e.planted import MARK, MARKED, found, known, tokens_in, unmarked
from tests.e2e.test_cluster import at_rest
from tests.support import ADMIN_KEY, PATIENCE, SLOW, replay, until

KEY, HASH = keys.create()


@pytest.fixture
async def ecs(aws, tmp_path):
    """ECS whose tasks run the simulator's runner."""
    async with front(aws, tmp_path / "ecs", runs=True) as made:
        await made.prepare()
        yield made


@pytest.fixture
async def cluster(request, tmp_path, site, server, ecs):
    """Not started yet; its AWS is behind the proxy."""
    made = Cluster(tmp_path / "cluster", site, server.running.address, ecs.aws)
    async with ended(request, made, ecs.moto):
        yield made


async def start(cluster, workers: int, poll_seconds: float, **more) -> None:
    """All of it, with ECS as the launcher."""
    how = {"limits": {"max_runners": 6}, **more}
    await cluster.start(
        workers=workers,
        runner={"launcher": "ecs"},
        ecs={
            "cluster": "runners",
            "task_definition": "runner",
            "launch_type": "FARGATE",
            "subnets": ["subnet-a"],
            "poll_seconds": poll_seconds,
            "event_key_hashes": [HASH],
            "handover_prefix": f"/penstock/{MARK}",
        },
        **how,
    )


async def all_well(cluster, client) -> None:
    """Every job ran once, nothing is left, every law held."""
    assert await cluster.site.wait("all_completed")
    await at_rest(client)
    made = (await cluster.site.call("GET", "jobs"))["jobs"]
    assert [job["times_run"] for job in made] == [1] * len(made)
    assert check(await gather(client, cluster.site, bounds=SLOW)) == []
    assert await replay(client)


def told_by(cluster) -> tuple[Listener, list[int]]:
    """EventBridge's API destination: each event comes twice; the answers."""
    heard: list[int] = []

    async def tell(event) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            for _ in range(2):  # EventBridge delivers at least once
                answer = await http.post(
                    f"{cluster.url}/events/ecs",
                    json=event,
                    headers={"Authorization": f"Bearer {KEY}"},
                )
                heard.append(answer.status_code)

    return tell, heard


async def test_the_demo_on_aws(cluster, client, ecs, aws):
    """Two workers, tokens and table on DynamoDB, runners on ECS, CloudWatch told; a kill -9.

    The ends of tasks come by events alone: nobody polls for five minutes. No secret is anywhere at
    AWS where it does not belong, and a mark is found wherever it was looked for.
    """
    limits = {key: value for key, value in LIMITS.items() if not isinstance(value, dict)}
    by_name = {
        f"limits.{key}": {f'"{name}"': n for name, n in value.items()}
        for key, value in LIMITS.items()
        if isinstance(value, dict)
    }
    await start(
        cluster,
        workers=2,
        poll_seconds=300.0,
        limits=limits,
        **by_name,
        recovery=RECOVERY,
        concurrency={"enabled": True, "every_seconds": 0.5},
        cloudwatch={
            "enabled": True,
            "period_seconds": 10,
            "alarm_prefix": f"{MARK}-",
            "dashboard": MARK,
        },
    )
    tell, heard = told_by(cluster)
    ecs.listeners.append(tell)
    await cluster.site.jobs(MARKED, seconds=0.2)
    demo = Scenario(cluster.site, client, cluster.url, ADMIN_KEY, lambda _: None, jobs=40)
    playing = asyncio.create_task(demo.play())
    assert await cluster.site.wait("jobs_completed", count=8)
    await cluster.kill_worker(0)
    await cluster.start_worker(2)
    await until(lambda: the_table_is_true(client, aws))
    await playing
    await at_rest(client)
    made = (await cluster.site.call("GET", "jobs"))["jobs"]
    assert [job["times_run"] for job in made] == [1] * len(made)
    evidence = await gather(client, cluster.site, bounds=SLOW)
    assert [violation for violation in check(evidence) if violation.law != "L6"] == []
    assert await replay(client)
    await until(lambda: the_table_is_true(client, aws))
    assert len(ecs.tasks) >= 40
    assert ecs.live == []
    assert set(heard) == {200}
    watch = aws.cloudwatch()
    told = await asyncio.to_thread(watch.list_metrics, Namespace="Penstock")
    assert len({metric["MetricName"] for metric in told["Metrics"]}) > 10
    alarms = (await asyncio.to_thread(watch.describe_alarms))["MetricAlarms"]
    thresholds = {alarm["AlarmName"]: alarm["Threshold"] for alarm in alarms}
    assert thresholds[f"{MARK}-high-queue-depth"] == Thresholds().max_queue_depth
    items = await held.in_tables(aws, TOKENS, CONCURRENCY)
    texts = {**held.texts(items), **await held.in_cloudwatch(aws), **held.at_ecs(ecs)}
    assert unmarked(texts) == set(), "a search that finds nothing there"
    assert found([*evidence.canaries, *cluster.canaries(), KEY], texts) == []
    kept = tokens_in(items[TOKENS], cluster.key)
    assert known(kept, evidence.canaries), "they are there, and sealed"


async def the_table_is_true(client, aws) -> bool:
    """Whether the table says of every repository what its semaphore says, at two looks of it."""

    async def truth() -> dict[str, tuple[int, int]]:
        said = {}
        for repo in (*REPOS, MARKED):
            try:
                state = await client.get_workflow_handle(names.semaphore_id(repo)).query(
                    "state", args=[0]
                )
            except RPCError:  # not started yet, or on its way from the dead worker to the other
                return {}
            said[repo] = (state["in_use"], state["waiting"])
        return said

    before = await truth()
    scan = await asyncio.to_thread(aws.dynamodb().scan, TableName=CONCURRENCY)
    table = {
        item["repository"]["S"]: (int(item["runningCount"]["N"]), int(item["waiting"]["N"]))
        for item in scan["Items"]
    }
    return before != {} and before == table == await truth()


async def test_a_worker_killed_between_run_task_and_its_report_has_one_task(cluster, client, ecs):
    """kill -9 while RunTask's answer is on its way: the next worker finds the task."""
    ecs.faults.append(Fault("RunTask", "hold"))
    await start(cluster, workers=1, poll_seconds=1.0)
    await cluster.site.jobs("acme/api", seconds=0.2)
    async with asyncio.timeout(PATIENCE):
        await ecs.reached.wait()
    await cluster.kill_worker(0)
    await cluster.start_worker(1)
    await all_well(cluster, client)
    assert len(ecs.tasks) == 1
