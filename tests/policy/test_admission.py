"""What becomes of one webhook."""

from dataclasses import replace

import pytest

from policy.admission import JobEvent, Rules, decide

RULES = Rules.of(["Self-Hosted", "linux", "x64"], ["Acme", "beta-*"])
QUEUED = JobEvent("queued", "acme", "acme/a", "7", ["self-hosted", "Linux"], "queued")
MODES = ("normal", "draining", "maintenance")


def test_a_queued_job_of_ours_starts() -> None:
    """Labels and owners do not mind case; owners may be patterns; no status is as good."""
    assert decide(QUEUED, RULES, "normal").do == "start"
    assert decide(replace(QUEUED, owner="ACME", status=""), RULES, "normal").do == "start"
    assert decide(replace(QUEUED, owner="Beta-one"), RULES, "normal").do == "start"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (replace(QUEUED, owner="evil"), "owner evil is not ours"),
        (replace(QUEUED, action="waiting"), "nothing to do at action waiting"),
        (replace(QUEUED, labels=["self-hosted", "gpu"]), "its labels are not ours"),
        (replace(QUEUED, labels=[]), "its labels are not ours"),
        (replace(QUEUED, status="completed"), "it is not queued but completed"),
        (replace(QUEUED, action="completed", labels=["ubuntu-latest"]), "its labels are not ours"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_ours_is_ignored_with_the_reason(
    event: JobEvent, reason: str, mode: str
) -> None:
    """Answered with 200 in every mode: GitHub is not to retry it."""
    decision = decide(event, RULES, mode)
    assert (decision.do, decision.reason, decision.status) == ("ignore", reason, 200)


@pytest.mark.parametrize("mode", ["draining", "maintenance"])
def test_new_work_is_refused_outside_normal(mode: str) -> None:
    """503, and the mode is the cause."""
    decision = decide(QUEUED, RULES, mode)
    assert (decision.do, decision.status) == ("refuse", 503)
    assert decision.cause == mode
    assert mode in decision.reason


@pytest.mark.parametrize("action", ["in_progress", "completed"])
@pytest.mark.parametrize("mode", MODES)
def test_what_frees_capacity_is_never_refused(action: str, mode: str) -> None:
    """And it claims the id of a job never seen, unless the event does not say whose it is."""
    event = replace(QUEUED, action=action)
    assert decide(event, RULES, mode).do == "tell"
    assert decide(event, RULES, mode).claims
    silent = decide(replace(event, labels=[]), RULES, mode)
    assert (silent.do, silent.claims) == ("tell", False)


def test_a_runner_of_ours_with_a_foreign_job_is_told() -> None:
    """It is busy, whoever's job it took; the job itself is not claimed."""
    event = replace(QUEUED, action="in_progress", labels=["gpu"], runner_name="penstock-7-1")
    decision = decide(event, RULES, "normal")
    assert (decision.do, decision.claims) == ("tell", False)


def test_names_are_compared_in_lower_case() -> None:
    """Labels are labels, and owners owners."""
    assert Rules.of(["Self-Hosted", "X*"], ["Acme"]) == Rules(("self-hosted", "x*"), ("acme",))
