"""Reading, saving, fetching, counting; and the time that a check takes."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from checker import actions, check, history, jobs, permits, sweep
from checker.export import export
from checker.figures import Spread, summary
from tests.checker.made import T0, Run, Story, payload, payloads


def test_a_history_is_read_as_plain_data() -> None:
    run = Run("Fleet", "fleet", {"mode": "normal"}, 1.5)
    run.signal("cool_down", 2.0, "acme", 30.0)
    read = run.history
    assert (read.workflow_id, read.run_id, read.type) == ("fleet", "fleet#1", "Fleet")
    assert (read.status, read.closed, read.closed_at) == ("running", False, None)
    assert read.events[0].time == T0 + 1.5
    assert read.events[0].arguments == [{"mode": "normal"}]
    assert read.events[1].arguments == ["acme", 30.0]
    assert read.events[1].result is None
    run.add("WORKFLOW_EXECUTION_TERMINATED", 3.0)
    assert (run.history.status, run.history.closed_at) == ("terminated", T0 + 3.0)


def test_payloads_of_other_encodings_are_read_as_text() -> None:
    run = Run("Fleet", "fleet", None, 0.0)
    empty = {"metadata": {"encoding": "YmluYXJ5L251bGw="}}
    plain = {"metadata": {"encoding": "YmluYXJ5L3BsYWlu"}, "data": "Z2hzXw=="}
    broken = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "!"}
    run.add("WORKFLOW_EXECUTION_SIGNALED", 1.0, input={"payloads": [empty, plain, broken]})
    assert run.history.events[1].arguments == [None, "ghs_", "!"]


@pytest.mark.parametrize(
    "exported",
    [
        {},
        {"events": []},
        {"events": [{"eventId": "1"}]},
        {"events": [{"eventId": "1", "eventType": "EVENT_TYPE_X", "eventTime": "never"}]},
        {"events": Run("Fleet", "", None, 0.0).raw},
    ],
)
def test_what_is_no_history_is_refused(exported: dict[str, Any]) -> None:
    with pytest.raises(history.NotAHistory):
        history.of(exported)


def test_a_folder_gives_back_what_was_saved(tmp_path: Path) -> None:
    saved = Run("RepoSemaphore", "repo-semaphore/acme/a b", {"epoch": ""}, 0.0).history
    history.save_folder([saved], tmp_path)
    (tmp_path / "plain.json").write_text(json.dumps(Run("Fleet", "fleet", None, 0.0).history.raw))
    read = history.load_folder(tmp_path)
    assert {one.workflow_id for one in read} == {"fleet", "repo-semaphore/acme/a b"}
    assert saved in read


class Handle:
    """Stands for temporalio's WorkflowHandle."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def fetch_history(self) -> "Handle":
        return self

    def to_json(self) -> str:
        return json.dumps({"events": self._run.raw})


class Listed:
    """Stands for temporalio's WorkflowExecution."""

    def __init__(self, run: Run, name: str) -> None:
        started = run.raw[0]["workflowExecutionStartedEventAttributes"]
        self.id = started["workflowId"]
        self.run_id = name
        self.workflow_type = started["workflowType"]["name"]


class FakeClient:
    """Two runs of one workflow, and another."""

    def __init__(self) -> None:
        self._runs = {
            "b": Run("Fleet", "fleet", None, 2.0),
            "a": Run("Fleet", "fleet", None, 1.0),
            "c": Run("Other", "other", None, 0.0),
        }

    async def list_workflows(self, query: str | None) -> Any:
        assert query is None
        for name, run in self._runs.items():
            yield Listed(run, name)

    def get_workflow_handle(self, _workflow_id: str, *, run_id: str) -> Handle:
        return Handle(self._runs[run_id])


async def test_every_run_is_exported_the_oldest_first() -> None:
    client: Any = FakeClient()
    assert [one.run_id for one in await export(client)] == ["c", "a", "b"]
    assert [one.run_id for one in await export(client, types={"Fleet"})] == ["a", "b"]


def test_counts_and_stretches() -> None:
    spans = [(0.0, 2.0), (1.0, 3.0), (2.0, 4.0), (9.0, 9.0)]
    assert sweep.counts_at_starts(spans) == [(0.0, 1), (1.0, 2), (2.0, 2)]
    assert sweep.highest(spans) == 2
    free = sweep.below(spans, lambda at: 1 if at < 3.5 else 2, [3.5])
    assert free == [(-sweep.FOREVER, 0.0), (3.5, sweep.FOREVER)]
    assert sweep.union([(3, 4), (0, 1), (1, 2), (5, 5)]) == [(0, 2), (3, 4)]
    assert sweep.both([(0, 2), (3, 5)], [(1, 4)]) == [(1, 2), (3, 4)]
    assert sweep.without([(0, 5)], [(1, 2), (4, 9)]) == [(0, 1), (2, 4)]


def test_billable_actions() -> None:
    run = Run("RunnerJob", "runner-job/a/b/1", None, 0.0)
    run.signal("job_completed", 0.0)  # one call with the start
    run.signal("granted", 1.0)
    run.add("TIMER_STARTED", 1.0)
    run.act("launch_runner", 1.0, {}, {})
    run.raw[-2]["activityTaskStartedEventAttributes"]["attempt"] = 3
    run.send("fleet", "report", 2.0, {})  # counted where it arrives
    run.add("START_CHILD_WORKFLOW_EXECUTION_INITIATED", 3.0)
    for _ in range(2):
        run.add("MARKER_RECORDED", 3.0, workflowTaskCompletedEventId="7")
    assert actions.count(run.history) == 1 + 1 + 1 + 3 + 2 + 1


def test_a_launch_that_found_no_token_has_begun_nothing() -> None:
    run = Run("RunnerJob", "runner-job/a/b/1", None, 0.0)
    for at, kind in ((1.0, "TokenMissing"), (2.0, "LaunchRefused")):
        number = run.add(
            "ACTIVITY_TASK_SCHEDULED",
            at,
            activityType={"name": "launch_runner"},
            input=payloads({"name": "penstock-1-1"}),
        )
        failure = {"applicationFailureInfo": {"type": kind}}
        run.add("ACTIVITY_TASK_FAILED", at + 0.1, scheduledEventId=number, failure=failure)
    run.act("launch_runner", 3.0, {"name": "penstock-1-1"}, {"provider_id": "7"})
    (job,) = jobs.read([run.history]).values()
    assert [launch.scheduled_at - T0 for launch in job.launches] == [2.0, 3.0]


def test_quantiles_are_nearest_ranks() -> None:
    assert Spread.of([]) == Spread(0)
    assert Spread.of(range(101)) == Spread(101, 50, 95, 100)


def test_figures_of_a_made_run() -> None:
    story = Story()
    story.whole(1, 0.0)
    story.whole(2, 0.0)
    story.queue(3, 0.2)
    story.grant(3, 1.05)
    story.launch(3, 1.1)
    story.gone(3, 2.0)
    story.release(3, 2.0)
    story.close(3, 2.1, outcome="cancelled")
    story.deliver("again", 3, 0.3)
    story.deliver("refused", 4, 0.3, code=503)
    story.call(0.1)
    found = summary(story.evidence())
    assert found.jobs_by_outcome == {"cancelled": 1, "completed": 2}
    assert (found.jobs_refused, found.deliveries_duplicate) == (1, 1)
    assert found.delivery_to_launch_permit_free_seconds.samples == 2
    assert found.start_to_launch_seconds == Spread(3, 0.1, 0.95, 0.95)
    assert found.permit_to_launch_seconds == Spread(3, 0.08, 0.1, 0.1)
    assert found.wait_for_permit_seconds == Spread(3, 0.02, 0.85, 0.85)
    assert found.release_to_next_grant_seconds == Spread(1, 0.05, 0.05, 0.05)
    assert found.github_calls_per_job == 0.333
    assert found.longest_idle_permit_seconds == 0.05  # the third's, after 1.0
    assert summary(story.evidence(simulated=None)).github_calls_per_job is None


def test_a_check_of_300_jobs_takes_less_than_a_second() -> None:
    story = Story(max_runners=60, default=3)
    for job in range(300):
        story.whole(job, job * 0.5, repo=f"org{job % 5}/r{job % 25}", seconds=10.0)
        run = story.jobs[f"runner-job/org{job % 5}/r{job % 25}/{job}"]
        end = run.raw.pop()
        for _ in range(30):
            run.add("WORKFLOW_TASK_SCHEDULED", job * 0.5 + 10.0, taskQueue={"name": "penstock"})
        run.raw.append(end)
    evidence = story.evidence(now=1000.0)
    began = time.process_time()
    assert check(evidence) == []
    summary(evidence)
    assert time.process_time() - began < 1.0


def test_a_payload_is_as_temporal_writes_it() -> None:
    assert payload("x")["metadata"]["encoding"] == "anNvbi9wbGFpbg=="


def test_jobs_that_ask_together_wait_as_if_each_had_asked() -> None:
    apart, together = Story(), Story()
    for job in (1, 2):
        apart.ask(job, 1.0)
    asks = [{"job": f"runner-job/acme/a/{job}", "not_before": 0.0} for job in (1, 2)]
    together.semaphore("acme/a", 1.0).signal("acquire_many", 1.0, {"asks": asks})
    for story in (apart, together):
        story.grant(1, 2.0)
    seen = [permits.read([story.semaphore("acme/a").history]) for story in (apart, together)]
    assert seen[0] == seen[1]
    assert [wait.how for wait in seen[1].waits] == ["granted", ""]
