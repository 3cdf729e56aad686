"""The schedule of the recovery: made once, kept as configured, an operator's pause respected."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError

from activities.recovery_schedule import RecoveryInput, ScheduleActivities, ensure_schedule
from policy import names
from policy.recovery import Timetable

WANTED = Timetable(every_seconds=120, points=60)


async def described(client: Client):
    """As the server has it."""
    return await client.get_schedule_handle(names.RECOVERY_SCHEDULE).describe()


async def test_it_is_made_once_and_says_what_it_is(client):
    """Every two minutes, never two at a time, nothing made up for; with a note."""
    assert await ensure_schedule(client, WANTED) == "made"
    assert await ensure_schedule(client, WANTED) == ""
    found = (await described(client)).schedule
    (interval,) = found.spec.intervals
    assert interval.every.total_seconds() == 120
    assert found.policy.overlap == ScheduleOverlapPolicy.SKIP
    assert found.policy.catchup_window.total_seconds() == 30
    assert "penstock recover" in found.state.note
    assert (found.action.workflow, found.action.id) == ("Recovery", "recovery")
    (order,) = await client.data_converter.decode(found.action.args, [RecoveryInput])
    assert order.points == 60


@pytest.mark.parametrize(
    "other",
    [replace(WANTED, every_seconds=300), replace(WANTED, points=30)],
    ids=["pace", "points"],
)
async def test_a_change_of_the_configuration_takes_effect(client, other):
    """And whoever paused it, finds it paused."""
    await ensure_schedule(client, WANTED)
    handle = client.get_schedule_handle(names.RECOVERY_SCHEDULE)
    await handle.pause(note="a test")
    assert await ensure_schedule(client, WANTED) == ""
    assert await ensure_schedule(client, other) == "changed"
    assert await ensure_schedule(client, other) == ""
    found = (await described(client)).schedule
    assert (found.state.paused, found.state.note) == (True, "a test")
    assert found.spec.intervals[0].every.total_seconds() == other.every_seconds


async def test_without_recovery_there_is_no_schedule(client):
    """Deleted if it was there; and a Fleet that resumes asks in vain, and does not mind."""
    off = replace(WANTED, enabled=False)
    assert await ensure_schedule(client, off) == ""
    await ensure_schedule(client, WANTED)
    assert await ensure_schedule(client, off) == "deleted"
    with pytest.raises(RPCError, match="not found"):
        await described(client)
    await ScheduleActivities(client).trigger_recovery()


async def test_two_workers_that_start_at_once_make_one(client):
    """Whoever comes second finds it."""

    done = await asyncio.gather(*(ensure_schedule(client, WANTED) for _ in range(4)))
    assert sorted(done) == ["", "", "", "made"]
