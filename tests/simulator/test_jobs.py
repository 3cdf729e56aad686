"""The life of a job, as the API and the events tell it."""

import asyncio

from tests.simulator.helpers import Receiver, Sim

ACTIONS = "/repos/acme/site/actions"


async def test_a_job_is_told_of_three_times(sim: Sim, receiver: Receiver) -> None:
    job = await sim.job(name="build", head_branch="dev", workflow_name="Deploy")
    await (await sim.runner("a")).work()
    await sim.until("all_completed")
    assert sorted(receiver.actions()) == ["completed", "in_progress", "queued"]
    told = {event.action: event.job for event in receiver.events}
    assert {one["id"] for one in told.values()} == {job}
    assert told["queued"]["runner_name"] is None
    assert told["in_progress"]["runner_name"] == told["completed"]["runner_name"] == "a"
    assert told["completed"]["conclusion"] == "success"
    assert (told["queued"]["head_branch"], told["queued"]["workflow_name"]) == ("dev", "Deploy")


async def test_cancelled_while_queued_it_never_had_a_runner(sim: Sim, receiver: Receiver) -> None:
    job = await sim.job()
    assert (await sim.control(f"jobs/{job}/cancel"))["conclusion"] == "cancelled"
    await sim.until("all_completed")
    ended = receiver.events[-1]
    assert (ended.action, ended.job["conclusion"], ended.job["runner_name"]) == (
        "completed",
        "cancelled",
        None,
    )
    again = await sim.http.post(f"/_control/jobs/{job}/cancel")
    assert again.status_code == 409
    assert await (await sim.runner("a")).poll(0.05) == {}


async def test_cancelled_while_running_its_runner_is_told(sim: Sim) -> None:
    job = await sim.job(seconds=60)
    runner = await sim.runner("a")
    await runner.take()
    polling = asyncio.create_task(runner.poll())
    assert (await sim.control(f"jobs/{job}/cancel"))["status"] == "in_progress"
    assert (await polling)["type"] == "cancel"
    await runner.post("finish", job_id=job)
    assert (await sim.shown(job))["conclusion"] == "cancelled"


async def test_a_run_can_be_cancelled_by_the_api_until_it_is_completed(sim: Sim) -> None:
    job = await sim.job()
    run = (await sim.shown(job))["run_id"]
    assert (await sim.api("POST", f"{ACTIONS}/runs/{run}/cancel")).status_code == 202
    assert (await sim.shown(job))["conclusion"] == "cancelled"
    assert (await sim.api("POST", f"{ACTIONS}/runs/{run}/cancel")).status_code == 409


async def test_rerunning_failed_jobs_tells_of_finished_ones_again(
    sim: Sim, receiver: Receiver
) -> None:
    bad, good = await sim.jobs(count=2)
    for number in range(2):
        runner = await sim.runner(f"a{number}")
        job = await runner.take()
        await runner.post("finish", job_id=job, conclusion="failure" if job == bad else "success")
    run = (await sim.shown(bad))["run_id"]
    await sim.until("all_completed")
    receiver.clear()
    assert (await sim.api("POST", f"{ACTIONS}/runs/{run}/rerun-failed-jobs")).status_code == 201
    await sim.until("deliveries_idle")
    told = {event.action: event.job for event in receiver.events}
    assert told["completed"]["id"] == good
    assert told["queued"]["id"] > good
    assert told["queued"]["run_attempt"] == 2
    latest = (await sim.api("GET", f"{ACTIONS}/runs/{run}/jobs?filter=latest")).json()["jobs"]
    assert [one["id"] for one in latest] == [good, told["queued"]["id"]]
    every = (await sim.api("GET", f"{ACTIONS}/runs/{run}/jobs?filter=all")).json()
    assert every["total_count"] == 3


async def test_rerun_by_control_gives_a_new_job(sim: Sim) -> None:
    job = await sim.job()
    await (await sim.runner("a")).work()
    again = (await sim.control(f"jobs/{job}/rerun"))["jobs"][0]["id"]
    assert again != job
    assert await (await sim.runner("b")).work() == again


async def test_runs_are_filtered_by_status(sim: Sim) -> None:
    done, queued = await sim.jobs(count=2, runs=True)
    await (await sim.runner("a")).work()

    async def runs(status: str) -> list[int]:
        answer = await sim.api("GET", f"{ACTIONS}/runs", params={"status": status})
        return [one["id"] for one in answer.json()["workflow_runs"]]

    assert await runs("queued") == [(await sim.shown(queued))["run_id"]]
    assert await runs("completed") == [(await sim.shown(done))["run_id"]]
    assert await runs("success") == [(await sim.shown(done))["run_id"]]
    assert await runs("in_progress") == []


async def test_a_job_is_shown_by_the_api(sim: Sim) -> None:
    job = await sim.job("self-hosted,gpu")
    shown = (await sim.api("GET", f"{ACTIONS}/jobs/{job}")).json()
    assert (shown["status"], shown["labels"]) == ("queued", ["self-hosted", "gpu"])
    assert (await sim.api("GET", f"{ACTIONS}/jobs/{job + 1}")).status_code == 404
    await sim.job(repo="shop")
    wrong = f"/repos/acme/shop/actions/jobs/{job}"
    assert (await sim.api("GET", wrong)).status_code == 404


async def test_a_waiting_job_is_queued_when_approved(sim: Sim, receiver: Receiver) -> None:
    plain, gated = await sim.job(waiting=True), await sim.job(waiting="queued")
    await sim.until("deliveries_idle")
    told = {event.job["id"]: event for event in receiver.events}
    assert (told[plain].action, told[plain].job["status"]) == ("waiting", "waiting")
    assert (told[gated].action, told[gated].job["status"]) == ("queued", "waiting")
    assert "deployment" in told[gated].body
    assert await (await sim.runner("a")).poll(0.05) == {}
    await sim.control(f"jobs/{plain}/approve")
    assert await (await sim.runner("b")).work() == plain


async def test_a_deployment_names_its_environment(sim: Sim, receiver: Receiver) -> None:
    job = await sim.job(environment="eu-prod", head_branch="v1.2")
    await sim.until("deliveries_idle")
    (event,) = [event for event in receiver.events if event.job["id"] == job]
    assert event.body["deployment"]["environment"] == "eu-prod"
    assert (event.action, event.job["head_branch"]) == ("queued", "v1.2")


async def test_a_skipped_job_completes_without_ever_being_queued(
    sim: Sim, receiver: Receiver
) -> None:
    await sim.job(conclusion="skipped")
    await sim.until("all_completed")
    assert receiver.actions() == ["completed"]
    assert receiver.events[0].job["conclusion"] == "skipped"
    assert receiver.events[0].job["runner_name"] is None


async def test_githubs_own_machines_run_their_own_labels(sim: Sim) -> None:
    job = await sim.job("ubuntu-latest", seconds=0.01)
    await sim.until("all_completed")
    shown = await sim.shown(job)
    assert shown["runner_name"].startswith("GitHub Actions ")
    assert shown["conclusion"] == "success"


async def test_a_job_that_nobody_takes_for_a_day_fails(sim: Sim) -> None:
    await sim.control("limits", job_queue_seconds=0.05)
    job = await sim.job()
    await sim.until("job_completed", job_id=job)
    assert (await sim.shown(job))["conclusion"] == "failure"


async def test_waiting_for_what_does_not_come_ends_in_time(sim: Sim) -> None:
    await sim.job()
    answer = await sim.control("wait", condition="all_completed", timeout=0.05)
    assert answer["met"] is False


async def test_nonsense_is_refused(sim: Sim) -> None:
    for path, body in (
        ("jobs", {"owner": "acme"}),
        ("jobs", {"owner": "a", "repo": "b", "labels": ["x"], "secnods": 1}),
        ("faults", {"kind": "nope"}),
        ("faults", {"kind": "lose", "match": {"brnach": 1}}),
        ("limits", {"cores": 1}),
        ("assignment", {"order": "best"}),
        ("wait", {"condition": "peace"}),
        ("installations", {}),
    ):
        assert (await sim.http.post(f"/_control/{path}", json=body)).status_code == 400, path
