"""The corpus finds deliberate changes of every workflow type; it would not be worth much else."""

import pytest
from temporalio.workflow import NondeterminismError

from checker.history import History
from tests.record import corpus
from tests.workflows import changed
from tests.workflows.exact import replay_exactly

TIMERS = (
    changed.JobWithATimer,
    changed.SemaphoreWithATimer,
    changed.FleetWithATimer,
    changed.RecoveryWithATimer,
)
SUBTLE = (
    changed.JobThatTellsByActivity,
    changed.SemaphoreThatReportsFirst,
    changed.FleetThatAllotsBackwards,
    changed.RecoveryThatPaysDeliveriesFirst,
)
TIMED = ("", "TIMER_STARTED")  # a timer before another timer is no difference
SAME = (changed.SameJob, changed.SameSemaphore, changed.SameFleet, changed.SameRecovery)


def type_of(workflow: type) -> str:
    """The workflow type that it claims to be."""
    return str(workflow.__temporal_workflow_definition.name)


def history_of(entry: corpus.Entry) -> History:
    """An entry's history."""
    return corpus.load(corpus.FOLDER / corpus.current() / entry.file)


def entries(workflow: type, most: int) -> list[corpus.Entry]:
    """The smallest histories of a workflow's type whose first command is no timer."""
    found = [
        entry
        for entry in corpus.manifest(corpus.current())
        if entry.path.startswith(f"{type_of(workflow)}/") and first_command(entry) not in TIMED
    ]
    return sorted(found, key=lambda entry: entry.events)[:most]


def first_command(entry: corpus.Entry) -> str:
    """What the workflow did first; empty if it did nothing."""
    done = (
        one for one in history_of(entry).events if "workflowTaskCompletedEventId" in one.attributes
    )
    return next((one.type for one in done), "")


@pytest.mark.parametrize("workflow", SAME, ids=type_of)
async def test_what_is_unchanged_replays(workflow):
    """So that the failures below come from the changes."""
    for entry in entries(workflow, 3):
        await replay_exactly(history_of(entry), [workflow])


@pytest.mark.parametrize("workflow", TIMERS, ids=type_of)
async def test_a_timer_more_is_found_in_every_history(workflow):
    """A command that nobody remembers."""
    found = entries(workflow, 4)
    assert len(found) > 2
    for entry in found:
        with pytest.raises(NondeterminismError):
            await replay_exactly(history_of(entry), [workflow])


@pytest.mark.parametrize("workflow", SUBTLE, ids=lambda one: one.__name__)
async def test_a_change_of_order_or_kind_is_found(workflow):
    """Commands that are the same to whoever reads the outcome: some history tells."""
    for entry in entries(workflow, 99):
        try:
            await replay_exactly(history_of(entry), [workflow])
        except NondeterminismError:
            return
    pytest.fail(f"{len(entries(workflow, 99))} histories replay with this change")
