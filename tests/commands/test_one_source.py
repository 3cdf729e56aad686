"""Command line and admin interface on a running fleet: they say the same, of the same things."""

import asyncio
import json
from itertools import pairwise

import pytest

import cli
from tests.commands.terminal import Terminal
from tests.support import until

# What another moment makes another number; its being there is compared all the same.
OF_THE_MOMENT = {"oldest_wait_seconds", "waited_seconds", "estimate", "eta_seconds", "eta_at"}
OF_THE_MOMENT |= {"p50", "p90", "upper", "pressure"}


def steady(told):
    """The answer without what time alone changes."""
    if isinstance(told, dict):
        return {k: "…" if k in OF_THE_MOMENT else steady(v) for k, v in told.items()}
    return [steady(one) for one in told] if isinstance(told, list) else told


@pytest.fixture
async def fleet(penstock, client, monkeypatch):
    """A fleet with one job that runs and two that wait; commands reach its Temporal server."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    made = await penstock(limits={"max_runners": 3, "default": 1})
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(made.settings.state_dir))
    (running,) = await made.site.jobs("acme/api", seconds=600)
    await made.site.wait("job_started", job_id=running)
    made.running = running
    made.waiting = sorted(await made.site.jobs("acme/api", count=2, seconds=600))
    await until(lambda: counted(made))
    return made


async def counted(made):
    told = await made.fleet()  # its count of those that wait is a report behind at times
    return told["running"] == 1 and told["waiting"]


async def test_one_source(fleet, capsys):
    """Each figure of `penstock … -o json` is the admin interface's, before and after changes."""

    async def run(*arguments, code=0):
        assert await asyncio.to_thread(cli.run_command, list(arguments)) == code, arguments
        return capsys.readouterr().out

    async def told(*arguments):
        return json.loads(await run(*arguments, "-o", "json"))

    async def asked(path):
        answer = await fleet.admin("GET", path)
        assert answer.status_code == 200
        return answer.json()

    async def same(arguments, path, part=""):
        async def equal():
            theirs = await asked(path)
            if not part and path == "status":
                theirs.pop("pressure")  # that gateway's own view
            ours = steady(await told(*arguments))
            return ours == steady(theirs[part] if part else theirs)

        await until(equal)

    async def everything():
        await same(["status"], "status")
        await same(["repos"], "repos", "repos")
        await same(["limits"], "limits")
        await same(["limits", "get"], "limits")
        await same(["dead-letters"], "dead-letters", "dead_letters")
        ours, theirs = await told("fleet", "audit"), (await asked("audit"))["audit"]
        assert ours == theirs[::-1]
        jobs = await told("jobs", "list")
        listed = (await asked("jobs"))["jobs"]
        assert [
            {key: job[key] for key in one} for job, one in zip(jobs, listed, strict=True)
        ] == listed
        for job in jobs:
            for command in ("explain", "jobs show"):
                await same(
                    [*command.split(), job["repo"], job["job_id"]],
                    f"jobs/{job['workflow_id'][11:]}",
                )
            one = await asked(f"jobs/{job['workflow_id'][11:]}")
            assert steady({**job, **one}) == steady(job)
        return jobs

    jobs = await everything()
    assert sorted(int(job["job_id"]) for job in jobs) == [fleet.running, *fleet.waiting]
    assert await told("jobs", "--repo", "ACME/api", "--limit", "1") != []
    assert await told("jobs", "list", "--repo", "acme/other") == []

    # Changes: by name, one or all, refused whole; and gone again.
    changes = ("max_runners=8", "weights.acme/api=2.5", "orgs.acme=6", "strategy=reject")
    answer = await told("limits", "set", *changes, "--reason", "more machines")
    assert (answer["max_runners"], answer["pressure"]["strategy"]) == (8, "reject")
    assert (await run("limits", "get", "weights.acme/api")).strip() == "2.5"
    await run("limits", "set", "max_runners=9", "repos.acme=1", code=1)
    await run("limits", "unset", "weights.acme/api", "orgs.acme")
    await run("limits", "get", "weights.acme/api", code=1)
    assert (await asked("audit"))["audit"][1]["reason"] == "more machines"

    # One that waits is cancelled: once.
    first, second = map(str, fleet.waiting)
    assert (await told("jobs", "cancel", "acme/api", first, "--yes", "-r", "a test"))["asked"]
    assert (await fleet.result("acme/api", first))["outcome"] == "stopped"
    await run("jobs", "cancel", "acme/api", first, "--yes", code=1)
    await run("jobs", "cancel", "acme/api", "404", "--yes", code=1)
    await run("jobs", "show", "acme/api", "404", code=1)
    assert (await told("jobs", "show", "acme/api", first))["ended"] == "completed"
    await until(lambda: counted(fleet))
    assert (await told("explain", "acme/api", second))["position"] == 1

    # A drain, watched on a terminal and given up by Ctrl-C: it goes on.
    async with Terminal("drain", "--wait", "--reason", "a test") as watched:
        await watched.until("draining: running 1, waiting")
        assert await watched.ctrl_c() == 130
    await same(["status"], "status")
    assert steady(await told("drain", "--reason", "a test")) == steady(await asked("draining"))
    await run("drain", "--wait", "--deadline", "0.2s", code=4)
    await fleet.site.jobs("acme/web")
    await fleet.site.wait("deliveries_idle")
    assert [letter["repo"] for letter in await told("dead-letters")] == ["acme/web"]
    await everything()


async def test_status_is_watched_until_ctrl_c(fleet):
    """On a terminal it is drawn anew; on a pipe each change is a line. Ctrl-C is no failure."""
    async with (
        Terminal("status", "--watch") as drawn,
        Terminal("status", "-w", plain=True) as lines,
    ):
        await drawn.until("mode normal")
        await lines.until("mode normal · running 1 of 3 · waiting")
        await fleet.admin("PUT", "draining", mode="maintenance", reason="a test")
        await drawn.until("mode maintenance (a test)")
        await lines.until("mode maintenance (a test) · running 1 of 0 · waiting")
        assert await drawn.ctrl_c() == 0
        assert await lines.ctrl_c() == 0
    assert "\x1b[" in drawn.said
    assert "┏━━" in drawn.said
    assert set("\x1b┃") & set(lines.said) == set()
    said = lines.said.splitlines()
    assert all(one != other for one, other in pairwise(said)), "a line without a change"
