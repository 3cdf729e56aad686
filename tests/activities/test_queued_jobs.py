"""Jobs that GitHub shows as queued and nobody was told of: started, and no others."""

from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.clients.github.queued_jobs import GitHubWork
from activities.queued_jobs import QueuedJobActivities, QueuedOrder, QueuedResult
from api.app import rules_of, starter_of
from policy import names
from tests.support import until

REPO, OTHER, THIRD = "acme/api", "acme/web", "other/api"
RUNS = "GET /repos/{owner}/{repo}/actions/runs 200"
JOBS = "GET /repos/{owner}/{repo}/actions/runs/{id}/jobs 200"


class Looker:
    """The activity, run by run, with the gateway's own way to start a job."""

    def __init__(self, hub, client, *repositories: str) -> None:
        settings = hub.site.settings(gateway={"owners": ["acme", "other", "gone"]})
        work = GitHubWork(hub.client())
        starter = starter_of(client, settings)
        rules = rules_of(settings)
        self._activity = QueuedJobActivities(
            client, work, starter, rules, repositories
        ).start_queued_jobs
        self._hub = hub
        self.last = QueuedResult()

    async def __call__(self, room: int = 100, points: int = 40) -> QueuedResult:
        """One run."""
        self._hub.clock.catch_up()
        order = QueuedOrder(room, points, self.last.repo, self.last.run)
        self.last = await ActivityEnvironment().run(self._activity, order)
        return self.last


@pytest.fixture
def look(hub, client):
    """Of the repositories that Temporal knows, and one more."""
    return Looker(hub, client, REPO)


@pytest.fixture
def started(client):
    """A function: the jobs that have a workflow; Temporal's list is a moment late."""

    async def ask(at_least: int) -> set[int]:
        jobs: set[int] = set()

        async def listed() -> bool:
            found = client.list_workflows(f"WorkflowType='{names.RUNNER_JOB}'")
            jobs.update([int(names.job_of(one.id)) async for one in found])
            return len(jobs) >= at_least

        await until(listed)
        return jobs

    return ask


async def lost(hub, count: int = 1, repo: str = REPO, **how: Any) -> list[int]:
    """Queued jobs of which no event came, more than a minute ago."""
    jobs = await hub.site.jobs(repo, count=count, deliver=False, **how)
    await hub.pass_(61)
    return jobs


async def known(client, repo: str) -> None:
    """A repository that has a semaphore in Temporal's list."""
    await client.start_workflow(
        names.REPO_SEMAPHORE, id=names.semaphore_id(repo), task_queue="nobody"
    )


async def test_lost_jobs_are_started_once(look, hub, started):
    """Their workflow is that which the webhook would have begun."""
    jobs = await lost(hub, 3)
    first = await look()
    assert (first.started, first.looked, first.known, first.failures) == (3, 1, 1, [])
    assert await started(len(jobs)) == set(jobs)
    again = await look()
    assert (again.started, again.ended) == (0, 0)


async def test_each_kind_of_job_that_is_none_of_these_is_left(look, hub, client, started):
    """Young, of other labels, waiting for approval, known, ended, running on GitHub's own."""
    hosted = await hub.site.jobs(REPO, labels=["ubuntu-latest"], seconds=60, deliver=False)
    await hub.site.wait("job_started", job_id=hosted[0])
    await lost(hub, labels=["self-hosted", "gpu"])
    await lost(hub, waiting=True)
    (running,) = await lost(hub)
    (ended,) = await lost(hub)
    for job in (running, ended):
        id_ = names.runner_job_id(REPO, job)
        handle = await client.start_workflow(names.RUNNER_JOB, id=id_, task_queue="nobody")
    await handle.terminate("a test")
    await hub.site.jobs(REPO, deliver=False)
    done = await look()
    assert (done.started, done.ended, done.failures) == (0, 1, [])
    assert await started(2) == {running, ended}


async def test_a_job_of_a_run_in_progress_is_found(look, hub, started):
    """GitHub counts the run as begun, as soon as one of its jobs is."""
    token = await hub.client().registration_token(REPO)
    jobs = await hub.site.jobs(REPO, count=2, labels=["linux"], seconds=60, deliver=False)
    await hub.runner("penstock-1-1", token.value)
    assert await hub.site.wait("jobs_running", count=1)
    await hub.pass_(61)
    assert (await look()).started == 1
    (job,) = await started(1)
    shown = await hub.call("GET", f"jobs/{job}")
    assert job in jobs
    assert shown["status"] == "queued"


async def test_no_more_are_started_than_there_is_room_for(look, hub, started):
    """The next run goes on where this one stopped."""
    jobs = await lost(hub, 5, runs=True)
    assert (await look(room=2)).started == 2
    assert (await look(room=2)).started == 2
    assert await started(4) == set(jobs[:4])
    assert (await look(room=2)).started == 1


async def test_repositories_take_turns_within_the_points(look, hub, client, started):
    """Two lists each, and the jobs of each run; none is skipped, none is looked at twice."""
    for repo in (OTHER, THIRD):
        await known(client, repo)
    jobs = [(await lost(hub, repo=repo))[0] for repo in (REPO, OTHER, THIRD)]
    looked = []
    for count in (1, 2, 3):
        await hub.calls()
        done = await look(points=4)
        looked.append(done.looked)
        assert done.points <= 4
        assert len(await started(count)) == count
    assert looked == [1, 1, 1]
    assert await started(len(jobs)) == set(jobs)
    assert done.known == 3
    assert (await look(points=40)).looked == 3


async def test_a_repository_of_many_runs_is_looked_at_over_several(look, hub, started):
    """The position is a run of it."""
    jobs = await lost(hub, 7, runs=True)
    for count in (3, 6, 7):
        assert (await look(points=5)).failures == []
        assert await started(count) == set(jobs[:count])


async def test_a_repository_that_no_run_can_list_stops_nobody(look, hub, client, started):
    """It is told, and the next one has its turn."""
    await known(client, OTHER)
    await lost(hub)
    (job,) = await lost(hub, repo=OTHER, labels=["self-hosted"])
    await lost(hub, 150, runs=True)
    first = await look(points=2)
    assert "more workflow runs than recovery.points_per_run can list" in first.failures[0]
    await look(points=4)
    assert await started(1) == {job}


async def test_lists_are_read_to_their_end(look, hub, started):
    """A hundred on a page: runs, and jobs of one run."""
    many = await lost(hub, 130)
    each = await lost(hub, 105, runs=True)
    begun = 0
    for _ in range(9):
        begun += (await look(room=1000, points=40)).started
        if begun == 235:
            break
    assert await started(235) == set(many + each)


async def test_what_is_unchanged_is_free_of_githubs_primary_limit(look, hub):
    """Asked for again by its ETag."""
    await lost(hub)
    await look()
    await hub.calls()
    await look()
    assert await hub.calls() == [one.replace("200", "304") for one in (RUNS, RUNS, JOBS)]


@pytest.mark.parametrize(("status", "repo"), [(403, OTHER), (404, REPO)])
async def test_a_repository_that_cannot_be_seen_is_told_and_passed(  # noqa: PLR0917
    look, hub, client, started, status, repo
):
    """404 is a failure only of a repository that was configured."""
    for one in (OTHER, "gone/gone"):
        await known(client, one)
    for one in (REPO, OTHER):
        await lost(hub, repo=one)
    path = f"/repos/{repo}/actions/runs"
    await hub.break_("status", status=status, path_prefix=path, message="no", times=0)
    done = await look()
    (line,) = done.failures
    assert line.startswith(f"{repo}: GET {path}: {status}")
    assert (done.started, done.looked) == (1, 3)


async def test_githubs_refusal_ends_the_part(look, hub, client, started):
    """What was started is told; the next run begins where it stopped."""
    await known(client, OTHER)
    for one in (REPO, OTHER):
        await lost(hub, repo=one)
    await hub.break_("secondary_limit", path_prefix=f"/repos/{OTHER}/actions/runs")
    done = await look()
    assert (done.started, done.repo) == (1, REPO)
    assert done.failures[0].startswith("stopped: GitHub's ")
    for _ in range(6):
        await hub.pass_(120)
        await look()
    assert len(await started(2)) == 2
    assert (await hub.call("GET", "summary"))["calls"]["too_early"] == 0


async def test_a_temporal_that_refuses_ends_the_part(hub, server):
    """Nobody knows what is known then."""
    nobody = await Client.connect(server.running.address, namespace="nowhere")
    done = await Looker(hub, nobody, REPO)()
    assert (done.started, done.looked) == (0, 0)
    assert done.failures[0].startswith("stopped: ")


async def test_a_job_whose_semaphore_is_not_there_yet_makes_its_repository_known(
    hub, client, started
):
    """Its gateway was killed between the two; or only the job's end has come."""
    look = Looker(hub, client)
    for repo, job in ((OTHER, 1), (THIRD, 2)):
        handle = await client.start_workflow(
            names.RUNNER_JOB, id=names.runner_job_id(repo, job), task_queue="nobody"
        )
    await handle.terminate("a test")

    async def listed():
        return (await client.count_workflows("ExecutionStatus='Terminated'")).count

    while not await listed():
        pass
    (one,) = await lost(hub, repo=OTHER)
    (two,) = await lost(hub, repo=THIRD)
    done = await look()
    assert (done.started, done.known) == (2, 2)
    assert await started(4) == {1, 2, one, two}
