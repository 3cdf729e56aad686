"""What Temporal is told of tokens: retry then, or never, and no secret."""

import dataclasses
import re

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.clients.github import Credentials
from activities.errors import (
    GITHUB_REFUSED,
    LAUNCH_REFUSED,
    LAUNCH_UNAVAILABLE,
    TOKEN_DEFERRED,
    TOKEN_MISSING,
    GitHubUnavailable,
    LaunchUnavailable,
)
from activities.github import JobRecord
from activities.jobs import JobActivities, JobQuestion
from activities.launches import LaunchLog
from activities.meter import Budget
from activities.runners import (
    UNAVAILABLE_TRIES,
    LaunchRequest,
    Retired,
    RetireRequest,
    RunnerActivities,
)
from activities.tokens import TokenActivities, TokenRequest, Tokens
from policy.token_bucket import Rate
from tests.activities.hub import WIDE, told

REPO = "acme/api"


def acquire(hub, budget=WIDE, credentials=None):
    """A function that runs the activity."""
    tokens = hub.tokens(budget, credentials=credentials)
    activities = TokenActivities(tokens, hub.clock)

    async def run(repo: str = REPO):
        return await ActivityEnvironment().run(activities.acquire_runner_token, TokenRequest(repo))

    run.tokens = tokens
    return run


async def test_a_receipt_holds_no_secret(hub):
    """It stands in the history: eight digits and a time."""
    run = acquire(hub)
    receipt = await run()
    secret = (await run.tokens.registration(REPO)).value
    assert re.fullmatch("[0-9a-f]{8}", receipt.fingerprint)
    assert receipt.expires_at == pytest.approx(hub.clock() + 3600, abs=2)
    assert secret not in repr(receipt)
    assert secret not in str(dataclasses.asdict(receipt))


@pytest.mark.parametrize(("per_seconds", "final"), [(60, False), (100, True)])
async def test_a_short_wait_is_retried_and_a_long_one_is_not(hub, per_seconds, final):
    """Beyond 30 s the job gives its permit back meanwhile; neither is an error to count."""
    run = acquire(hub, Budget(Rate(3, per_seconds), Rate(1000, 60)))
    await run()
    with pytest.raises(ApplicationError) as caught:
        await run("acme/web")
    error = caught.value
    assert error.type == TOKEN_DEFERRED
    assert error.non_retryable is final
    assert error.category == ApplicationErrorCategory.BENIGN
    assert error.details[0] == pytest.approx(per_seconds / 3, abs=0.01)
    assert error.next_retry_delay.total_seconds() == pytest.approx(per_seconds / 3, abs=0.02)


@pytest.mark.parametrize(("seconds", "final"), [(20, False), (90, True)])
async def test_githubs_own_time_is_kept(hub, seconds, final):
    """A rate limit is a wait until GitHub's time."""
    await hub.break_("secondary_limit", retry_after=seconds)
    with pytest.raises(ApplicationError) as caught:
        await acquire(hub)()
    error = caught.value
    assert (error.type, error.non_retryable) == (TOKEN_DEFERRED, final)
    assert error.category == ApplicationErrorCategory.BENIGN
    assert error.next_retry_delay.total_seconds() == pytest.approx(seconds, abs=3)


async def test_a_refusal_is_final(hub):
    """No retry mends a wrong key; its message holds no part of it."""
    with pytest.raises(ApplicationError) as caught:
        await acquire(hub, credentials=Credentials("7", hub.key))()
    assert (caught.value.type, caught.value.non_retryable) == (GITHUB_REFUSED, True)
    assert caught.value.category == ApplicationErrorCategory.UNSPECIFIED
    assert hub.key.splitlines()[1] not in told(caught.value)


async def test_an_outage_is_left_to_temporals_retries(hub):
    """An error of its own type, which Temporal's policy retries."""
    await hub.break_("status", status=502)
    with pytest.raises(GitHubUnavailable):
        await acquire(hub)()


async def test_jit_has_no_receipt_to_show(hub):
    """There is no token yet."""
    tokens = hub.tokens(jit=True)
    activities = TokenActivities(tokens, hub.clock)
    receipt = await ActivityEnvironment().run(activities.acquire_runner_token, TokenRequest(REPO))
    assert (receipt.fingerprint, receipt.expires_at) == ("", 0.0)


def runner_activities(hub, launcher, side=None, **how):
    """The activities on a real launcher."""
    side = side or hub.side()
    tokens = Tokens(side.client, side.cache)
    return RunnerActivities(launcher, tokens, side.client, hub.clock, **how)


FIRST = LaunchRequest("runner-job/acme/api/1", REPO, "penstock-1-1", ["linux"])
WANTED = dataclasses.replace(FIRST, token_ready=True)


async def test_a_launch_without_a_token_says_so_at_once(hub, runners):
    """GitHub is not asked; once there is a token, the same launch goes."""
    side, launcher = hub.side(), runners.launcher()
    tokens = Tokens(side.client, side.cache)
    log = LaunchLog("one", hub.clock)
    activities = RunnerActivities(launcher, tokens, side.client, hub.clock, log=log)
    first = dataclasses.replace(FIRST, granted_at=hub.clock() - 4.0)
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(activities.launch_runner, first)
    error = caught.value
    assert (error.type, error.non_retryable) == (TOKEN_MISSING, True)
    assert error.category == ApplicationErrorCategory.BENIGN
    assert await hub.calls() == []
    assert await launcher.all() == []
    assert not log.results, "no launch has begun"
    await tokens.ready(REPO)
    reference = await ActivityEnvironment().run(activities.launch_runner, first)
    assert (reference.name, reference.alive) == (FIRST.name, True)
    assert (log.results, log.seconds) == ({"ok": 1}, {4.0: 1})


async def test_a_launch_tried_again_finds_its_runner_without_a_token(hub, runners):
    """By another worker with no token: the runner lives, or has ended and nobody heard of it."""
    first = runners.launcher()
    await ActivityEnvironment().run(runner_activities(hub, first).launch_runner, WANTED)
    for alive in (True, False):
        another = runner_activities(hub, runners.launcher())
        found = await ActivityEnvironment().run(another.launch_runner, FIRST)
        assert (found.name, found.alive) == (FIRST.name, alive)
        await first.stop(FIRST.name)


async def test_a_launch_tells_no_secret(hub, runners):
    """The token goes to the runner; the result goes into the history."""
    launcher = runners.launcher('cat "$PENSTOCK_RUNNER_TOKEN_FILE" > token; exec sleep 60')
    activities = runner_activities(hub, launcher)
    reference = await ActivityEnvironment().run(activities.launch_runner, WANTED)
    token = (runners.folder / reference.name / "token").read_text()
    assert token
    assert token not in str(dataclasses.asdict(reference))
    assert await ActivityEnvironment().run(activities.launch_runner, WANTED) == reference
    retired = await ActivityEnvironment().run(
        activities.retire_runner, RetireRequest(REPO, reference.name)
    )
    assert retired == Retired("gone")
    assert [runner.alive for runner in await launcher.all()] == [False]


class Full:
    """A provider that has no room; it remembers what it was asked to start with."""

    def __init__(self) -> None:
        self.tokens = []

    async def find(self, name, attempt):
        """There is none."""

    async def launch(self, request, token):
        """As the port says."""
        self.tokens.append(token.value)
        raise LaunchUnavailable("FARGATE in subnet-a: Capacity is unavailable at this time")


def tried(attempt: int) -> ActivityEnvironment:
    """An activity's try of this number."""
    made = ActivityEnvironment()
    made.info = dataclasses.replace(made.info, attempt=attempt)
    return made


@pytest.mark.parametrize("jit", [False, True])
async def test_no_room_is_tried_again_with_the_same_secret_and_then_told(hub, jit):
    """Four tries, then the job is to wait; a JIT configuration is minted once for them all."""
    side, full = hub.side(jit=jit), Full()
    log = LaunchLog("w", hub.clock)
    tokens = Tokens(side.client, side.cache, jit=jit)
    activities = RunnerActivities(full, tokens, side.client, hub.clock, log=log)
    for attempt in range(1, UNAVAILABLE_TRIES + 1):
        with pytest.raises(ApplicationError, match="Capacity is unavailable") as caught:
            await tried(attempt).run(activities.launch_runner, WANTED)
        assert caught.value.type == LAUNCH_UNAVAILABLE
        assert caught.value.non_retryable is (attempt == UNAVAILABLE_TRIES)
    assert len(set(full.tokens)) == 1
    if jit:
        calls = [call for call in await hub.calls() if "/actions/runners" in call]
        assert [call.split()[0] for call in calls] == ["POST", "GET", "DELETE"], calls
        with pytest.raises(ApplicationError):
            await tried(1).run(activities.launch_runner, WANTED)
        assert len(set(full.tokens)) == 2, "what was taken off is not used again"
    assert sum(span.failed for span in log._spans) == UNAVAILABLE_TRIES + jit


async def test_a_busy_runner_is_not_stopped(hub, runners):
    """GitHub's 422 leaves the process alone."""
    side = hub.side()
    client, launcher = side.client, runners.launcher("exec sleep 60")
    activities = runner_activities(hub, launcher, side)
    await ActivityEnvironment().run(activities.launch_runner, WANTED)
    (job,) = await hub.site.jobs(REPO, seconds=60, labels=["linux"], deliver=False)
    await hub.runner(WANTED.name, (await client.registration_token(REPO)).value)
    assert await hub.site.wait("job_started", job_id=job)
    retired = await ActivityEnvironment().run(
        activities.retire_runner, RetireRequest(REPO, WANTED.name)
    )
    assert retired == Retired("busy")
    assert [runner.alive for runner in await launcher.all()] == [True]


async def test_a_launch_that_must_wait_or_cannot_be(hub, runners):
    """Each refusal has its type."""
    launcher = runners.launcher("", "/nonexistent/runner")
    activities = runner_activities(hub, launcher)
    with pytest.raises(ApplicationError, match="/nonexistent/runner") as caught:
        await ActivityEnvironment().run(activities.launch_runner, WANTED)
    assert (caught.value.type, caught.value.non_retryable) == (LAUNCH_REFUSED, True)
    await hub.break_("secondary_limit", retry_after=20, times=0)
    for ask in (
        lambda: ActivityEnvironment().run(
            activities.launch_runner,
            LaunchRequest("w", "acme/web", "penstock-2-1", ["linux"], token_ready=True),
        ),
        lambda: ActivityEnvironment().run(
            activities.retire_runner, RetireRequest(REPO, "penstock-2-1")
        ),
    ):
        with pytest.raises(ApplicationError) as caught:
            await ask()
        assert (caught.value.type, caught.value.non_retryable) == (TOKEN_DEFERRED, False)


async def test_a_job_is_looked_up_or_waited_for(hub):
    """Its record; a refusal is final; a rate limit has its time."""
    look = JobActivities(hub.client(), hub.clock).look_up_job
    (job,) = await hub.site.jobs(REPO, deliver=False)
    question = JobQuestion(REPO, str(job))
    assert await ActivityEnvironment().run(look, question) == JobRecord("queued")
    for fault, kind, final in (
        ({"kind": "status", "status": 403}, GITHUB_REFUSED, True),
        ({"kind": "secondary_limit", "retry_after": 20}, TOKEN_DEFERRED, False),
    ):
        await hub.break_(**fault)
        with pytest.raises(ApplicationError) as caught:
            await ActivityEnvironment().run(look, question)
        assert (caught.value.type, caught.value.non_retryable) == (kind, final)
