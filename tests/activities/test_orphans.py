"""Runners that nobody follows: seen off by GitHub's word, and left alone where it says busy."""

from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.clients.github.registered import GitHubRunners
from activities.orphans import OrphanActivities, OrphansOrder, OrphansResult
from activities.runners import LaunchRequest
from policy import names
from tests.activities.launching import TOKEN, lives

REPO, OTHER = "acme/api", "acme/web"
TALK = 'echo $$ > "$WORDS"; exec sleep 60'


class Sweeper:
    """The activity, run by run."""

    def __init__(self, hub, client, runners, scope: str, *repositories: str) -> None:
        self.github = hub.client(scope=scope)
        self.launcher = runners.launcher(TALK)
        self.last = OrphansResult()
        self._hub = hub
        self._runners = runners
        self._activity = OrphanActivities(
            client,
            self.launcher,
            self.github,
            GitHubRunners(self.github),
            hub.clock,
            scope=scope,
            repositories=repositories,
        ).see_off_orphans

    async def __call__(self, points: int = 40) -> OrphansResult:
        """One run."""
        order = OrphansOrder(points, self.last.scope, self.last.suspects)
        self.last = await ActivityEnvironment().run(self._activity, order)
        return self.last

    async def launch(self, job: int) -> int:
        """A live process of a runner for a job; its number."""
        id_, name = names.runner_job_id(REPO, job), names.runner_name(job, 1)
        await self.launcher.launch(LaunchRequest(id_, REPO, name, ["linux"]), TOKEN)
        return int(await self._runners.word())

    async def registered(self, job: int, attempt: int = 1, repo: str = REPO) -> str:
        """A runner at GitHub that has never connected; its name."""
        name = names.runner_name(job, attempt)
        await self.github.jit_config(repo, name, ["linux"])
        return name


@pytest.fixture
def sweep(hub, client, runners):
    """In the scope of repositories."""
    return Sweeper(hub, client, runners, "repository", REPO)


async def begin(client, job: int, repo: str = REPO, **how: Any):
    """A job's workflow that nobody works on."""
    id_ = names.runner_job_id(repo, job)
    return await client.start_workflow(names.RUNNER_JOB, id=id_, task_queue="nobody", **how)


async def closed(client, job: int, repo: str = REPO) -> None:
    """A job's workflow that was terminated."""
    await (await begin(client, job, repo)).terminate("a test")


async def at_github(hub) -> set[str]:
    """The runners that GitHub lists."""
    return {runner["name"] for runner in (await hub.call("GET", "runners"))["runners"]}


# What the provider runs.


async def test_a_runner_of_a_closed_or_unknown_job_is_seen_off_first(sweep, hub, client):
    """Off GitHub's list, if it is on it, and then stopped; one of an open job is let be."""
    await begin(client, 1)
    await closed(client, 2)
    pids = {job: await sweep.launch(job) for job in (1, 2, 3)}
    for job in (1, 2):
        await sweep.registered(job)
    done = await sweep()
    assert (done.stopped, done.removed, done.busy, done.failures) == (2, 0, 0, [])
    assert [job for job, pid in pids.items() if lives(pid)] == [1]
    assert await at_github(hub) == {names.runner_name(1, 1)}
    assert (await sweep()).stopped == 0


async def test_a_busy_runner_of_a_closed_job_works_on(sweep, hub, client):
    """422 is GitHub's word that it has a job, whosever that is."""
    await closed(client, 1)
    pid = await sweep.launch(1)
    token = await sweep.github.registration_token(REPO)
    (job,) = await hub.site.jobs(REPO, seconds=60, labels=["linux"], deliver=False)
    await hub.runner(names.runner_name(1, 1), token.value)
    assert await hub.site.wait("job_started", job_id=job)
    done = await sweep()
    assert (done.stopped, done.busy) == (0, 1)
    assert lives(pid)
    await hub.call("POST", f"jobs/{job}/cancel")
    assert await hub.site.wait("runners_gone")
    assert (await sweep()).stopped == 1
    assert not lives(pid)


async def test_what_github_does_not_say_is_left_running(sweep, hub, client):
    """No answer, no end: 403 is told, an outage ends the part."""
    await closed(client, 1)
    pid = await sweep.launch(1)
    path = f"/repos/{REPO}/actions/runners"
    await hub.break_("status", status=403, path_prefix=path, message="no")
    done = await sweep()
    assert (done.stopped, len(done.failures)) == (0, 1)
    await hub.break_("status", status=502, path_prefix=path)
    done = await sweep()
    assert (done.stopped, done.failures[0].startswith("stopped: ")) == (0, True)
    assert lives(pid)
    assert (await sweep()).stopped == 1


async def test_each_costs_a_read_and_a_write(sweep, client):
    """Two fit into twelve points."""
    for job in (1, 2, 3):
        await closed(client, job)
        await sweep.launch(job)
    done = await sweep(points=12)
    assert (done.stopped, done.points) == (2, 12)
    assert (await sweep(points=12)).stopped == 1


# What is registered at GitHub alone.


async def test_a_left_over_registration_is_removed_at_the_second_look(sweep, hub, client):
    """Its job is closed, it is offline, it has no process: still so a minute later."""
    await closed(client, 1)
    name = await sweep.registered(1)
    done = await sweep()
    assert [(one.where, one.name) for one in done.suspects] == [(REPO, name)]
    await hub.pass_(59)
    assert (await sweep()).removed == 0
    await hub.pass_(2)
    done = await sweep()
    assert (done.removed, done.suspects, done.failures) == (1, [], [])
    assert await at_github(hub) == set()


async def test_others_are_never_suspected(sweep, hub, client):
    """Of an open job, of one never heard of, of another name; online; with a process."""
    await begin(client, 1)
    for job in (3, 4, 5):
        await closed(client, job)
    kept = {await sweep.registered(job) for job in (1, 2, 3)}
    await sweep.github.jit_config(REPO, "somebody-elses", ["linux"])
    await hub.runner(names.runner_name(4, 1), (await sweep.github.registration_token(REPO)).value)
    assert await hub.site.wait("runners_online", count=1)
    await sweep.launch(3)
    await hub.break_("status", status=403, method="DELETE", path_prefix="/", message="no")
    done = await sweep()  # the process of job 3 stays: GitHub does not let its runner go
    assert (done.stopped, done.suspects) == (0, [])
    assert await at_github(hub) == {*kept, "somebody-elses", names.runner_name(4, 1)}


async def test_a_suspect_that_comes_online_or_goes_is_none_any_more(sweep, hub, client):
    """It was only late."""
    for job in (1, 2):
        await closed(client, job)
    late, gone = await sweep.registered(1), await sweep.registered(2)
    assert len((await sweep()).suspects) == 2
    assert await sweep.github.deregister(REPO, gone) == "removed"
    assert await sweep.github.deregister(REPO, late) == "removed"
    await hub.runner(late, (await sweep.github.registration_token(REPO)).value)
    assert await hub.site.wait("runners_online", count=1)
    await hub.pass_(61)
    done = await sweep()
    assert (done.removed, done.suspects) == (0, [])
    assert await at_github(hub) == {late}


async def test_a_suspect_that_began_to_work_is_left(sweep, hub, client):
    """Between our look and the deletion: GitHub answers 422."""
    await closed(client, 1)
    await sweep.registered(1)
    await sweep()
    await hub.pass_(61)
    route = "/repos/{owner}/{repo}/actions/runners/{id}"
    await hub.break_("status", status=422, method="DELETE", route=route, message="busy")
    done = await sweep()
    assert (done.removed, done.busy) == (0, 1)
    assert len(await at_github(hub)) == 1


async def test_points_decide_how_far_a_run_comes(sweep, hub, client):
    """A second look is a read, a removal a write; what is not reached stays suspected."""
    for job in (1, 2):
        await closed(client, job)
        await sweep.registered(job)
    await sweep()
    await hub.pass_(61)
    done = await sweep(points=0)
    assert (done.removed, len(done.suspects)) == (0, 2)
    done = await sweep(points=3)
    assert (done.removed, len(done.suspects)) == (0, 2)
    done = await sweep(points=7)
    assert (done.removed, len(done.suspects)) == (1, 1)
    await hub.pass_(61)
    assert (await sweep(points=6)).removed == 1


async def test_githubs_refusal_keeps_the_suspects(sweep, hub, client):
    """An outage or a limit at the second look: the next run looks again."""
    for job in (1, 2):
        await closed(client, job)
        await sweep.registered(job)
    await sweep()
    await hub.pass_(61)
    route = "/repos/{owner}/{repo}/actions/runners/{id}"
    await hub.break_("status", status=502, method="GET", route=route, nth=2)
    done = await sweep()
    assert (done.removed, len(done.suspects), len(done.failures)) == (1, 1, 1)
    await hub.break_("status", status=403, method="GET", route=route, message="no")
    done = await sweep()
    assert (done.removed, len(done.failures)) == (0, 1)
    await hub.pass_(61)
    assert (await sweep()).removed == 1


async def test_scopes_take_turns(hub, client, runners):
    """A point each; one that is gone is passed."""
    sweep = Sweeper(hub, client, runners, "repository", "acme/gone", REPO, OTHER)
    for job, repo in ((1, REPO), (2, OTHER)):
        await closed(client, job, repo)
        await sweep.registered(job, repo=repo)
    seen = []
    for _ in range(3):
        done = await sweep(points=1)
        seen.append(len(done.suspects))
        assert done.failures == []
    assert seen == [1, 1, 2]


async def test_an_organizations_runner_is_told_by_its_jobs_number(hub, client, runners):
    """Its name says nothing of the repository: each that is known is asked."""
    sweep = Sweeper(hub, client, runners, "organization", REPO, OTHER, "other/api")
    await closed(client, 1, OTHER)
    await begin(client, 2, OTHER)
    names_ = [await sweep.registered(job) for job in (1, 2, 3)]
    done = await sweep()
    assert [(one.where, one.name) for one in done.suspects] == [("acme", names_[0])]
    await hub.pass_(61)
    assert (await sweep()).removed == 1
    assert await at_github(hub) == set(names_[1:])


async def test_a_provider_that_does_not_answer_stops_all(sweep, hub, client, monkeypatch):
    """Without it nobody knows what lives."""
    await closed(client, 1)
    await sweep.registered(1)
    await sweep()
    await hub.pass_(61)

    async def broken():
        raise OSError("too many open files")

    monkeypatch.setattr(sweep.launcher, "all", broken)
    done = await sweep()
    assert (done.removed, len(done.suspects)) == (0, 1)
    assert done.failures == ["runners: too many open files"]
