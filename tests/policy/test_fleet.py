"""The Fleet's modes, limits, pauses and answers."""

from policy import allotment, fleet
from policy.fleet import FleetState, ModeChange
from policy.limits import Limits
from policy.messages import Report, Waiting

NOW = 1000.0


def state() -> FleetState:
    """A fleet of six with one busy repository."""
    made = FleetState(Limits(6))
    made.book.epoch = "f1"
    report = Report(
        "acme/a", "e1", 1, in_use=1, running_since=[NOW - 60], waiting=[Waiting("low", 3, NOW - 9)]
    )
    allotment.receive(made.book, report)
    return made


def test_modes_are_kept_with_their_reason_and_author() -> None:
    """A mode set twice is one change, both are on record."""
    made = state()
    change = ModeChange("release", 60.0, actor="ada")
    assert fleet.set_mode(made, "draining", change, NOW)
    assert not fleet.set_mode(made, "draining", ModeChange("again"), NOW + 5)
    assert (made.mode, made.since, made.reason, made.deadline_at) == ("draining", NOW, "again", 0)
    assert [(e.actor, e.what) for e in made.audit] == [
        ("ada", "mode draining"),
        ("unknown", "mode draining"),
    ]
    fleet.set_mode(made, "normal", change, NOW)
    assert made.deadline_at == NOW + 60


def test_in_maintenance_nothing_is_granted() -> None:
    """And draining still serves what is queued."""
    made = state()
    fleet.set_mode(made, "draining", ModeChange(), NOW)
    assert fleet.capacity(made) == 6
    assert [allot.n for allot in fleet.rebalance(made, NOW)] == [2]
    fleet.set_mode(made, "maintenance", ModeChange(), NOW)
    assert fleet.capacity(made) == 0
    assert [allot.n for allot in fleet.rebalance(made, NOW)] == [0]


def test_a_pause_is_never_shortened_and_ends_by_itself() -> None:
    """The Fleet knows when to look again."""
    made = state()
    ageing = 991.0 + 600.0  # a waiter goes up a level then, and may be ahead of others
    assert fleet.next_wake(made, NOW) == ageing
    fleet.cool_down(made, "acme", NOW + 50)
    fleet.cool_down(made, "acme", NOW + 20)
    assert fleet.next_wake(made, NOW) == NOW + 50
    assert fleet.rebalance(made, NOW + 49) == []
    assert [allot.n for allot in fleet.rebalance(made, NOW + 50)] == [2]
    assert made.cooling == {}


def test_a_live_change_outlives_an_unchanged_configuration() -> None:
    """An edited file takes effect at the next start of a worker, an unedited one never."""
    made = FleetState()
    assert fleet.configure(made, Limits(3), NOW)
    fleet.set_limits(made, Limits(9), NOW, "ada", "more")
    assert not fleet.configure(made, Limits(3), NOW)
    assert made.limits.max_runners == 9
    assert fleet.configure(made, Limits(4), NOW)
    assert made.limits.max_runners == 4


def test_the_audit_list_is_bounded() -> None:
    """It travels with every run of the Fleet."""
    made = FleetState()
    for i in range(fleet.AUDIT_KEPT + 5):
        fleet.note(made, NOW, "ada", f"{i}", "")
    assert len(made.audit) == fleet.AUDIT_KEPT
    assert made.audit[-1].what == str(fleet.AUDIT_KEPT + 4)


def test_status_adds_up() -> None:
    """What runs and waits, as a whole and by repository."""
    made = state()
    fleet.rebalance(made, NOW)
    answer = fleet.status(made, NOW)
    assert (answer["running"], answer["waiting"], answer["reserved"]) == (2, 2, 2)
    assert answer["settled"]
    (repo,) = answer["repos"]
    assert (repo["running"], repo["waiting"], repo["allotment"]) == (2, 2, 2)
    assert repo["oldest_wait_seconds"] == 9.0


def test_drain_status_names_what_blocks() -> None:
    """Progress, an estimate, and the slowest repositories; drained only when told to drain."""
    made = state()
    fleet.rebalance(made, NOW)
    answer = fleet.drain_status(made, NOW)
    assert (answer["running"], answer["waiting"], answer["drained"]) == (2, 2, False)
    assert [part["repo"] for part in answer["blocking"]] == ["acme/a"]
    assert 0 < answer["eta_seconds"]["p50"] <= answer["eta_seconds"]["p90"]
    assert answer["eta_at"] == NOW + answer["eta_seconds"]["p50"]
    allotment.receive(made.book, Report("acme/a", "e1", 2, "f1", 1, 2))
    assert not fleet.drain_status(made, NOW)["drained"]
    fleet.set_mode(made, "draining", ModeChange(), NOW)
    assert not fleet.drain_status(made, NOW)["drained"], "gateways have not heard of it yet"
    assert fleet.next_wake(made, NOW) == NOW + 1.5
    assert fleet.next_wake(made, NOW + 1.5) is None
    answer = fleet.drain_status(made, NOW + 2)
    assert answer["drained"]
    allotment.receive(made.book, Report("acme/a", "e1", 3, "f1", 1, 2, held_up=1))
    answer = fleet.drain_status(made, NOW + 2)
    assert (answer["waiting"], answer["drained"]) == (1, False), "it waits for a token"
    allotment.receive(made.book, Report("acme/a", "e1", 4, "f1", 1, 2))
    answer = fleet.drain_status(made, NOW + 2)
    assert answer["eta_seconds"]["upper"] == 0
