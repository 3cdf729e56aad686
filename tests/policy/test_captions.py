"""What the Temporal UI says of workflows: short enough for it, and all there is to know."""

from dataclasses import replace

from policy import allotment, captions
from policy.captions import LONGEST
from policy.fleet import CapacityChange, FleetState, set_effective
from policy.limits import Limits
from policy.messages import Report, Waiting
from policy.semaphore_state import Lease, SemaphoreState

LONG = f"{'o' * 39}/{'r' * 100}"


def test_summaries_fit_into_a_line() -> None:
    """Whatever a payload calls a job."""
    said = captions.job("n" * 500, LONG, "high", "a rule", "https://github.com/x")
    assert len(said.summary) == LONGEST
    assert said.details == "priority high: a rule\n\nhttps://github.com/x"
    assert captions.job("", "acme/api", "low", "", "").summary == "job of acme/api"
    assert captions.semaphore(LONG).summary == f"permits of {LONG}"
    assert "`penstock jobs --repo acme/api`" in captions.semaphore("acme/api").details
    assert captions.some_of(["acme/a", "acme/b"]) == "acme/a, acme/b"
    assert captions.some_of([LONG, LONG, LONG]) == f"{LONG} and 2 more"


def fleet(repos: int = 1) -> FleetState:
    made = FleetState(Limits(6))
    made.book.epoch = "f1"
    for number in range(repos):
        waiting = [Waiting("normal", number, 990.0)] if number else []
        report = Report(
            f"acme/r{number}", "e1", 1, in_use=1, running_since=[900.0], waiting=waiting
        )
        allotment.receive(made.book, report)
    return made


def test_the_fleet_in_a_few_lines() -> None:
    """Mode with its reason, permits, and why there are fewer than there could be."""
    made = fleet(2)
    assert captions.fleet_now(made) == "**normal**\n\nrunning 2 of 6, waiting 1"
    made.mode, made.reason = "maintenance", "moving"
    set_effective(made, CapacityChange(3, "launches fail"))
    made.book.accounts["acme/r0"] = replace(made.book.accounts["acme/r0"], settled=False)
    assert captions.fleet_now(made).splitlines() == [
        "**maintenance**: moving",
        "",
        "running 2 of 0 (launches fail), waiting 1",
        "",
        "not every semaphore has answered this Fleet: nothing is raised before",
    ]


def test_the_fleet_names_who_does_not_answer() -> None:
    """In order; that others have not answered yet goes without saying then."""
    made = fleet(3)
    for number in (2, 0):
        repo = f"acme/r{number}"
        made.book.accounts[repo] = replace(made.book.accounts[repo], settled=False, silent=True)
    assert captions.fleet_now(made).splitlines() == [
        "**normal**",
        "",
        "running 3 of 6, waiting 3",
        "",
        "no answer, counted as in use: acme/r0, acme/r2",
    ]


def test_as_many_names_as_fit_are_named() -> None:
    """To the last character; one more is too many."""
    fits = ["a" * (LONGEST - 3), "b"]
    assert captions.some_of(fits) == ", ".join(fits)
    assert captions.some_of([fits[0], "bc"]) == f"{fits[0]} and 1 more"


def test_those_that_hold_a_drain_stand_in_order() -> None:
    """By what runs and waits together, then by name; five of them, and no word of more."""
    made = fleet(5)
    made.mode = "draining"
    busy = made.book.accounts["acme/r0"]
    made.book.accounts["acme/r0"] = replace(busy, in_use=3, likely_in_use=3)
    assert captions.fleet_now(made).splitlines()[6:] == [
        "- acme/r4: running 1, waiting 4",
        "- acme/r3: running 1, waiting 3",
        "- acme/r0: running 3, waiting 0",
        "- acme/r2: running 1, waiting 2",
        "- acme/r1: running 1, waiting 1",
    ]


def test_five_holders_are_all_named() -> None:
    """And no word of more."""
    made = SemaphoreState(repo="acme/api", fleet_epoch="f1", allotment=5)
    for number in range(1, 6):
        job = f"runner-job/acme/api/{number}"
        made.holders[job] = Lease(f"lease-{number}", job, 900.0 + number)
    said = captions.semaphore_now(made).splitlines()
    assert said[2:] == [f"- job {n} holds lease-{n}" for n in range(1, 6)]


def test_a_drain_names_what_holds_it() -> None:
    """Those with most first, five of them."""
    made = fleet(7)
    made.mode = "draining"
    said = captions.fleet_now(made).splitlines()
    assert said[3:6] == ["", "It ends with these:", ""]
    assert said[6] == "- acme/r6: running 1, waiting 6"
    assert said[-1] == "- and 2 more repositories"
    assert len(said) == 12
    alone = fleet(1)
    alone.mode = "draining"
    assert captions.fleet_now(alone).endswith("- acme/r0: running 1, waiting 0")
    none = FleetState(Limits(6), mode="draining")
    assert captions.fleet_now(none).endswith("Nothing runs and nothing waits.")


def test_a_semaphore_in_a_few_lines() -> None:
    """Those that hold its permits longest are named."""
    made = SemaphoreState(repo="acme/api")
    assert captions.semaphore_now(made) == "no word from the Fleet yet, 0 waiting"
    made.fleet_epoch, made.allotment = "f1", 7
    for number in range(1, 7):
        job = f"runner-job/acme/api/{number}"
        made.holders[job] = Lease(f"lease-{number}", job, 900.0 + number)
        said = captions.semaphore_now(made).splitlines()
        assert said[0] == f"**{number} of 7 permits out**, 0 waiting"
        assert said[2] == "- job 1 holds lease-1"
    assert said[-1] == "- and 1 more"
