"""Law 14: metrics are what a recount finds, on a real Temporal server with real jobs."""

from collections import Counter
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import Client
from temporalio.worker import Worker

import settings as configuration
import wiring_metrics
from activities.fleet_metrics import FleetReader
from embedded import ports
from policy import metrics, names
from policy.figures import Figure
from settings import InvalidSettings
from tests.activities.aws import ENVIRONMENT
from tests.activities.test_cloudwatch import measured
from tests.activities.told_fleet import ToldFleet
from tests.api.gate import stop_at_once
from tests.policy.test_figures import TOLD
from tests.support import PATIENCE, job_payload, until

LIMITS = {
    "max_runners": 6,
    "max_repo_share": 0.5,
    "default": 2,
    "repos": {"acme/b": 1},
    "orgs": {"beta": 1},
}


async def scraped(url: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values."""
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        text = (await http.get(url)).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for one in text_string_to_metric_families(text)
        for sample in one.samples
    }


async def recount(client: Client) -> dict[tuple[str, str], int]:
    """Jobs by repository and by what each says of its permit, one after another."""
    found: Counter[tuple[str, str]] = Counter()
    async for job in client.list_workflows(f"WorkflowType='{names.RUNNER_JOB}'"):
        told = await client.get_workflow_handle(job.id).query(
            "explain", result_type=dict[str, Any]
        )
        found[names.repo_of(job.id), str(told["permit"])] += 1
    return dict(found)


async def test_metrics_equal_a_recount_of_the_jobs(penstock, aws):
    """Of permits, waiters, launches, refusals; the same at Prometheus and at CloudWatch."""
    port = ports.free("127.0.0.1", 0)
    stack = await penstock(
        limits=LIMITS,
        worker={"metrics_port": port},
        aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
        cloudwatch={"enabled": True, "namespace": "Law14"},
    )
    site = stack.site
    for repo, number in (("acme/a", 2), ("acme/b", 1), ("beta/c", 1)):
        for _ in range(number):
            (job,) = await site.jobs(repo, seconds=120.0)
            assert await site.wait("job_started", job_id=job)
    # One by one: the Fleet hears of such small changes only now and then.
    for repo, number in (("acme/a", 8), ("beta/c", 2)):
        for _ in range(number):
            await site.jobs(repo, seconds=120.0)

    async def at_rest():
        found = await recount(stack.client)
        settled = {permit for _, permit in found} <= {"held", "waiting"}
        return found if sum(found.values()) == 14 and settled else None

    found = await until(at_rest)
    assert found == {
        ("acme/a", "held"): 2,
        ("acme/a", "waiting"): 8,
        ("acme/b", "held"): 1,
        ("beta/c", "held"): 1,
        ("beta/c", "waiting"): 2,
    }
    url = f"http://127.0.0.1:{port}/metrics"

    async def told_in_full():
        told = await scraped(url)  # the Fleet hears of the last permit a moment later
        known = [
            told.get(("penstock_fleet_running",)),
            told.get(("penstock_fleet_waiting",)),
            told.get(("penstock_launches_total", "ok")),
        ]
        return told if known == [4, 10, 4] else None

    told = await until(told_in_full)
    for repo in ("acme/a", "acme/b", "beta/c"):
        assert told["penstock_repo_running", repo] == found.get((repo, "held"), 0)
        assert told["penstock_repo_waiting", repo] == found.get((repo, "waiting"), 0)
    for org in ("acme", "beta"):
        for what, permit in (("running", "held"), ("waiting", "waiting")):
            number = sum(n for (r, p), n in found.items() if r.startswith(org) and p == permit)
            assert told[f"penstock_org_{what}", org] == number
    assert told["penstock_fleet_waiting",] == 10
    assert [told["penstock_repo_limit", r] for r in ("acme/a", "acme/b", "beta/c")] == [2, 1, 2]
    assert [told["penstock_org_limit", org] for org in ("acme", "beta")] == [6, 1]
    assert (told["penstock_fleet_capacity",], told["penstock_fleet_max_runners",]) == (6, 6)
    assert told["penstock_fleet_mode", "normal"] == 1
    assert told["penstock_temporal_up",] == told["penstock_fleet_up",] == 1
    # Each permit was launched for once, and the times of all launches are there.
    assert told["penstock_launches_total", "ok"] == 4
    assert told["penstock_launches_total", "failed"] == 0
    assert told["penstock_launch_seconds_count",] == 4
    assert 0 < told["penstock_launch_seconds_sum",] < 100
    assert told["penstock_token_lookups_total", "registration", "miss"] == 3
    # Asked once a minute, so perhaps when nothing ran; kept for the scrapes between.
    assert told["penstock_fleet_drain_estimate_seconds", "p90"] >= 0
    known = {name for family in metrics.ALL for name in family.exposed}
    assert {name for name, *_ in told} - known <= {"penstock_launch_seconds_created"}

    # Each refusal is counted once, by its cause, as there is one dead letter of each.
    await stack.client.get_workflow_handle(names.FLEET_ID).signal("drain")

    async def refuses():
        payload = job_payload("queued", 7000 + len(answers), "acme/a")
        answers.append((await stack.deliver(payload)).status_code)
        return answers[-1] == 503

    answers: list[int] = []
    await until(refuses)
    at_gateway = await scraped(f"{stack.url}/metrics")
    assert at_gateway["penstock_gateway_refusals_total", "draining"] == answers.count(503)
    letters = (await stack.admin("GET", "dead-letters")).json()
    assert len(letters["dead_letters"]) == answers.count(503)

    async def drains():  # asked within the same second, a worker tells the same
        return (await scraped(url))["penstock_fleet_mode", "draining"]

    assert await until(drains) == 1

    async def at_cloudwatch():  # told at the start; later minutes are not waited for
        return await measured(aws.cloudwatch(), "Law14", "TemporalReachable", "Minimum")

    assert await until(at_cloudwatch) == 1


async def test_a_fleet_that_does_not_answer_is_told_from_a_temporal_that_does_not(server, client):
    """No worker, no Fleet, no server."""
    reader = FleetReader(client, 50)
    told = {f.name: f.value for f in (await reader.read()).figures}
    assert told == {"penstock_temporal_up": True, "penstock_fleet_up": False}
    assert await reader.read() is await reader.read()
    await stop_at_once(server)
    gone = FleetReader(client, 50, patience=0.5)
    found = await gone.read()
    assert found.figures == [Figure("penstock_temporal_up", 0), Figure("penstock_fleet_up", 0)]


async def test_an_aws_that_is_not_there_harms_no_job(penstock, monkeypatch, caplog):
    """Gateway and worker say so once each, and serve."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    stack = await penstock(
        aws={"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:9"},
        cloudwatch={"enabled": True},
    )
    (job,) = await stack.site.jobs("acme/a", seconds=0.1)
    assert (await stack.result("acme/a", job))["outcome"] == "completed"
    said = [r.message for r in caplog.records if r.name == "activities.publisher"]
    assert len(said) == 2
    assert all("EndpointConnectionError" in one for one in said)


async def test_a_cloudwatch_without_a_region_is_said_at_the_start(monkeypatch, tmp_path):
    """One line that names the key and the mend."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    settings = configuration.load(state_dir=tmp_path, cloudwatch={"enabled": True})
    with pytest.raises(InvalidSettings, match=r"cloudwatch\.enabled: .*set aws\.region"):
        async with wiring_metrics.publishing_of(settings, list):
            pass


async def test_a_semaphore_that_does_not_answer_holds_up_no_reading(client):
    """The Fleet's word serves for its repository. The estimate is asked for once a minute."""
    repos = [["acme/gone", 1, 5, 2, 6, 9.0], ["acme/mute", 1, 4, 2, 6, 9.0]]
    fleet = await client.start_workflow(
        ToldFleet.run, {**TOLD, "repos": repos}, id=names.FLEET_ID, task_queue="told"
    )
    # Nobody works on the queue of this one.
    mute = names.semaphore_id("acme/mute")
    await client.start_workflow("RepoSemaphore", id=mute, task_queue="nobody's")
    seconds = 0.0
    reader = FleetReader(client, 1, lambda: seconds)
    async with Worker(client, task_queue="told", workflows=[ToldFleet]):
        for _ in range(3):
            reading = await reader.read()
            assert (reading.reachable, reading.exact) == (True, {})
            assert Figure("penstock_repo_waiting", 5, ("acme/gone",)) in reading.figures
            assert reading.told["drain"] == TOLD["drain"]
            seconds += 30.0
        assert await fleet.query(ToldFleet.asked) == [True, False, True]
        reading = await FleetReader(client, 2, patience=3.0).read()
        assert (reading.reachable, reading.exact) == (True, {})
        assert Figure("penstock_repo_waiting", 4, ("acme/mute",)) in reading.figures
