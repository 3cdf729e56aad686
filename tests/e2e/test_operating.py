"""Penstock as its operators meet it: processes, the temporal program, the admin interface."""

import asyncio
import json
import os
import signal

import httpx
import pytest
from temporalio.client import Client

from checker import check
from demo.evidence import gather
from embedded import temporal_server
from tests.e2e.diagnosis import told_of
from tests.e2e.process import PENSTOCK, ROOT, Dev, run
from tests.support import PATIENCE, SLOW, ask, until


@pytest.fixture
async def dev(request, tmp_path, site):
    """`penstock dev`, not started yet; ended with its Temporal server, whatever a test does."""
    made = Dev(tmp_path / "dev", site, "max_runners = 6")
    async with told_of(request, made):
        yield made
    if made.process and made.process.returncode is None:
        await made.stop()
    if temporal_server.read(made.folder / "state"):
        made.kill_temporal()


async def test_drain_by_the_temporal_program(dev):
    """Signal and query as the README has them, without an argument; webhooks get 503 then."""
    await dev.start()
    jobs = await dev.site.jobs("acme/api", count=4, seconds=1)
    await dev.site.wait("job_started", job_id=jobs[0])
    code, said = await dev.temporal("workflow", "signal", "-w", "fleet", "--name", "drain")
    assert code == 0, said

    async def asked():
        code, said = await dev.temporal(
            "workflow", "query", "-w", "fleet", "--type", "drain_status", "-o", "json"
        )
        assert code == 0, said
        return json.loads(said)["queryResult"][0]

    answer = await asked()
    assert answer["mode"] == "draining"
    assert set(answer) == {
        *("mode", "since", "reason", "running", "waiting", "drained", "eta_seconds", "eta_at"),
        *("method", "samples", "by_repo", "blocking", "deadline_at", "deadline_seconds"),
        "on_deadline",
    }
    assert answer["running"] + answer["waiting"] > 0
    assert answer["eta_seconds"]["p50"] > 0

    async def refused():
        await dev.site.jobs("acme/web")
        await dev.site.wait("deliveries_idle")
        log = (await dev.site.call("GET", "deliveries"))["deliveries"]
        return [d for d in log if d["status_code"] == 503]

    await until(refused)

    async def drained():
        return (await asked())["drained"]

    await until(drained)
    change = '{"reason": "done", "actor": "a test"}'
    code, said = await dev.temporal(
        "workflow", "signal", "-w", "fleet", "--name", "resume", "--input", change
    )
    assert code == 0, said
    code, said = await dev.run("status", "-o", "json")
    assert (code, json.loads(said)["mode"]) == (0, "normal")
    assert json.loads(said)["last_drain_seconds"] > 0
    assert json.loads(said)["audit"][-1]["actor"] == "a test"
    assert await dev.stop() == 0


async def test_the_command_line_drains_and_changes_limits(dev):
    """Each command on a running Penstock; a bad change is refused whole, in one line."""
    await dev.start()
    key = next(li for li in dev.lines if li.startswith("admin key")).split()[-1]
    (first,) = await dev.site.jobs("acme/api", seconds=600)  # until it is told to end
    await dev.site.wait("jobs_running", count=1)
    code, said = await dev.run("jobs", "-o", "json")
    assert code == 0
    assert {job["repo"] for job in json.loads(said)} == {"acme/api"}
    (held,) = (await dev.site.call("GET", "jobs"))["jobs"]
    code, said = await dev.run("explain", "acme/api", str(held["id"]), "-o", "json")
    assert (code, json.loads(said)["permit"]) == (0, "held")
    code, said = await dev.run("explain", "acme/api", "1")
    assert (code, said.strip()) == (1, "penstock: no job 1 of acme/api is known")
    code, said = await dev.run("explain", "acme", "1")
    assert (code, "owner/repo" in said) == (2, True)
    code, said = await dev.run("drain", "--wait", "--deadline", "0.01")
    assert code == 4, "the deadline passed"
    draining = asyncio.create_task(dev.run("drain", "--wait", "--reason", "a test"))
    await dev.site.call("POST", f"jobs/{first}/cancel")
    code, said = await draining
    assert (code, "drained" in said) == (0, True)
    code, said = await dev.run("resume")
    assert code == 0
    (long,) = await dev.site.jobs("acme/api", seconds=300)
    await dev.site.wait("job_started", job_id=long)
    stop = ("--deadline", "1s", "--on-deadline", "stop", "-o", "json")
    code, said = await dev.run("drain", "--wait", *stop)
    assert (code, json.loads(said)["mode"], json.loads(said)["running"]) == (4, "maintenance", 0)
    assert await dev.site.wait("job_completed", job_id=long)
    code, said = await dev.run("drain", "--deadline", "soon")
    assert (code, "no duration" in said) == (2, True)
    code, said = await dev.run("resume")
    assert code == 0
    code, said = await dev.run("limits", "--set", "max_runners=8", "--repo", "acme/api=4")
    assert (code, "8" in said) == (0, True)
    code, said = await dev.run("limits", "--set", "max_runners=9", "--repo", "Acme=1")
    assert code == 1
    assert said.strip().splitlines()[-1].startswith("penstock: repos: 'acme'")
    code, said = await dev.run("limits", "-o", "json")
    assert json.loads(said)["max_runners"] == 8, "half of a refused change was applied"
    code, said = await dev.run("limits", "--weight", "acme/api=2.5")
    assert (code, "weights.acme/api" in said) == (0, True)
    code, said = await dev.run("limits", "--weight", "acme/api=0")
    assert (code, "penstock: weights.acme/api" in said) == (1, True)
    for options in ([], ["--restart"]):
        code, said = await dev.run("fleet", "rebuild", "-o", "json", "--reason", "doubt", *options)
        assert (code, json.loads(said)["settled"]) == (0, True), said
    code, said = await dev.run("fleet", "audit", "-o", "json")
    record = [(entry["what"], entry["reason"]) for entry in json.loads(said)]
    assert record.count(("rebuild", "doubt")) == 2, "the record outlives the Fleet's restart"
    assert ("limits: weights.acme/api unset → 2.5", "") in record
    async with httpx.AsyncClient(base_url=dev.url, timeout=PATIENCE) as http:
        assert (await http.get("/admin/status")).status_code == 401
        bad = {"Authorization": "Bearer wrong"}
        assert (await http.get("/admin/status", headers=bad)).status_code == 401
        good = {"Authorization": f"Bearer {key}"}
        assert (await http.get("/admin/limits", headers=good)).json()["repos"] == {"acme/api": 4}
        answer = await http.patch("/admin/limits", headers=good, json={"max_runners": -1})
        assert (answer.status_code, "max_runners" in answer.json()["detail"]) == (422, True)
        answer = await http.patch("/admin/limits", headers=good, json={"max_runner": 3})
        assert answer.status_code == 422
        answer = await http.put("/admin/draining", headers=good, json={"mode": "maintenance"})
        assert answer.json()["mode"] == "maintenance"
        ready = await http.get("/readyz")  # what frees capacity is taken in every mode
        assert (ready.status_code, ready.json()["mode"]) == (200, "maintenance")
        answer = await http.put("/admin/draining", headers=good, json={"mode": "nonsense"})
        assert answer.status_code == 422
        assert "penstock_gateway_webhooks_total" in (await http.get("/metrics")).text
    assert await dev.stop() == 0


async def test_kill_9_of_everything_in_a_burst(dev):
    """Gateway and worker killed, then Temporal too: every job ends, none ran twice, laws hold."""
    await dev.start()
    repos = [f"acme/r{i}" for i in range(6)]
    for repo in repos:
        await dev.site.jobs(repo, count=5, seconds=0.5)
    await dev.site.wait("jobs_completed", count=4)
    await dev.kill()
    await dev.start()
    await dev.site.call("POST", "redeliver")
    await dev.site.wait("jobs_completed", count=10)
    await dev.kill()
    dev.kill_temporal()  # which a living `penstock dev` would start again
    await dev.start()
    await dev.site.call("POST", "redeliver")
    assert await dev.site.wait("all_completed")
    made = (await dev.site.call("GET", "jobs"))["jobs"]
    assert len(made) == 30
    assert all(job["times_run"] == 1 for job in made), "a job ran twice, or not at all"
    client = await Client.connect(dev.address)

    async def at_rest():
        status = await ask(client.get_workflow_handle("fleet"), "status")
        return not status["running"] and not status["waiting"]

    await until(at_rest)
    open_jobs = "WorkflowType='RunnerJob' AND ExecutionStatus='Running'"

    async def none_open():
        return (await client.count_workflows(open_jobs)).count == 0

    await until(none_open)
    last = max(d["delivered_at"] for d in (await dev.site.call("GET", "deliveries"))["deliveries"])
    first = min(job["queued_at"] for job in made)
    # Nothing was up to grant permits while it was down: the outage is the whole of the burst.
    evidence = await gather(client, dev.site, bounds=SLOW, outages=[(first, last + 60)])
    assert check(evidence) == []
    assert await dev.stop() == 0


async def test_dev_starts_its_temporal_server_again(dev):
    """Killed -9 while a job runs: nobody has to do anything, and the next job runs too."""
    await dev.start()
    (first,) = await dev.site.jobs("acme/api", seconds=2)
    await dev.site.wait("job_started", job_id=first)
    running = temporal_server.read(dev.folder / "state")
    os.kill(running.pid, signal.SIGKILL)

    async def again():
        found = temporal_server.read(dev.folder / "state")
        return found is not None and found.pid != running.pid

    await until(again)
    (second,) = await dev.site.jobs("acme/api")

    async def both_completed():
        await dev.site.call("POST", "redeliver")  # what came while Temporal was away
        jobs = [await dev.site.call("GET", f"jobs/{one}") for one in (first, second)]
        return all(job["status"] == "completed" for job in jobs)

    await until(both_completed)
    assert dev.address == running.address
    assert await dev.stop() == 0
    assert temporal_server.read(dev.folder / "state") is None


async def test_the_demo_ends_by_itself_with_every_law_held():
    """Exit 0, figures and all."""
    code, said = await run(*PENSTOCK, "demo", "--jobs", "6")
    assert code == 0, said
    assert "every law held" in said


BAD = {
    "unknown key": ("[limits]\nmax_runner = 3\n", "limits.max_runner"),
    "wrong type": ('[limits]\nmax_runners = "many"\n', "limits.max_runners"),
    "negative": ("[limits]\nmax_runners = -1\n", "max_runners"),
    "repository": ("[limits.repos]\nacme = 1\n", "acme"),
    "no secret": ("[github]\ntoken = 'x'\n", "gateway.webhook_secret"),
    "broken": ("[limits\n", "penstock.toml"),
}


@pytest.mark.parametrize(("text", "key"), BAD.values(), ids=BAD)
async def test_a_wrong_configuration_is_one_clear_line_and_exit_2(tmp_path, text, key):
    """The line names the key; nothing was started."""
    file = tmp_path / "penstock.toml"
    file.write_text(f'state_dir = "{tmp_path / "state"}"\n{text}', encoding="utf-8")
    code, said = await run(*PENSTOCK, "dev", "--config", str(file))
    assert code == 2
    (line,) = said.strip().splitlines()
    assert line.startswith("penstock: ")
    assert key in line
    assert not (tmp_path / "state").exists()


async def test_without_a_server_a_command_says_where_to_look(tmp_path):
    """Exit 3, one line."""
    code, said = await run(*PENSTOCK, "status", PENSTOCK_STATE_DIR=str(tmp_path))
    assert code == 3
    assert said.startswith("penstock: no Temporal server runs")


@pytest.fixture
async def begun():
    """Processes of a test: those that it left are ended as an operator would."""
    processes: list[asyncio.subprocess.Process] = []
    yield processes
    for process in processes:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await process.wait()


async def test_dev_without_any_configuration_brings_a_github_of_its_own(tmp_path, begun):
    """As `make up` does: a newcomer's job runs; a second start finds the data of the first."""
    for jobs in (1, 2):
        process = await asyncio.create_subprocess_exec(
            *(*PENSTOCK, "dev", "--log-level", "WARNING"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PENSTOCK_STATE_DIR": str(tmp_path), "COLUMNS": "200"},
        )
        begun.append(process)
        said: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            while "running;" not in said:
                line = (await process.stdout.readline()).decode()
                assert line, "it ended early"
                name, _, value = line.partition("  ")
                said[name.strip() if value else line.split()[0]] = value.strip()
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            github = said["simulated GitHub"]
            assert (await http.get(said["Temporal UI"])).status_code == 200
            await http.post(
                f"{github}/_control/jobs",
                json={"owner": "acme", "repo": "api", "labels": ["self-hosted"], "seconds": 0.1},
            )
            body = {"condition": "jobs_completed", "count": 1, "timeout": 30}
            assert (await http.post(f"{github}/_control/wait", json=body)).json()["met"]
            key = {"Authorization": f"Bearer {said['admin key']}"}
            gateway = said["gateway"].split()[0]
            assert (await http.get(f"{gateway}/admin/status", headers=key)).status_code == 200
        client = await Client.connect(said["Temporal"])

        async def all_known(client=client, jobs=jobs):
            return (await client.count_workflows("WorkflowType='RunnerJob'")).count == jobs

        await until(all_known)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    assert temporal_server.read(tmp_path) is None, "its Temporal server runs still"
