"""The Fleet's modes, limits, pauses and answers."""

import copy

from policy import allotment, fleet
from policy.fleet import CapacityChange, FleetState, ModeChange, Rebuild
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


def test_back_pressure_lowers_the_capacity_and_lifts_it_again() -> None:
    """Never under one, never over the limit, and its cause is shown."""
    made = state()
    assert fleet.set_effective(made, CapacityChange(3, "launches fail"))
    assert not fleet.set_effective(made, CapacityChange(3, "launches fail"))
    assert fleet.capacity(made) == 3
    assert fleet.status(made, NOW)["effective_cause"] == "launches fail"
    fleet.set_effective(made, CapacityChange(0, "all fail"))
    assert fleet.capacity(made) == 1
    fleet.set_effective(made, CapacityChange(99))
    assert fleet.capacity(made) == 6
    assert fleet.set_effective(made, CapacityChange())
    assert fleet.capacity(made) == 6


def test_a_rebuild_reserves_everything_until_each_has_answered() -> None:
    """And nothing is granted meanwhile; it is on record."""
    made = state()
    fleet.rebalance(made, NOW)
    before = made.book.accounts["acme/a"].reserved
    assert before > 0
    asked = fleet.rebuild(made, Rebuild("doubt", "ada"), "f2", NOW + 1)
    assert [(a.repo, a.fleet_epoch, a.n) for a in asked] == [("acme/a", "f2", 0)]
    assert made.book.accounts["acme/a"].reserved == before
    assert made.unmet
    assert not made.book.settled
    assert fleet.rebalance(made, NOW + 1) == []
    assert (made.audit[-1].actor, made.audit[-1].what) == ("ada", "rebuild")


def test_the_next_run_gets_the_same_book() -> None:
    """Packed for continue-as-new, unpacked at its start."""
    made = state()
    fleet.rebalance(made, NOW)
    accounts = copy.deepcopy(made.book.accounts)
    closed = fleet.close(made)
    assert (closed.book.accounts, len(closed.packed)) == ({}, 1)
    assert (made.book.accounts, made.packed) == (accounts, []), "a query may still be answered"
    fleet.reopen(closed)
    assert (closed.book.accounts, closed.packed) == (accounts, [])
    fleet.reopen(closed)
    assert closed.book.accounts == accounts


def test_a_fleet_begun_afresh_inherits_all_but_the_book() -> None:
    """The mode, the limits, the pauses and the audit list outlive a termination."""
    made = state()
    fleet.set_mode(made, "draining", ModeChange("update"), NOW)
    fleet.cool_down(made, "acme", NOW + 60)
    given = fleet.heritage(made)
    assert (given.mode, given.limits, given.cooling) == ("draining", made.limits, made.cooling)
    assert (given.book.accounts, given.audit) == ({}, made.audit)


def test_the_audit_list_says_what_changed_and_stays_small() -> None:
    """However many limits are configured, an entry names the change alone."""
    made = state()
    many = Limits(6, repos={f"acme/r{i}": 1 for i in range(2000)})
    fleet.set_limits(made, many, NOW, "ada", "x" * 1000)
    fleet.set_limits(made, Limits(7, repos=many.repos), NOW, "ada", "more")
    assert made.audit[-1].what == "limits: max_runners 6 → 7"
    assert len(made.audit[-2].what) <= 500
    assert len(made.audit[-2].reason) <= 500
