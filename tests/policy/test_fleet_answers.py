"""What the Fleet answers, to the letter: others read these names (docs/architecture.md)."""

from dataclasses import asdict

import pytest

from policy import allotment, fleet
from policy.fleet import FleetState, ModeChange
from policy.launches import Allowance, Launches, Span
from policy.limits import Limits
from policy.messages import Report, Waiting

NOW = 1000.0


def busy() -> FleetState:
    """Two repositories of two organizations: one runs and waits, one of which nothing waits."""
    made = FleetState(Limits(6, orgs={"acme": 4}, repos={"acme/a": 3}))
    made.book.epoch = "f1"
    waiting = [Waiting("high", 1, NOW - 4.04), Waiting("low", 2, NOW - 9.06)]
    first = Report("acme/a", "e1", 1, in_use=1, running_since=[NOW - 60], waiting=waiting)
    allotment.receive(made.book, Report("beta/b", "e2", 1))
    allotment.receive(made.book, first)
    return made


def test_status_to_the_letter() -> None:
    """Repositories by name, times to a tenth of a second, the ten newest changes."""
    made = busy()
    fleet.set_mode(made, "draining", ModeChange("disks", 600.0, actor="ada"), NOW - 2)
    for number in range(12):
        fleet.note(made, NOW - 1, "ada", f"change {number}", "")
    made.last_drain_seconds = 12.345
    made.rebuilt_at = NOW - 500
    fleet.cool_down(made, "beta", NOW + 5)
    limit = Allowance("app", "core", 5000, 17, NOW + 60, NOW - 3)
    fleet.hear_launches(made, Launches("w1", allowances=[limit]))
    answer = fleet.status(made, NOW)
    audit = answer.pop("audit")
    assert [entry["what"] for entry in audit] == [f"change {n}" for n in range(2, 12)]
    assert audit[0] == {"at": NOW - 1, "actor": "ada", "what": "change 2", "reason": ""}
    assert answer == {
        "mode": "draining",
        "since": NOW - 2,
        "reason": "disks",
        "limits": asdict(made.limits),
        "capacity": 6,
        "effective_cause": "",
        "deadline_at": NOW + 598,
        "on_deadline": "",
        "last_drain_seconds": 12.3,
        "running": 1,
        "waiting": 3,
        "reserved": 1,
        "settled": True,
        "unmet": False,
        "rebuilt_at": NOW - 500,
        "cooling": {"beta": NOW + 5},
        "github": [
            {
                "identity": "app",
                "resource": "core",
                "limit": 5000,
                "remaining": 17,
                "reset_at": NOW + 60,
                "as_of": NOW - 3,
            }
        ],
        "repos": [
            {
                "repo": "acme/a",
                "running": 1,
                "waiting": 3,
                "oldest_wait_seconds": 9.1,
                "allotment": 0,
                "limit": 3,
                "settled": True,
                "cause": "",
                "org_limit": 4,
                "waiting_by_priority": [
                    {"priority": "high", "count": 1, "oldest_wait_seconds": 4.0},
                    {"priority": "low", "count": 2, "oldest_wait_seconds": 9.1},
                ],
            },
            {
                "repo": "beta/b",
                "running": 0,
                "waiting": 0,
                "oldest_wait_seconds": 0.0,
                "allotment": 0,
                "limit": made.limits.repo_cap("beta/b"),
                "settled": True,
                "cause": "",
                "org_limit": made.limits.org_cap("beta"),
                "waiting_by_priority": [],
            },
        ],
    }


def test_githubs_limit_is_whole_at_its_reset() -> None:
    """In that very second."""
    made = busy()
    limit = Allowance("app", "core", 5000, 17, NOW, NOW - 3)
    fleet.hear_launches(made, Launches("w1", allowances=[limit]))
    (told,) = fleet.status(made, NOW)["github"]
    assert (told["remaining"], told["as_of"]) == (5000, NOW)


def test_of_two_words_on_a_limit_of_one_moment_the_later_holds() -> None:
    """And of too many limits those told longest ago are forgotten, whatever their names."""
    made = busy()
    fleet.hear_launches(made, Launches("w1", allowances=[Allowance("app", "core", 9, 8, NOW, 1)]))
    fleet.hear_launches(made, Launches("w2", allowances=[Allowance("app", "core", 9, 7, NOW, 1)]))
    assert made.allowances["app core"].remaining == 7
    later = [Allowance(f"a{n:03}", "core", 9, 9, NOW, 500.0 - n) for n in range(100)]
    fleet.hear_launches(made, Launches("w1", allowances=later))
    assert next(iter(made.allowances)) == "a099 core"
    assert "app core" not in made.allowances


def test_the_overview_to_the_letter() -> None:
    """With what the thresholds are, and how launches went within their window."""
    made = busy()
    made.reason = "why"
    made.since = 7.0
    fleet.hear_launches(made, Launches("w1", [Span(NOW - 10, 3, 1)]))
    fleet.cool_down(made, "beta", NOW + 5)
    answer = fleet.overview(made, NOW)
    rate = answer.pop("completions_per_second")
    assert rate == pytest.approx(4 / (sum(fleet.PRIOR) / len(fleet.PRIOR)))
    assert answer == {
        "mode": "normal",
        "since": 7.0,
        "reason": "why",
        "running": 1,
        "waiting": 3,
        "capacity": 6,
        "max_runners": 6,
        "effective_cause": "",
        "cooling": {"beta": NOW + 5},
        "error_rate": 0.25,
        "launches": [{"start": NOW - 10, "ok": 3, "failed": 1}],
        **asdict(made.limits.pressure),
        "settled": True,
    }
    made.unmet = True
    assert not fleet.overview(made, NOW)["settled"]


def test_lives_of_all_repositories_make_one_rate_by_how_many_are_known() -> None:
    """Three of 10 s and one of 50 s are 20 s a job; no more end at once than may run."""
    made = FleetState(Limits(2, 1.0))
    made.book.epoch = "f1"
    for repo, mean, samples in (("acme/a", 10.0, 3), ("acme/b", 50.0, 1)):
        report = Report(repo, "e1", 1, in_use=2, durations=[mean, mean], samples=samples)
        allotment.receive(made.book, report)
    assert fleet.overview(made, NOW)["completions_per_second"] == 2 / 20


def test_drain_status_to_the_letter() -> None:
    """Whose work is longest comes first among those that block, and five are named."""
    made = FleetState(Limits(50, 1.0))
    made.book.epoch = "f1"
    for number in range(7):
        ages = [NOW - 1] * (number + 1)
        report = Report(f"acme/r{number}", "e1", 1, in_use=number + 1, running_since=ages)
        report.durations, report.samples = [10.0 * (number + 1)] * 3, 30
        allotment.receive(made.book, report)
    fleet.set_mode(made, "draining", ModeChange("disks", 600.0, on_deadline="stop"), NOW - 5)
    answer = fleet.drain_status(made, NOW)
    parts, blocking = answer.pop("by_repo"), answer.pop("blocking")
    eta = answer.pop("eta_seconds")
    assert set(eta) == {"p50", "p90", "upper"}
    assert 0 < eta["p50"] <= eta["p90"] <= eta["upper"]
    assert answer == {
        "mode": "draining",
        "since": NOW - 5,
        "reason": "disks",
        "deadline_at": NOW + 595,
        "deadline_seconds": 600.0,
        "on_deadline": "stop",
        "running": 28,
        "waiting": 0,
        "drained": False,
        "eta_at": round(NOW + eta["p50"], 1),
        "method": answer["method"],
        "samples": answer["samples"],
    }
    assert [part["repo"] for part in parts] == [f"acme/r{n}" for n in range(7)]
    for number, part in enumerate(parts):
        counts = (part["running"], part["waiting"], part["samples"])
        assert counts == (number + 1, 0, 30)
        assert set(part) == {"repo", "running", "waiting", "p50", "p90", "method", "samples"}
    worst = sorted(parts, key=lambda part: (-part["p90"], part["repo"]))
    assert worst[0]["repo"] == "acme/r6"
    assert blocking == worst[:5]


def test_work_that_nothing_may_run_is_paused_in_the_answer() -> None:
    """In maintenance what waits has no time to drain, and says so."""
    made = FleetState(Limits(6))
    made.book.epoch = "f1"
    allotment.receive(made.book, Report("acme/a", "e1", 1, waiting=[Waiting("low", 3, NOW - 9)]))
    fleet.set_mode(made, "maintenance", ModeChange(), NOW)
    (part,) = fleet.drain_status(made, NOW)["by_repo"]
    assert part == {
        "repo": "acme/a",
        "running": 0,
        "waiting": 3,
        "p50": 0.0,
        "p90": 0.0,
        "method": "paused",
        "samples": 0,
    }


def test_loads_are_the_work_as_the_estimate_wants_it() -> None:
    """By name; whoever's start is unknown, or lies ahead, is as young as can be."""
    made = busy()
    report = Report("acme/a", "e1", 2, in_use=3, running_since=[NOW - 60, NOW + 1])
    report.durations, report.samples = [5.0, 7.0], 2
    allotment.receive(made.book, report)
    first, second = fleet.loads(made, NOW)
    assert (first.repo, first.ages, first.waiting) == ("acme/a", [60.0, 0.0, 0.0], 0)
    assert (first.permits, first.durations, first.samples) == (3, [5.0, 7.0], 2)
    assert (second.repo, second.ages) == ("beta/b", [])


def test_an_heir_asks_for_all_anew() -> None:
    """Nothing that one run of the Fleet owed is owed by another's."""
    made = busy()
    made.packed = fleet.close(made).packed
    made.unsaid = fleet.rebalance(made, NOW)
    made.owed = {"acme/a": NOW}
    made.unmet = True
    given = fleet.heritage(made)
    assert made.packed
    assert made.unsaid
    assert (given.packed, given.unsaid, given.owed, given.unmet) == ([], [], {}, False)


def test_the_configurations_author_is_the_configuration() -> None:
    """At the time of the change, and without a reason."""
    made = FleetState()
    fleet.configure(made, Limits(3), NOW)
    (entry,) = made.audit
    assert (entry.at, entry.actor, entry.reason) == (NOW, "configuration", "")


def test_a_drain_of_a_moment_took_what_it_took() -> None:
    """1.5 s, until gateways have heard; and whoever still waits is not drained."""
    made = busy()
    allotment.receive(made.book, Report("acme/a", "e1", 2))
    fleet.set_mode(made, "draining", ModeChange(), NOW)
    made.since = NOW + 0.0
    fleet.time_drain(made, NOW + 1.5)
    assert made.last_drain_seconds == 1.5
    fleet.set_mode(made, "normal", ModeChange(), NOW + 2)
    fleet.set_mode(made, "draining", ModeChange(), NOW + 3)
    one = Report("acme/a", "e1", 3, in_use=1, waiting=[Waiting("low", 1, NOW)])
    allotment.receive(made.book, one)
    fleet.time_drain(made, NOW + 9)
    assert made.last_drain_seconds == 1.5


def test_the_capacity_is_noted_when_it_changes_and_not_else() -> None:
    """Down, down again and whole again, at their times; a look without a change says nothing."""
    made = FleetState(Limits(16))
    fleet.adapt(made, NOW)
    assert made.audit == []
    fleet.hear_launches(made, Launches("w1", [Span(NOW, 10, 10)]))
    fleet.adapt(made, NOW)
    assert [(e.at, e.actor, e.what) for e in made.audit] == [(NOW, "error rate", "capacity 8")]
    fleet.adapt(made, NOW + 1)
    assert len(made.audit) == 1
    made.launches = []
    at = NOW
    while made.slow.capacity is not None:
        at += 60
        fleet.adapt(made, at)
    assert [(e.at, e.what) for e in made.audit[1:]] == [(at, "full capacity")]
    assert made.audit[-1].reason == "launches are well again"
