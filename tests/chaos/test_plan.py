"""Plans: the same seed makes the same one, every kind occurs, and all of it ends in time."""

import pytest

from chaos import plan

SECONDS = 120.0


def test_a_seed_is_a_plan():
    """Of seed and length, and of nothing else."""
    for seed in range(5):
        assert plan.make(seed, SECONDS) == plan.make(seed, SECONDS)
    assert len({str(plan.make(seed, SECONDS)) for seed in range(20)}) == 20


def test_a_long_run_meets_every_kind():
    """The deck is dealt out whole; short runs have it all between them."""
    assert set(plan.make(1, SECONDS).by_kind) == set(plan.KINDS)
    assert {kind for seed in range(12) for kind in plan.make(seed, 20.0).by_kind} == set(
        plan.KINDS
    )
    assert {plan.make(seed, 20.0).workers for seed in range(12)} == {1, 2}


@pytest.mark.parametrize("seconds", [5.0, 20.0, 120.0])
def test_every_fault_ends_before_the_plan(seconds):
    """So that what comes then is the system's own recovery."""
    for seed in range(50):
        made = plan.make(seed, seconds)
        assert made.faults
        for fault in made.faults:
            assert plan.WARM_SECONDS <= fault.at < seconds
            assert fault.at + fault.lasts <= seconds
            assert 0.0 <= fault.pick < 1.0
            assert (fault.lasts > 0) == (fault.kind in plan.LASTS)
        assert list(made.faults) == sorted(made.faults, key=lambda fault: fault.at)
        assert all(0.0 <= one.at < seconds for one in made.arrivals)


def test_what_a_machine_cannot_do_is_left_out_and_changes_nothing_else():
    """No libfaketime: the same plan without its one kind of fault."""
    whole, without = plan.make(3, SECONDS), plan.make(3, SECONDS, frozenset({"clock_skew"}))
    assert "clock_skew" in whole.by_kind
    assert [one for one in whole.faults if one.kind != "clock_skew"] == list(without.faults)
    assert whole.arrivals == without.arrivals


def test_a_fault_says_what_it_is():
    """For the line of progress."""
    fault = plan.Fault(1.0, "partition_worker", 2.5, 0.1, {"how": "hole"})
    assert str(fault) == "partition_worker 2.5 s how=hole"
    assert str(plan.Fault(1.0, "cancel_job")) == "cancel_job"
