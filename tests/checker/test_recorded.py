"""A recorded run of ten jobs (three repositories, two orgs) holds the laws; a doctored one not."""

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checker import Bounds, Evidence, check, figures, history, simulated
from checker.__main__ import ANSWERS, main
from tests.checker.made import payload

RECORDED = Path(__file__).parent / "recorded"
AFTER = 100.0  # seconds after the last event at which the check looks


class Tape:
    """The recording as raw exports and raw answers, to be changed before it is read."""

    def __init__(self) -> None:
        self.raw = {
            one.workflow_id: copy.deepcopy(one.raw) for one in history.load_folder(RECORDED)
        }
        self.sim: dict[str, Any] = {
            name: json.loads((RECORDED / "simulator" / f"{name}.json").read_text())
            for name in ANSWERS
        }
        self.more: list[dict[str, Any]] = []

    def events(self, workflow: str, kind: str, word: str = "") -> list[dict[str, Any]]:
        return [
            one
            for one in self.raw[workflow]["events"]
            if one["eventType"] == f"EVENT_TYPE_{kind}" and word in json.dumps(one)
        ]

    @property
    def jobs(self) -> list[str]:
        return sorted(key for key in self.raw if key.startswith("runner-job/"))

    def evidence(self, **more: Any) -> Evidence:
        histories = [history.of(one) for one in [*self.raw.values(), *self.more]]
        last = max(one.events[-1].time for one in histories)
        return Evidence(histories, simulated.read(**self.sim), now=last + AFTER, **more)


def signalled(name: str, at: str, *messages: Any) -> dict[str, Any]:
    return {
        "eventId": "2",
        "eventTime": at,
        "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
        "workflowExecutionSignaledEventAttributes": {
            "signalName": name,
            "input": {"payloads": [payload(message) for message in messages]},
        },
    }


def test_the_recording_holds_every_law() -> None:
    assert check(Tape().evidence()) == []


def limits(tape: Tape, **change: Any) -> None:
    """Let the Fleet have had other limits from its start."""
    start = tape.events("fleet", "WORKFLOW_EXECUTION_STARTED")[0]
    configure = tape.events("fleet", "WORKFLOW_EXECUTION_SIGNALED", "configure")[0]
    of_start = start["workflowExecutionStartedEventAttributes"]["input"]["payloads"]
    of_signal = configure["workflowExecutionSignaledEventAttributes"]["input"]["payloads"]
    state = json.loads(base64.b64decode(of_start[0]["data"]))
    state["limits"] |= change
    of_start[0] = payload(state)
    of_signal[0] = payload(state["limits"])


def l1(tape: Tape) -> None:
    tape.raw[tape.jobs[0]]["events"].pop()


def l2(tape: Tape) -> None:
    again = copy.deepcopy(tape.raw[tape.jobs[0]])
    start = again["events"][0]["workflowExecutionStartedEventAttributes"]
    start["firstExecutionRunId"] = start["originalExecutionRunId"] = "another"
    tape.more.append(again)


def l3(tape: Tape) -> None:
    events = tape.raw[tape.jobs[0]]["events"]
    place = next(i for i, one in enumerate(events) if "launch_runner" in json.dumps(one))
    again = copy.deepcopy(events[place : place + 3])
    for number, one in enumerate(again, start=1000):
        one["eventId"] = str(number)
        for key, value in one.items():
            if key.endswith("Attributes") and "scheduledEventId" in value:
                value["scheduledEventId"] = "1000"
            if key.endswith("Attributes") and "result" in value:
                value["result"] = {"payloads": [payload({"provider_id": "another"})]}
    events[place + 3 : place + 3] = again


def l4_repository(tape: Tape) -> None:
    limits(tape, default=1)


def l4_org(tape: Tape) -> None:
    limits(tape, orgs={"acme": 3})


def l5(tape: Tape) -> None:
    events = tape.raw["repo-semaphore/beta/solo"]["events"]
    events.remove(
        tape.events("repo-semaphore/beta/solo", "WORKFLOW_EXECUTION_SIGNALED", "release")[-1]
    )


def l6(tape: Tape) -> None:
    limits(tape, default=4, max_runners=12)


def l7(tape: Tape) -> None:
    events = tape.raw["repo-semaphore/beta/solo"]["events"]
    message = {"job": "runner-job/beta/solo/1", "not_before": 4e9}
    events.append(signalled("acquire", events[-1]["eventTime"], message))


def l8(tape: Tape) -> None:
    tape.sim["calls"]["calls"][-1]["status"] = 429


def l9(tape: Tape) -> None:
    events = tape.raw["fleet"]["events"]
    events.insert(3, signalled("drain", events[2]["eventTime"]))


def l10(tape: Tape) -> None:
    event = tape.events(tape.jobs[0], "ACTIVITY_TASK_COMPLETED", "result")[0]
    answer = {"token": "ghs_" + "0aZ" * 12}
    event["activityTaskCompletedEventAttributes"]["result"]["payloads"] = [payload(answer)]


def l12(tape: Tape) -> None:
    tape.sim["deliveries"]["deliveries"][3] |= {"status": "timed out", "status_code": 0}


def l13(tape: Tape) -> None:
    tape.sim["runners"]["runners"][0] |= {"removed_at": None, "removed_why": None}


DOCTORS: list[Callable[[Tape], None]] = [
    found for name, found in list(globals().items()) if name[:1] == "l" and name[1:2].isdigit()
]


@pytest.mark.parametrize("doctor", DOCTORS, ids=lambda doctor: doctor.__name__)
def test_a_doctored_recording_breaks_its_law_alone(doctor: Callable[[Tape], None]) -> None:
    tape = Tape()
    doctor(tape)
    # A drain within 0.1 s and an idle permit of 1 s: the whole recording takes three.
    broken = check(tape.evidence(bounds=Bounds(mode_change=0.05)))
    assert {one.law for one in broken} == {doctor.__name__.split("_")[0].upper()}


def test_the_figures_of_the_recording() -> None:
    found = figures.summary(Tape().evidence())
    assert found.jobs_accepted == 10
    assert found.jobs_by_outcome == {"completed": 10}
    assert (found.jobs_refused, found.deliveries_duplicate) == (0, 0)
    assert found.peak_fleet == figures.Peak(6, 6)
    assert found.peak_by_org == {"acme": figures.Peak(4, 6), "beta": figures.Peak(2, 6)}
    assert {peak.in_use_permits for peak in found.peak_by_repo.values()} == {2}
    assert found.delivery_to_launch_seconds.samples == 10
    assert found.release_to_next_grant_seconds.samples == 4
    assert found.github_calls_per_job == 0.7
    assert found.history_events_per_job == 59.8
    assert found.billable_actions_per_job is not None
    json.dumps(found.as_dict())


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(RECORDED), "--figures"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs_accepted"] == 10
    tape = Tape()
    l4_repository(tape)
    history.save_folder([history.of(one) for one in tape.raw.values()], tmp_path / "broken")
    assert main([str(tmp_path / "broken")]) == 1
    assert capsys.readouterr().out.startswith("L4 ")
    assert main([str(tmp_path)]) == 2
    (tmp_path / "other.json").write_text('{"events": []}')
    assert main([str(tmp_path)]) == 2
    assert "no events" in capsys.readouterr().err
