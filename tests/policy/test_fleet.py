"""The Fleet's modes, limits, pauses and answers."""

import copy
from dataclasses import replace

import pytest

from policy import allotment, captions, explain, fleet
from policy.fleet import CapacityChange, FleetState, ModeChange, Rebuild
from policy.launches import Allowance, Launches, Span
from policy.limits import Limits
from policy.messages import Report, Waiting
from policy.thresholds import Thresholds

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
    assert made.deadline_at == 0, "only a drain has one"
    fleet.set_mode(made, "draining", change, NOW)
    assert (made.deadline_at, made.on_deadline) == (NOW + 60, "")


def test_a_drain_has_a_deadline_and_what_becomes_of_the_rest_then() -> None:
    """As it was asked for; what a signal cannot mean is none."""
    made = state()
    fleet.set_mode(made, "draining", ModeChange("disks", 600.0, on_deadline="stop"), NOW)
    answer = fleet.drain_status(made, NOW)
    asked = (answer["deadline_at"], answer["deadline_seconds"], answer["on_deadline"])
    assert asked == (NOW + 600, 600.0, "stop")
    for seconds in (float("inf"), float("nan"), -1.0, 1e12):
        fleet.set_mode(made, "draining", ModeChange("", seconds, on_deadline="perhaps"), NOW)
        answer = fleet.drain_status(made, NOW)
        asked = (answer["deadline_at"], answer["deadline_seconds"], answer["on_deadline"])
        assert asked == (0.0, 0.0, "")


def test_a_reason_that_nothing_can_print_does_no_harm() -> None:
    """JSON allows half a character; the memo and the Temporal UI do not."""
    made = state()
    fleet.set_mode(made, "draining", ModeChange("\ud800" + "x" * 600, actor="\udfff"), NOW)
    entry = made.audit[-1]
    for said in (made.reason, entry.reason, entry.actor):
        assert said.encode()
        assert len(said) <= fleet.AUDIT_TEXT


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


def silent(last_known: dict[str, int] | None = None) -> FleetState:
    """A Fleet begun afresh at NOW: acme/mute does not answer, beta/b waits for permits."""
    made = FleetState(limits=Limits(4, 1.0, 3), last_known=last_known or {})
    made.book.epoch = "f2"
    allotment.meet(made.book, "acme/mute")
    waits = [Waiting("normal", 9, NOW)]
    allotment.receive(made.book, Report("beta/b", "e1", 1, waiting=waits))
    assert fleet.overdue(made, NOW) == []
    return made


@pytest.mark.parametrize(
    ("last_known", "counted", "given"),
    [({}, 3, 1), ({"acme/mute": 0}, 0, 3), ({"acme/mute": 4}, 4, None)],
)
def test_the_fleet_goes_on_without_a_semaphore_that_does_not_answer(
    last_known: dict[str, int], counted: int, given: int | None
) -> None:
    """It counts what the former Fleet reserved for it, or else its limit."""
    made = silent(last_known)
    assert fleet.rebalance(made, NOW) == [], "patience"
    assert fleet.overdue(made, NOW + fleet.SILENT_SECONDS - 1) == []
    late = NOW + fleet.SILENT_SECONDS
    assert not made.book.ready
    fleet.go_on_without(made, fleet.overdue(made, late))
    assert made.book.ready
    sent = {allot.repo: allot.n for allot in fleet.rebalance(made, late)}
    assert sent.get("beta/b") == given
    assert sent["acme/mute"] == 0, "it is asked again"
    mute, _ = fleet.status(made, late)["repos"]
    assert (mute["running"], mute["settled"]) == (counted, False)
    assert f"{counted} of its permits count as in use" in mute["cause"]
    assert "for 60 s" in mute["cause"]
    assert fleet.overview(made, late)["settled"]
    assert fleet.overdue(made, late) == [], "once"
    assert fleet.next_wake(made, late) == late + fleet.REPEAT_SECONDS
    assert "acme/mute" in captions.fleet_now(made)
    assert explain.answer(made, "acme/mute", 1, late)["limit"] == "rebuild"


def test_a_semaphore_that_answers_late_is_one_like_the_others() -> None:
    """What was counted for it comes free; it is given what it waits for."""
    made = silent()
    late = NOW + fleet.SILENT_SECONDS
    fleet.go_on_without(made, fleet.overdue(made, late))
    fleet.rebalance(made, late)
    waits = [Waiting("critical", 1, NOW)]
    allotment.receive(made.book, Report("acme/mute", "e1", 7, "f2", 1, 0, 0, waiting=waits))
    account = made.book.accounts["acme/mute"]
    assert (account.settled, account.silent, account.reserved) == (True, False, 0)
    assert {a.repo: a.n for a in fleet.rebalance(made, late)} == {"acme/mute": 1, "beta/b": 3}
    assert fleet.overdue(made, late) == []
    assert fleet.silence(made, "acme/mute", late) == ""


def test_beside_a_silent_semaphore_idle_permits_go_to_who_waits() -> None:
    """What counts for it is not on its way back, so that an idle permit has to be asked for."""
    made = silent()
    allotment.receive(made.book, Report("beta/b", "e1", 2))
    allotment.receive(made.book, Report("idle/i", "e1", 1, "f2", 0, 1))
    late = NOW + fleet.SILENT_SECONDS
    fleet.go_on_without(made, fleet.overdue(made, late))
    fleet.rebalance(made, late)
    waits = [Waiting("normal", 1, NOW)]
    allotment.receive(made.book, Report("beta/b", "e1", 3, waiting=waits))
    assert [(a.repo, a.n) for a in fleet.rebalance(made, late)] == [("idle/i", 0)]


def test_a_doubted_book_counts_the_limit_and_never_less_than_it_reserves() -> None:
    """A reset or a rebuild: what stands there may be too little; patience begins anew."""
    made = FleetState(limits=Limits(9, 1.0, 3))
    made.book.epoch = "f1"
    for repo, n in (("acme/few", 1), ("acme/many", 5)):
        allotment.receive(made.book, Report(repo, "e1", 1, allotment=n, in_use=n))
    assert fleet.overdue(made, NOW) == []
    fleet.rebuild(made, Rebuild(), "f2", NOW)
    late = NOW + fleet.SILENT_SECONDS
    assert fleet.overdue(made, NOW) == []
    fleet.go_on_without(made, fleet.overdue(made, late))
    assert [a.reserved for a in made.book.accounts.values()] == [3, 5]
    fleet.rebuild(made, Rebuild(), "f3", late)
    assert not made.book.ready
    assert fleet.overdue(made, late) == []


def test_what_a_former_fleet_knew_is_handed_on_until_it_is_known_better() -> None:
    """Also by a Fleet that ended before it had asked; not once the semaphore answered."""
    first = silent({"acme/mute": 2, "gone/g": 1})
    assert fleet.heritage(FleetState(last_known={"x/y": 2})).last_known == {"x/y": 2}
    given = fleet.heritage(first)
    assert given.last_known == {"acme/mute": 2, "gone/g": 1, "beta/b": 0}
    assert (given.silent, given.silent_in) == ({}, "")
    allotment.receive(first.book, Report("acme/mute", "e1", 7, "f2", 1, 0, 0))
    first.unmet = True
    fleet.overdue(first, NOW)
    assert first.last_known == {"gone/g": 1}
    first.unmet = False
    fleet.overdue(first, NOW)
    assert first.last_known == {}


def test_the_audit_list_says_what_changed_and_stays_small() -> None:
    """However many limits are configured, an entry names the change alone."""
    made = state()
    many = Limits(6, repos={f"acme/r{i}": 1 for i in range(2000)})
    fleet.set_limits(made, many, NOW, "ada", "x" * 1000)
    fleet.set_limits(made, Limits(7, repos=many.repos), NOW, "ada", "more")
    assert made.audit[-1].what == "limits: max_runners 6 → 7"
    assert len(made.audit[-2].what) <= 500
    assert len(made.audit[-2].reason) <= 500


@pytest.mark.parametrize("wish", ["", "leave", "stop"])
def test_a_drains_deadline_is_met_once(wish: str) -> None:
    """`stop` ends every runner and is maintenance; else the rest is left; both are on record."""
    made = state()
    fleet.rebalance(made, NOW)
    fleet.set_mode(made, "draining", ModeChange("update", 60.0, on_deadline=wish), NOW)
    answer = fleet.drain_status(made, NOW)
    assert (answer["deadline_at"], answer["on_deadline"]) == (NOW + 60, wish)
    assert fleet.next_wake(made, NOW + 2) == NOW + 60
    assert not fleet.meet_deadline(made, NOW + 59)
    assert fleet.meet_deadline(made, NOW + 60) == (wish == "stop")
    assert made.mode == ("maintenance" if wish == "stop" else "draining")
    assert made.audit[-1].actor == "deadline"
    assert made.audit[-1].reason == "2 run, 2 wait: acme/a 2"
    entries = len(made.audit)
    assert not fleet.meet_deadline(made, NOW + 61)
    assert len(made.audit) == entries


def test_a_drain_that_is_done_meets_its_deadline_in_silence() -> None:
    """There is nothing to stop."""
    made = FleetState()
    fleet.set_mode(made, "draining", ModeChange("", 60.0, on_deadline="stop"), NOW)
    assert not fleet.meet_deadline(made, NOW + 60)
    assert (made.mode, len(made.audit)) == ("draining", 1)


def test_of_githubs_limits_the_newest_word_holds_until_its_hour_is_over() -> None:
    """Whichever worker told it; so many are kept, the newest."""
    made = state()
    old = Allowance("installation:acme", "core", 5000, 4000, NOW + 600, NOW - 60)
    new = replace(old, remaining=3000, at=NOW)
    app = replace(old, identity="app", remaining=10, reset=NOW - 1)
    fleet.hear_launches(made, Launches("w1", allowances=[new, app]))
    fleet.hear_launches(made, Launches("w2", allowances=[old]))
    told = fleet.status(made, NOW)["github"]
    assert [(one["identity"], one["remaining"], one["as_of"]) for one in told] == [
        ("app", 5000, NOW - 1),
        ("installation:acme", 3000, NOW),
    ]
    assert told[1]["reset_at"] == NOW + 600
    many = [replace(new, identity=f"installation:o{n}", at=NOW + n) for n in range(150)]
    fleet.hear_launches(made, Launches("w1", allowances=many))
    assert len(made.allowances) == 100
    assert "installation:o149 core" in made.allowances
    assert "installation:acme core" not in made.allowances


def test_failing_launches_lower_the_capacity() -> None:
    """Of all workers together, each of which says anew what it has seen."""
    made = state()
    fleet.hear_launches(made, Launches("w1", [Span(NOW - 10, 0, 5)]))
    fleet.adapt(made, NOW)
    assert fleet.capacity(made) == 6, "five are no rate"
    fleet.hear_launches(made, Launches("w2", [Span(NOW - 10, 15, 0)]))
    fleet.hear_launches(made, Launches("w2", [Span(NOW - 10, 15, 0)]))
    fleet.adapt(made, NOW)
    assert fleet.capacity(made) == 3
    assert fleet.status(made, NOW)["effective_cause"] == "5 of 20 launches failed (25 %)"
    assert (made.audit[-1].actor, made.audit[-1].what) == ("error rate", "capacity 3")
    assert fleet.next_wake(made, NOW) == NOW + 60
    fleet.set_effective(made, CapacityChange(2, "by hand"))
    cause = "by hand; 5 of 20 launches failed (25 %)"
    assert (fleet.capacity(made), fleet.lowered_by(made)) == (2, cause)
    fleet.set_effective(made, CapacityChange(5))
    assert (fleet.capacity(made), fleet.lowered_by(made)) == (3, cause.split("; ")[1])
    for minute in (1, 2, 3):
        fleet.adapt(made, NOW + 60 * minute)
    assert (made.slow.capacity, made.audit[-1].what) == (None, "full capacity")
    fleet.adapt(made, NOW + 300)
    assert made.launches == [], "a window that is over is forgotten"


def test_the_overview_is_the_fleet_in_numbers() -> None:
    """With the rate at which jobs end: of known lives, or of what is usual."""
    made = state()
    made.limits.pressure = Thresholds("reject", 50)
    fleet.cool_down(made, "beta", NOW + 9)
    fleet.hear_launches(made, Launches("w1", [Span(NOW - 10, 15, 5)]))
    fleet.rebalance(made, NOW)
    answer = fleet.overview(made, NOW)
    assert (answer["mode"], answer["capacity"], answer["max_runners"]) == ("normal", 6, 6)
    assert (answer["running"], answer["waiting"]) == (2, 2)
    assert answer["cooling"] == {"beta": NOW + 9}
    assert (answer["strategy"], answer["max_queue_depth"]) == ("reject", 50)
    assert answer["error_rate"] == 0.25
    assert answer["launches"] == [{"start": NOW - 10, "ok": 15, "failed": 5}]
    assert 0.005 < answer["completions_per_second"] < 0.02
    report = Report(
        "acme/a", "e1", 2, "f1", 1, 2, in_use=1, durations=[10.0, 20.0, 30.0], samples=9
    )
    allotment.receive(made.book, report)
    assert fleet.overview(made, NOW)["completions_per_second"] == 1 / 20
    assert fleet.overview(FleetState(), NOW)["error_rate"] == 0.0


def test_a_drain_is_timed_from_its_order_to_its_end() -> None:
    """Once; what is queued later, another mode or a fleet that does not know itself are no end."""
    made = state()
    fleet.time_drain(made, NOW)
    assert (made.last_drain_seconds, made.drained_at) == (0.0, 0.0), "no drain, no time"
    fleet.set_mode(made, "draining", ModeChange(), NOW)
    fleet.time_drain(made, NOW + 10)
    assert made.last_drain_seconds == 0.0, "one runs, three wait"
    allotment.receive(made.book, Report("acme/a", "e1", 2))
    made.unmet = True
    fleet.time_drain(made, NOW + 20)
    assert made.last_drain_seconds == 0.0
    made.unmet = False
    fleet.time_drain(made, NOW + 30)
    fleet.time_drain(made, NOW + 99)
    assert (made.last_drain_seconds, made.drained_at) == (30.0, NOW + 30)
    assert fleet.status(made, NOW + 99)["last_drain_seconds"] == 30.0
    fleet.set_mode(made, "normal", ModeChange(), NOW + 100)
    fleet.set_mode(made, "draining", ModeChange(), NOW + 200)
    assert made.last_drain_seconds == 30.0, "until the next one is done"
    fleet.time_drain(made, NOW + 202)
    assert made.last_drain_seconds == 2.0
    assert fleet.heritage(made).last_drain_seconds == 2.0


def test_semaphores_that_ended_with_the_former_fleet_are_asked_for() -> None:
    """Those that had permits, and do not run now."""
    state = FleetState(last_known={"acme/a": 2, "acme/b": 0, "acme/c": 1, "acme/d": 3})
    assert fleet.lost(state, ["acme/c", "acme/new"]) == ["acme/a", "acme/d"]
    assert fleet.lost(FleetState(), ["acme/c"]) == []


def test_a_fleet_that_cannot_be_asked_is_as_it_began_but_for_what_it_showed() -> None:
    """And without a deadline, which may have been called off since."""
    begun = FleetState(
        limits=Limits(max_runners=3),
        mode="draining",
        since=1.0,
        reason="upgrade",
        deadline_seconds=60.0,
        deadline_at=61.0,
        on_deadline="stop",
        drained_at=30.0,
        last_known={"x/y": 2},
    )
    shown = fleet.shown(begun, "maintenance", 70.0, "")
    plain = FleetState(
        limits=begun.limits, mode="maintenance", since=70.0, last_known=begun.last_known
    )
    assert shown == plain
    assert begun.deadline_at == 61.0


def test_a_run_of_a_former_version_divides_as_it_did() -> None:
    """Its history shows what it sent: neither idle nor busy permits were taken back for others."""
    made = FleetState(Limits(3, 1.0, 9))
    made.book.epoch = "f1"
    for repo, in_use, allotment_ in (("acme/a", 3, 1), ("acme/b", 1, 2)):
        report = Report(repo, "e1", 1, allotment=allotment_, in_use=in_use)
        allotment.receive(made.book, report)
        made.book.accounts[repo].allotment = allotment_

    def sent(**former: bool) -> list[tuple[str, int]]:
        words = fleet.rebalance(copy.deepcopy(made), NOW, **former)
        return sorted((word.repo, word.n) for word in words)

    assert sent(by_use=False, exact=False) == []
    assert sent(by_use=True, exact=False) == [("acme/b", 1)]
    assert sent(by_use=False, exact=True) == [("acme/b", 0)]
    assert sent() == [("acme/b", 0)]


def test_the_memo_shows_the_mode_since_when_and_why() -> None:
    """It is what gateways go by, whether a worker runs or not."""
    made = state()
    fleet.set_mode(made, "draining", ModeChange("disks"), NOW)
    assert fleet.memo(made) == {"mode": "draining", "since": NOW, "reason": "disks"}
