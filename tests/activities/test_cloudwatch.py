"""What CloudWatch is told, read back from moto; what moto never says, by botocore's Stubber."""

import asyncio
import json
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber

import settings as configuration
import wiring_metrics
from activities.clients.aws import Aws, AwsError
from activities.clients.cloudwatch import CloudWatchSink
from activities.publisher import Pace, Publisher, PublishFailed
from policy import cloudwatch
from policy.alarms import alarms
from policy.cloudwatch import Datum
from policy.figures import Distribution, Figure
from policy.thresholds import Thresholds
from tests.policy.test_alarms import SIX

TOPIC = "arn:aws:sns:eu-central-1:123456789012:on-call"


def stubbed(monkeypatch) -> tuple:
    """A client whose answers the test gives."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    client = Aws("eu-central-1", "http://127.0.0.1:9").cloudwatch()
    return client, Stubber(client)


def publisher(sink, figures, **pace) -> Publisher:
    """One that tells what the list holds when it is asked."""

    async def read():
        return list(figures)

    return Publisher(sink, read, time.time, Pace(**pace))


async def measured(client, namespace: str, name: str, statistic: str, **dimensions: str) -> float:
    """One statistic of the last minutes."""
    now = datetime.now(UTC)
    found = await asyncio.to_thread(
        client.get_metric_statistics,
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=30),
        Period=7200,
        Statistics=[statistic],
    )
    return sum(point[statistic] for point in found["Datapoints"])


async def test_what_is_told_can_be_read_back(aws):
    """Gauges, differences of counters, distributions; the rest as one; never twice."""
    client, space = aws.cloudwatch(), "Told"
    told = [
        Figure("penstock_fleet_running", 3),
        Figure("penstock_repo_limit", 2, ("acme/a",)),
        Figure("penstock_repo_waiting", 5, ("acme/a",)),
        Figure("penstock_repo_limit", 2, ("acme/b",)),
        Figure("penstock_repo_waiting", 4, ("acme/b",)),
        Figure("penstock_gateway_refusals", 7, ("depth",)),
        Distribution("penstock_launch_seconds", {0.5: 3, 2.0: 1}),
    ]
    its = publisher(CloudWatchSink(client, space), told, repositories=1)
    assert await its.tell()
    told[5] = Figure("penstock_gateway_refusals", 9, ("depth",))
    assert await its.tell()
    assert await measured(client, space, "Running", "Maximum") == 3
    of = {"Repository": "acme/a"}
    assert await measured(client, space, "RepositoryWaiting", "Maximum", **of) == 5
    of = {"Repository": "other"}
    assert await measured(client, space, "RepositoryWaiting", "Maximum", **of) == 4
    assert await measured(client, space, "Refusals", "Sum", Cause="depth") == 9
    assert await measured(client, space, "LaunchLatency", "SampleCount") == 4
    assert await measured(client, space, "LaunchLatency", "Sum") == 3.5
    listed = await asyncio.to_thread(client.list_metrics, Namespace=space)
    names = {
        tuple(d["Value"] for d in one["Dimensions"])
        for one in listed["Metrics"]
        if one["MetricName"].startswith("Repository")
    }
    assert names == {("acme/a",), ("other",)}


async def test_a_call_may_be_as_large_as_a_call_can_be(aws):
    """A thousand metrics, and the next one in a second call."""
    client, space = aws.cloudwatch(), "Many"
    told = [Figure("penstock_repo_limit", n, (f"acme/{n:04}",)) for n in range(1001)]
    assert await publisher(CloudWatchSink(client, space), told, repositories=2000).tell()
    of = {"Repository": "acme/1000"}
    assert await measured(client, space, "RepositoryLimit", "Maximum", **of) == 1000


async def test_a_call_is_no_larger_than_was_reckoned(aws, monkeypatch):
    """As it goes over the wire, uncompressed: names as long and awkward as they can be."""
    monkeypatch.setenv("AWS_DISABLE_REQUEST_COMPRESSION", "true")
    client, sizes = aws.cloudwatch(), []

    def measure(request, **_):
        sizes.append(len(request.body))

    client.meta.events.register("before-send.cloudwatch.PutMetricData", measure)
    repos = [f"{n:04}" + "/" * 300 for n in range(600)]
    told = [Figure("penstock_repo_limit", 2.123456789012345, (repo,)) for repo in repos]
    told.append(Distribution("penstock_launch_seconds", {n / 7: 123456789 for n in range(1, 400)}))
    every = cloudwatch.data(told, {})
    sink = CloudWatchSink(client, "Sizes")
    assert len(cloudwatch.batches(every)) > 1
    every = [datum for datum in every if len(datum.values) == 1]  # moto counts one by one
    for batch in cloudwatch.batches(every):
        await sink.put(batch, time.time())
        assert sizes[-1] < min(1_000_000, sum(datum.size for datum in batch))


async def test_throttled_it_says_so_once_and_loses_no_count(monkeypatch, caplog):
    """Tried again with the next; nobody else hears of it."""
    caplog.set_level(logging.INFO, "activities.publisher")
    client, stub = stubbed(monkeypatch)
    told = [Figure("penstock_github_points", 7)]
    its = publisher(CloudWatchSink(client, "Penstock"), told)
    with stub:
        for code in ("Throttling", "AccessDenied"):
            # Botocore tries twice of itself only what comes over the wire.
            stub.add_client_error("put_metric_data", code, http_status_code=400)
            assert not await its.tell()
        told[0] = Figure("penstock_github_points", 9)
        stub.add_response(
            "put_metric_data",
            {},
            {
                "Namespace": "Penstock",
                "MetricData": [
                    {
                        "MetricName": "GitHubPoints",
                        "Unit": "Count",
                        "Timestamp": ANY,
                        "Dimensions": [],
                        "Value": 9.0,
                    }
                ],
            },
        )
        assert await its.tell()
        stub.assert_no_pending_responses()
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert "Throttling" in said[0]
    assert said[1] == "CloudWatch is told metrics again"


async def test_what_cannot_be_sent_is_said_with_its_mend(monkeypatch):
    """No right, no network."""
    client, stub = stubbed(monkeypatch)
    sink, data = CloudWatchSink(client, "Penstock"), [Datum("Running", "Count", ((1.0, 1),))]
    with stub:
        stub.add_client_error("put_metric_data", "AccessDenied", http_status_code=403)
        with pytest.raises(PublishFailed, match="AccessDenied: the role wants cloudwatch:Put"):
            await sink.put(data, 0.0)
    with pytest.raises(PublishFailed, match=EndpointConnectionError.__name__):
        await sink.put(data, 0.0)


async def test_a_fault_of_our_own_ends_no_loop(caplog):
    """It is in the log with its trace, and the next round comes."""
    rounds: asyncio.Queue[None] = asyncio.Queue()

    async def broken():
        rounds.put_nowait(None)
        raise ZeroDivisionError("ours")

    its = Publisher(None, broken, time.time, Pace(period=0.0))  # type: ignore[arg-type]
    task = asyncio.create_task(its.run())
    for _ in range(3):
        await rounds.get()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (record,) = [r for r in caplog.records if r.name == "activities.publisher"]
    assert record.exc_info


def settings_of(aws: Aws, **table):
    """A configuration that names moto."""
    return configuration.load(
        aws={"region": aws.region, "endpoint_url": aws.endpoint_url},
        pressure={"max_queue_depth": 12, "max_error_rate": 0.25},
        cloudwatch={"namespace": "Ours", "alarm_prefix": "its-", **table},
    )


async def test_alarms_are_made_and_then_left_alone(aws, monkeypatch, tmp_path):
    """A look first; the user's thresholds; a change mends one, and an operator's actions stay."""
    monkeypatch.chdir(tmp_path)
    client, settings = aws.cloudwatch(), settings_of(aws)
    would = await wiring_metrics.make_alarms(settings, dry_run=True)
    assert len(would) == 6
    assert all(said.endswith(": new") for said in would)

    async def there():
        found = await asyncio.to_thread(client.describe_alarms, AlarmNamePrefix="its-")
        return {one["AlarmName"].removeprefix("its-"): one for one in found["MetricAlarms"]}

    assert await there() == {}
    assert await wiring_metrics.make_alarms(settings) == would
    assert await wiring_metrics.make_alarms(settings) == []
    made = await there()
    assert set(made) == SIX
    assert made["high-queue-depth"]["Threshold"] == 12.0
    assert made["high-queue-depth"]["Namespace"] == "Ours"
    assert made["error-rate"]["Threshold"] == 0.25
    for alarm in alarms(Thresholds()):
        assert made[alarm.name]["TreatMissingData"] == alarm.missing
        assert made[alarm.name]["EvaluationPeriods"] == alarm.periods
    await asyncio.to_thread(
        client.put_metric_alarm,
        **{
            **{k: made["draining-active"][k] for k in KEYS if k in made["draining-active"]},
            "Threshold": 9.0,
            "AlarmActions": [TOPIC],
        },
    )
    await asyncio.to_thread(client.disable_alarm_actions, AlarmNames=["its-draining-active"])
    assert await wiring_metrics.make_alarms(settings) == [
        "alarm its-draining-active: Threshold 9.0 → 1.0"
    ]
    mended = (await there())["draining-active"]
    assert (mended["Threshold"], mended["AlarmActions"]) == (1.0, [TOPIC])
    assert not mended["ActionsEnabled"]
    with_topic = settings_of(aws, alarm_topic_arn=TOPIC)
    said = await wiring_metrics.make_alarms(with_topic)
    assert len(said) == 6
    assert "alarm its-error-rate: AlarmActions changed, OKActions changed" in said
    assert await wiring_metrics.make_alarms(with_topic) == []
    assert all(one["AlarmActions"] == [TOPIC] for one in (await there()).values())


KEYS = (
    *("AlarmName", "AlarmDescription", "ComparisonOperator", "EvaluationPeriods", "Period"),
    *("DatapointsToAlarm", "TreatMissingData", "Namespace", "MetricName", "Dimensions"),
    "Statistic",
)


async def test_the_dashboard_is_made_and_then_left_alone(aws, monkeypatch, tmp_path):
    """A look first; what somebody changed is changed back."""
    monkeypatch.chdir(tmp_path)
    client, settings = aws.cloudwatch(), settings_of(aws, dashboard="Ours")
    assert await wiring_metrics.make_dashboard(settings, dry_run=True) == ["dashboard Ours: new"]
    assert await wiring_metrics.make_dashboard(settings) == ["dashboard Ours: new"]
    assert await wiring_metrics.make_dashboard(settings) == []
    found = await asyncio.to_thread(client.get_dashboard, DashboardName="Ours")
    body = json.loads(found["DashboardBody"])
    assert body["widgets"][0]["properties"]["metrics"][0] == [
        "Ours",
        "Running",
        {"stat": "Maximum"},
    ]
    other = '{"widgets": []}'
    await asyncio.to_thread(client.put_dashboard, DashboardName="Ours", DashboardBody=other)
    assert await wiring_metrics.make_dashboard(settings) == ["dashboard Ours: changed"]


async def test_what_aws_refuses_of_them_is_said(monkeypatch):
    """With the rights that are wanted."""
    from activities.clients import alarms as alarm_client
    from activities.clients import dashboard

    client, stub = stubbed(monkeypatch)
    with stub:
        stub.add_client_error("describe_alarms", "AccessDenied", http_status_code=403)
        with pytest.raises(AwsError, match="AccessDenied: it wants cloudwatch:DescribeAlarms"):
            await alarm_client.make(client, alarms(Thresholds()), namespace="P", prefix="p-")
        stub.add_client_error("get_dashboard", "AccessDenied", http_status_code=403)
        with pytest.raises(AwsError, match="AccessDenied: it wants cloudwatch:GetDashboard"):
            await dashboard.make(client, "P", namespace="P", period=60)
        stub.add_client_error("get_dashboard", "ResourceNotFound", http_status_code=404)
        stub.add_response(
            "put_dashboard", {"DashboardValidationMessages": [{"Message": "too wide"}]}
        )
        with pytest.raises(AwsError, match="dashboard P: too wide"):
            await dashboard.make(client, "P", namespace="P", period=60)
