"""The ECS launcher on moto's server behind a proxy that does what moto does not."""

import asyncio
import dataclasses
import json
import re

import pytest

from activities.clients.ecs import (
    EcsLauncher,
    Fleet,
    ManagedSecrets,
    ParameterSecrets,
    TaskEvents,
)
from activities.clients.ecs import launcher as module
from activities.errors import LaunchRefused, LaunchUnavailable, ProviderUnavailable
from activities.github import RunnerToken
from activities.runner_environment import RunnerHome
from activities.runners import LaunchRequest
from policy.placement import Profile
from tests.activities.ecs_front import CAPACITY, Fault, front

SECRET = "AN-UNMISTAKABLE-REGISTRATION-TOKEN"
TOKEN = RunnerToken(SECRET, 0.0, 9e9)
HOME = RunnerHome("https://github.test", "https://api.github.test")
SUBNETS = ("subnet-a", "subnet-b")
EVERYWHERE = Profile(
    task_definition="runner",
    providers=("FARGATE_SPOT", "FARGATE"),
    subnets=SUBNETS,
    security_groups=("sg-1",),
)
SECONDS = 20.0


@pytest.fixture(scope="module")
async def one_front(aws, tmp_path_factory):
    """The proxy, with a cluster, and its clients: they take longer to make than to use."""
    async with front(aws, tmp_path_factory.mktemp("ecs")) as made:
        await made.prepare()
        yield made, made.aws.ecs(), made.aws.ssm()


@pytest.fixture
async def ecs(one_front):
    """The proxy without tasks."""
    made, _, ssm = one_front
    await made.reset()
    for name in [name.rpartition("/")[2] for name in made.kept]:
        await asyncio.to_thread(ParameterSecrets(ssm, "/penstock/runners").delete, name)
    made.kept.clear()
    return made


@pytest.fixture
async def launcher_of(one_front, ecs):
    """Launchers on it; all closed."""
    made = []
    assert ecs
    _, client, ssm = one_front

    def make(*profiles: Profile, **how) -> EcsLauncher:
        fleet = Fleet("runners", profiles or (EVERYWHERE,), **{"poll_seconds": 0.05, **how})
        made.append(EcsLauncher(client, ParameterSecrets(ssm, "/penstock/runners"), fleet, HOME))
        return made[-1]

    yield make
    for one in made:
        await one.close()


def request(job: int = 1, *labels: str, attempt: int = 1) -> LaunchRequest:
    """A runner for a job."""
    return LaunchRequest(
        f"runner-job/acme/api/{job}", "acme/api", f"penstock-{job}-{attempt}", list(labels)
    )


async def parameter(ecs, name: str = "penstock-1-1") -> str | None:
    """What is kept under a runner's name."""
    found = await asyncio.to_thread(
        ecs.ssm.get_parameters, Names=[f"/penstock/runners/{name}"], WithDecryption=True
    )
    return found["Parameters"][0]["Value"] if found["Parameters"] else None


async def ends(launcher: EcsLauncher, count: int = 1):
    """The next runners that end."""
    told = launcher.ended()
    async with asyncio.timeout(SECONDS):
        found = [await anext(told) for _ in range(count)]
    await told.aclose()
    return found


async def test_a_task_is_run_as_the_profile_says(ecs, launcher_of):
    """Its order holds no secret; the secret lies encrypted under the runner's name."""
    launcher = launcher_of(tags={"team": "ci"}, environment={"HTTPS_PROXY": "http://proxy"})
    reference = await launcher.launch(request(1, "linux"), TOKEN)
    (order,) = ecs.orders()
    assert reference.name == "penstock-1-1"
    assert reference.workflow_id == "runner-job/acme/api/1"
    assert reference.provider_id in ecs.tasks
    assert reference.alive
    assert order["startedBy"] == "penstock-1-1"
    assert order["group"] == "penstock"
    assert order["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    assert {"key": "team", "value": "ci"} in order["tags"]
    network = order["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"][0] in SUBNETS
    assert (network["securityGroups"], network["assignPublicIp"]) == (["sg-1"], "DISABLED")
    told = ecs.tasks[reference.provider_id].environment
    assert told == {
        "HTTPS_PROXY": "http://proxy",
        "PENSTOCK_GITHUB_URL": "https://api.github.test",
        "PENSTOCK_RUNNER_URL": "https://github.test/acme/api",
        "PENSTOCK_RUNNER_NAME": "penstock-1-1",
        "PENSTOCK_RUNNER_LABELS": "linux",
        "PENSTOCK_RUNNER_MODE": "registration",
        "PENSTOCK_RUNNER_SECRET_PARAMETER": "/penstock/runners/penstock-1-1",
        "PENSTOCK_WORKFLOW_ID": "runner-job/acme/api/1",
    }
    assert SECRET not in json.dumps(ecs.calls)
    assert await parameter(ecs) == SECRET


async def test_a_launch_repeated_is_the_same_task_even_with_another_secret(ecs, launcher_of):
    """A JIT configuration minted anew changes what is kept, and not the order: no conflict."""
    first = await launcher_of().launch(request(), RunnerToken("one", 0, 9e9, jit=True))
    again = await launcher_of().launch(request(), RunnerToken("another", 0, 9e9, jit=True))
    assert (again.provider_id, len(ecs.tasks)) == (first.provider_id, 1)
    assert await parameter(ecs) == "another"
    orders = ecs.orders()
    assert orders[0] == orders[1]
    assert re.fullmatch("[0-9a-f]{64}", orders[0]["clientToken"])
    other = await launcher_of().launch(request(attempt=2), TOKEN)
    assert other.provider_id != first.provider_id


async def test_a_conflict_adopts_the_task_of_the_earlier_try(ecs, launcher_of):
    """The configuration has changed between two tries: the token is known, its task is ours."""
    first = await launcher_of().launch(request(), TOKEN)
    changed = dataclasses.replace(EVERYWHERE, cpu="512")
    again = await launcher_of(changed).launch(request(), TOKEN)
    assert (again.provider_id, len(ecs.tasks)) == (first.provider_id, 1)
    ecs.hidden = True
    with pytest.raises(ProviderUnavailable, match="not to be seen yet"):
        await launcher_of(changed).launch(request(), TOKEN)


async def test_a_lost_answer_is_found_by_its_name(ecs, launcher_of):
    """From the second try on; at the first one a RunTask repeated is the same one."""
    ecs.faults.append(Fault("RunTask", "lose", times=0))
    with pytest.raises(ProviderUnavailable):
        await launcher_of().launch(request(), TOKEN)
    assert await launcher_of().find("penstock-1-1", 1) is None
    found = await launcher_of().find("penstock-1-1", 2)
    assert found
    assert [found.provider_id] == list(ecs.tasks)
    assert await launcher_of().find("penstock-2-1", 2) is None


@pytest.mark.parametrize("reason", [CAPACITY, "RESOURCE:MEMORY", "AGENT", "ATTRIBUTE"])
async def test_a_place_without_room_is_followed_by_the_next(ecs, launcher_of, reason):
    """The other subnet, then the other provider; each with a client token of its own."""
    ecs.faults.append(Fault("RunTask", "failure", reason, times=3))
    await launcher_of().launch(request(), TOKEN)
    tried = [
        (
            o["capacityProviderStrategy"][0]["capacityProvider"],
            o["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0],
        )
        for o in ecs.orders()
    ]
    assert [provider for provider, _ in tried] == ["FARGATE_SPOT"] * 2 + ["FARGATE"] * 2
    assert sorted(tried[:2]) == [("FARGATE_SPOT", subnet) for subnet in SUBNETS]
    assert len({o["clientToken"] for o in ecs.orders()}) == 4
    assert len(ecs.tasks) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("RunTask", "failure", CAPACITY, times=0),
        Fault("RunTask", "failure", "RESOURCE:CPU", times=0),
        Fault("RunTask", "error", "ThrottlingException: Rate exceeded", times=0),
        Fault(
            "RunTask",
            "error",
            "ClientException: You've reached the limit on the number of vCPUs you can run",
            times=0,
        ),
        Fault("RunTask", "error", f"ClientException: {CAPACITY}", times=0),
        Fault("RunTask", "error", "LimitExceededException: tasks", times=0),
    ],
    ids=lambda fault: fault.reason[:30],
)
async def test_no_room_anywhere_is_unavailable_and_leaves_nothing(ecs, launcher_of, fault):
    """Nothing was started, and no secret is left."""
    ecs.faults.append(fault)
    two = dataclasses.replace(EVERYWHERE, subnets=SUBNETS[:1])
    with pytest.raises(LaunchUnavailable, match=r"FARGATE_SPOT in subnet-a: .*FARGATE in subnet-"):
        await launcher_of(two).launch(request(), TOKEN)
    assert ecs.tasks == {}
    assert await parameter(ecs) is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault("RunTask", "failure", "InvalidParameter"),
        Fault("RunTask", "failure", "PlatformUnknown"),
        Fault("RunTask", "failure", "PlatformTaskDefinitionIncompatibility"),
        Fault("RunTask", "failure", "Blocked"),
        Fault("RunTask", "error", "AccessDeniedException: not authorized to perform iam:PassRole"),
        Fault("RunTask", "error", "ClusterNotFoundException: Cluster not found."),
        Fault("RunTask", "error", "InvalidParameterException: Container.image"),
        Fault("RunTask", "error", "ClientException: TaskDefinition is inactive"),
    ],
    ids=lambda fault: fault.reason[:30],
)
async def test_what_will_never_do_is_refused_once(ecs, launcher_of, fault):
    """No other place is tried; the message names the cause; no secret is left."""
    ecs.faults.append(fault)
    with pytest.raises(LaunchRefused, match=fault.reason.split(":")[0]):
        await launcher_of().launch(request(), TOKEN)
    assert (len(ecs.orders()), ecs.tasks) == (1, {})
    assert await parameter(ecs) is None


async def test_a_server_error_says_nothing_and_the_secret_stays(ecs, launcher_of):
    """The task may be about to read it; no other place is tried meanwhile."""
    ecs.faults.append(Fault("RunTask", "error", "ServerException: oops", 500, times=0))
    with pytest.raises(ProviderUnavailable, match="ServerException"):
        await launcher_of().launch(request(), TOKEN)
    assert len({order["clientToken"] for order in ecs.orders()}) == 1
    assert await parameter(ecs) == SECRET


async def test_labels_choose_the_profile(ecs, launcher_of):
    """The first whose labels are all asked for; none at all is a refusal."""
    gpu = Profile(
        labels=("GPU",), task_definition="runner", launch_type="EC2", cpu="2048", memory="4096"
    )
    await launcher_of(gpu, EVERYWHERE).launch(request(1, "linux", "gpu"), TOKEN)
    (order,) = ecs.orders()
    assert (order["launchType"], order["overrides"]["cpu"]) == ("EC2", "2048")
    assert "networkConfiguration" not in order
    with pytest.raises(LaunchRefused, match=r"ecs\.profiles"):
        await launcher_of(gpu).launch(request(2, "linux"), TOKEN)
    long = dataclasses.replace(request(3), labels=["x" * 9000])
    with pytest.raises(LaunchRefused, match="8192"):
        await launcher_of().launch(long, TOKEN)


async def test_ends_are_told_once_with_their_reasons(ecs, launcher_of):
    """A job done needs no reason; what went wrong comes with ECS's word."""
    launcher = launcher_of()
    for job in (1, 2, 3):
        await launcher.launch(request(job), TOKEN)
    await ecs.end("penstock-1-1")
    (one,) = await ends(launcher)
    assert (one.name, one.alive, one.why) == ("penstock-1-1", False, "")
    await launcher.acknowledge("penstock-1-1")
    assert await parameter(ecs) is None
    await ecs.end("penstock-2-1", stopCode="SpotInterruption", stoppedReason="Spot capacity")
    (two,) = await ends(launcher)
    assert (two.name, two.why) == ("penstock-2-1", "SpotInterruption; Spot capacity")
    await launcher.acknowledge("penstock-2-1")
    failed = "CannotPullContainerError: pull access denied"
    await ecs.end("penstock-3-1", 0, stopCode="TaskFailedToStart", stoppedReason=failed)
    (three,) = await ends(launcher)
    assert three.why == f"TaskFailedToStart; {failed}"
    await launcher.acknowledge("penstock-3-1")
    assert await launcher.all() == []


async def test_a_worker_that_comes_later_tells_what_ended_meanwhile(ecs, launcher_of):
    """Of others' tasks after some looks, so that the one who launched them goes first."""
    await launcher_of().launch(request(), TOKEN)
    await ecs.end("penstock-1-1", 3)
    (alone,) = await ends(launcher_of(alone=True))
    assert alone.why.endswith("exit code 3")
    before = len(ecs.orders("ListTasks"))
    (beside,) = await ends(launcher_of(alone=False))
    assert beside.name == "penstock-1-1"
    assert len(ecs.orders("ListTasks")) - before > module.LOOKS_FOR_OTHERS


async def test_a_hint_is_looked_up_at_once(ecs, launcher_of):
    """By another worker's launcher too; a hint that is not true is no end."""
    reference = await launcher_of().launch(request(), TOKEN)
    patient = launcher_of(alone=False, poll_seconds=300.0)
    told = asyncio.create_task(ends(patient))
    patient.hint(reference.provider_id)
    await ecs.end("penstock-1-1")
    patient.hint(reference.provider_id)
    assert [one.name for one in await told] == ["penstock-1-1"]


async def test_a_hint_that_ecs_cannot_read_breaks_no_polling(ecs, launcher_of):
    """Anybody who may write to the queue might send one."""
    launcher = launcher_of()
    await launcher.launch(request(), TOKEN)
    await ecs.end("penstock-1-1")
    ecs.faults.append(Fault("DescribeTasks", "error", "InvalidParameterException: x", place="far"))
    ecs.faults[0].times = 0
    launcher.hint("arn:far-away")
    assert [one.name for one in await ends(launcher)] == ["penstock-1-1"]


async def test_events_come_from_a_queue(ecs, launcher_of, aws):
    """Stopped tasks are hints; anything else in the queue is dropped."""
    sqs = aws.sqs()
    url = (await asyncio.to_thread(sqs.create_queue, QueueName="ecs-events"))["QueueUrl"]
    url = f"{aws.endpoint_url}/{url.split('/', 3)[3]}"
    launcher = launcher_of(poll_seconds=300.0)
    first = launcher.ended()
    hearing = asyncio.create_task(TaskEvents(aws.patient_sqs(), url, launcher.hint).run())
    try:
        await launcher.launch(request(), TOKEN)

        async def tell(event):
            body = json.dumps(event)
            await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody=body)

        ecs.listeners.append(tell)
        await asyncio.to_thread(sqs.send_message, QueueUrl=url, MessageBody="{nonsense")
        await tell({"detail-type": "another", "detail": {}})
        following = asyncio.ensure_future(anext(first))
        await ecs.end("penstock-1-1")
        async with asyncio.timeout(SECONDS):
            assert (await following).name == "penstock-1-1"
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        await first.aclose()


async def test_stop_returns_when_the_task_has_stopped(ecs, launcher_of):
    """Once more nothing happens; another runner is left alone."""
    launcher = launcher_of()
    await launcher.launch(request(1), TOKEN)
    await launcher.launch(request(2), TOKEN)
    await launcher.stop("penstock-1-1")
    alive = {one.name: one.alive for one in await launcher.all()}
    assert alive == {"penstock-1-1": False, "penstock-2-1": True}
    (order,) = ecs.orders("StopTask")
    assert "Penstock" in order["reason"]
    await launcher.stop("penstock-1-1")
    await launcher.stop("penstock-9-1")
    assert len(ecs.orders("StopTask")) == 1
    assert await parameter(ecs) is None


async def test_a_task_that_does_not_stop_is_no_success(ecs, launcher_of, monkeypatch):
    """The permit stays with it: the activity tries again."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0.0)
    monkeypatch.setattr(module, "STOP_PAUSES", (0.01,))
    launcher = launcher_of()
    reference = await launcher.launch(request(), TOKEN)
    ecs.tasks[reference.provider_id].process = type("Stubborn", (), {"returncode": 0})()
    with pytest.raises(ProviderUnavailable, match="has not stopped"):
        await launcher.stop("penstock-1-1")
    ecs.tasks[reference.provider_id].process = None


async def test_lists_and_descriptions_come_by_the_hundred(ecs, launcher_of):
    """Two hundred and thirty tasks: pages of lists, and no description over a hundred."""
    launcher = launcher_of(Profile(task_definition="runner", launch_type="EC2"))
    await asyncio.gather(*(launcher.launch(request(n), TOKEN) for n in range(230)))
    assert len(await launcher.all()) == 230
    sizes = [len(order["tasks"]) for order in ecs.orders("DescribeTasks")]
    assert (sum(sizes), max(sizes)) == (230, 100)


async def test_another_groups_tasks_are_left_alone(ecs, launcher_of):
    """Two Penstocks in one cluster."""
    theirs = launcher_of(group="theirs")
    await theirs.launch(request(), TOKEN)
    ours = launcher_of(group="ours")
    assert await ours.all() == []
    assert await ours.find("penstock-1-1", 2) is None
    await ours.stop("penstock-1-1")
    assert ecs.orders("StopTask") == []


async def test_an_ecs_that_does_not_answer_is_said_so(ecs, launcher_of, caplog):
    """As the port's error, which the recovery knows; the watch goes on by itself."""
    launcher = launcher_of()
    await launcher.launch(request(), TOKEN)
    ecs.faults.append(Fault("ListTasks", "error", "ServerException: oops", 500, times=4))
    with pytest.raises(ProviderUnavailable, match="ListTasks"):
        await launcher.all()
    ecs.faults.clear()
    ecs.faults.append(Fault("ListTasks", "error", "AccessDeniedException: no", times=2))
    await ecs.end("penstock-1-1")
    assert [one.name for one in await ends(launcher)] == ["penstock-1-1"]
    assert caplog.text.count("the ends of runners cannot be seen") == 1


async def test_a_jit_configuration_is_too_long_for_the_standard_tier(ecs, launcher_of):
    """Over 4,096 bytes."""
    await launcher_of().launch(request(), RunnerToken("j" * 4200, 0, 9e9, jit=True))
    only = [{"Key": "Name", "Values": ["/penstock/runners/penstock-1-1"]}]
    (ours,) = ecs.ssm.describe_parameters(ParameterFilters=only)["Parameters"]
    assert (ours["Type"], ours["Tier"]) == ("SecureString", "Advanced")
    await launcher_of().stop("penstock-1-1")
    assert await parameter(ecs) is None


async def test_secrets_manager_instead(ecs):
    """Kept, replaced, deleted for good; what nobody can use any more is swept."""
    client = ecs.moto.secretsmanager()
    secrets = ManagedSecrets(client, "/penstock/runners")
    for value in ("one", "two"):
        await asyncio.to_thread(secrets.put, "penstock-1-1", value)
    name = secrets.name_of("penstock-1-1")
    assert client.get_secret_value(SecretId=name)["SecretString"] == "two"
    assert await asyncio.to_thread(secrets.sweep) == 0
    for _ in range(2):
        await asyncio.to_thread(secrets.delete, "penstock-1-1")
    names = [one["Name"] for one in client.list_secrets()["SecretList"]]
    assert name not in names


async def test_what_nobody_can_use_any_more_is_swept(ecs, monkeypatch):
    """A launch that came to nothing in a worker's death leaves its secret for two hours."""
    from datetime import timedelta

    from activities.clients.ecs import secrets as kept

    parameters = ParameterSecrets(ecs.ssm, "/penstock/swept")
    managed = ManagedSecrets(ecs.moto.secretsmanager(), "penstock/swept")
    for secrets in (parameters, managed):
        await asyncio.to_thread(secrets.put, "penstock-1-1", "x")
        assert await asyncio.to_thread(secrets.sweep) == 0
    monkeypatch.setattr(kept, "USELESS_AFTER", timedelta(seconds=-60))
    for secrets in (parameters, managed):
        assert await asyncio.to_thread(secrets.sweep) == 1
        assert await asyncio.to_thread(secrets.sweep) == 0


async def test_a_secret_that_cannot_be_kept_starts_nothing(ecs, launcher_of):
    """It is not the launch that failed for good: a role can be mended."""
    ecs.faults.append(Fault("PutParameter", "error", "AccessDeniedException: no"))
    with pytest.raises(LaunchUnavailable, match="cannot be handed over: PutParameter"):
        await launcher_of().launch(request(), TOKEN)
    assert ecs.orders() == []
